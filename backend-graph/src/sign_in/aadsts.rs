use std::error::Error as _;

use azure_core::error::ErrorKind;
use entra_directory::{Remedy, SignInError};
use rotation_core::Problem;
use serde::Deserialize;
use uuid::Uuid;

use crate::cause::last_cause;
use crate::sign_in::no_token::NoToken;

/// Why there is no token. Nothing was sent to Graph.
#[derive(Clone, Debug)]
pub(crate) struct TokenError {
    pub(crate) problem: Problem,
    pub(crate) remedy: Remedy,
}

/// No federated credential of the app matches. Microsoft's list of codes has none of these but the first; they are as
/// reported, the last with <https://learn.microsoft.com/entra/identity-platform/reference-breaking-changes>.
const UNREGISTERED: [u32; 5] = [70_021, 700_211, 700_212, 700_213, 7_002_138];

/// What an `error` of OAuth means, for codes that nobody knows: Microsoft adds and changes them.
const OAUTH: &[(&str, &str, &str)] = &[
    (
        "authorization_declined",
        "the person declined to sign in",
        "start again, and approve it",
    ),
    (
        "bad_verification_code",
        "the authority does not know the code",
        "start again",
    ),
    (
        "expired_token",
        "nobody signed in in time",
        "start again, and enter the code in time",
    ),
    (
        "invalid_client",
        "the credential is not accepted",
        "check `client_id` and `credential`",
    ),
    (
        "invalid_request",
        "the request is not accepted",
        "check `tenant`, `client_id` and `cloud`",
    ),
    (
        "invalid_resource",
        "Graph is not known by this address",
        "check `cloud`",
    ),
    (
        "unauthorized_client",
        "the app may not sign in this way",
        "check `client_id`, and that the app exists in this tenant",
    ),
    (
        "interaction_required",
        "a policy demands a person",
        "exclude the app from the policy",
    ),
];

/// The one that passes by itself.
const BUSY: (&str, &str, &str) = (
    "temporarily_unavailable",
    "the authority is busy",
    "wait and try again",
);

/// The body of an error. Its description is left out: it is written for people, changes, and may repeat what was
/// sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorBody {
    pub(crate) error: String,
    pub(crate) error_codes: Vec<u32>,
    trace_id: Option<Uuid>,
}

/// Translates an error of `azure_identity` met while `place`. `known` as for [`refused`]; `presented` is what a
/// token of another issuer says of itself, for whoever has to register it.
pub(crate) fn explain(
    error: &azure_core::Error,
    place: &str,
    known: Option<(&'static str, &'static str)>,
    presented: Option<&str>,
) -> TokenError {
    if let Some(own) = ours(error) {
        return unproved(place, own);
    }
    let error = root(error);
    match error.kind() {
        ErrorKind::HttpResponse {
            status,
            raw_response: Some(response),
            ..
        } => {
            let body: ErrorBody = serde_json::from_slice(response.body()).unwrap_or_default();
            let known = known.filter(|_| status.is_client_error() && u16::from(*status) != 429);
            let mut error = refused(place, u16::from(*status), &body, known);
            let mut codes = body.error_codes.iter();
            let unregistered = codes.any(|code| UNREGISTERED.contains(code));
            if let Some(presented) = presented.filter(|_| unregistered) {
                let message = &mut error.problem.message;
                message.push_str(": the token has ");
                message.push_str(presented);
            }
            error
        }
        ErrorKind::Connection | ErrorKind::Io => TokenError {
            problem: Problem::new(format!(
                "{place} failed: the authority is out of reach: {}",
                last_cause(error)
            ))
            .with_fix(REACH),
            remedy: Remedy::Time,
        },
        _ => TokenError {
            problem: nonsense(place),
            remedy: Remedy::Action,
        },
    }
}

/// There is nothing to prove by who we are while `place`.
pub(crate) fn unproved(place: &str, error: &NoToken) -> TokenError {
    let message = format!("{place} failed: {}", error.why);
    TokenError {
        problem: Problem::new(message)
            .with_fix(&error.fix)
            .with_request_id(error.request_id.clone()),
        remedy: error.remedy,
    }
}

/// Somebody else answered.
pub(crate) const NONSENSE: (&str, &str) = (
    "the authority's answer is not what a token endpoint says",
    "check `cloud`, and whether a proxy answers in its place",
);

/// What to do if nobody answers.
pub(crate) const REACH: &str = "check the network, the proxy and `cloud`";

/// Somebody else answered while `place`.
pub(crate) fn nonsense(place: &str) -> Problem {
    let (means, fix) = NONSENSE;
    Problem::new(format!("{place} failed: {means}")).with_fix(fix)
}

/// An error of the token endpoint met while `place`; otherwise as [`reason`].
pub(crate) fn refused(
    place: &str,
    status: u16,
    body: &ErrorBody,
    known: Option<(&'static str, &'static str)>,
) -> TokenError {
    unproved(place, &reason(status, body, known))
}

/// What an error of the token endpoint means. `known` is what its codes mean there, and the fix; without, the tables say.
pub(crate) fn reason(
    status: u16,
    body: &ErrorBody,
    known: Option<(&'static str, &'static str)>,
) -> NoToken {
    let known = known.map(|(means, fix)| (means, fix, Remedy::Action));
    let row = SignInError::of(&body.error_codes).map(|row| (row.means, row.fix, row.remedy));
    let oauth = OAUTH.iter().find(|(error, ..)| *error == body.error);
    let oauth = oauth.map(|(_, means, fix)| (*means, *fix, Remedy::Action));
    let is_busy = status == 429 || status >= 500 || body.error == BUSY.0;
    let busy = is_busy.then_some((BUSY.1, BUSY.2, Remedy::Time));
    let (means, fix, remedy) = known.or(row).or(oauth).or(busy).unwrap_or((
        "the authority refused",
        "look the code up at https://login.microsoftonline.com/error",
        Remedy::Action,
    ));
    let codes: String = body
        .error_codes
        .iter()
        .map(|code| format!(", AADSTS{code}"))
        .collect();
    NoToken {
        request_id: body.trace_id.map(|id| id.to_string()),
        remedy,
        ..NoToken::new(format!("{means} (HTTP {status}{codes})"), fix)
    }
}

/// An error of our own beneath, however often `azure_identity` wrapped it.
fn ours(error: &azure_core::Error) -> Option<&NoToken> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref() {
            return Some(ours);
        }
        cause = error.source();
    }
    None
}

/// The error that `azure_identity` wrapped as "authentication failed".
fn root(error: &azure_core::Error) -> &azure_core::Error {
    let mut root = error;
    while let (ErrorKind::Credential, Some(inner)) = (root.kind(), root.downcast_ref()) {
        root = inner;
    }
    root
}

/// The tables of this file as `docs/errors.md` shows them.
#[cfg(test)]
pub(crate) fn documented() -> String {
    let mut page = String::new();
    for row in SignInError::all() {
        let codes: Vec<_> = row
            .codes
            .iter()
            .map(|code| format!("AADSTS{code}"))
            .collect();
        page += &format!("| {} | {} | {} |\n", codes.join(", "), row.means, row.fix);
    }
    for (oauth, means, fix) in OAUTH.iter().chain([&BUSY]) {
        page += &format!("| any other with `{oauth}` | {means} | {fix} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &str, code: u32) -> ErrorBody {
        ErrorBody {
            error: error.to_owned(),
            error_codes: vec![code],
            trace_id: None,
        }
    }

    #[test]
    fn every_code_is_named_with_its_fix() {
        for row in SignInError::all() {
            for &code in row.codes {
                let error = refused("signing in", 401, &body("invalid_client", code), None);
                let message = error.problem.message;
                assert!(message.contains(row.means), "{code}: {message}");
                assert!(message.contains(&format!("AADSTS{code}")), "{message}");
                assert_eq!(error.problem.fix.as_deref(), Some(row.fix), "{code}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_explained_by_its_oauth_error() {
        for (oauth, means, fix) in OAUTH.iter().chain([&BUSY]) {
            let error = refused("signing in", 400, &body(oauth, 424_242), None);
            assert!(error.problem.message.contains(means), "{oauth}");
            assert_eq!(error.problem.fix.as_deref(), Some(*fix), "{oauth}");
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_transient() {
        for (oauth, code, status, transient) in [
            ("invalid_client", 7_000_215, 401, false),
            ("unauthorized_client", 700_016, 400, false),
            ("temporarily_unavailable", 1, 400, true),
            ("invalid_request", 90_033, 400, true),
            ("", 0, 503, true),
            ("", 0, 429, true),
            ("", 0, 400, false),
        ] {
            let error = refused("signing in", status, &body(oauth, code), None);
            assert_eq!(
                error.remedy == Remedy::Time,
                transient,
                "{oauth} {code} {status}"
            );
        }
    }
}
