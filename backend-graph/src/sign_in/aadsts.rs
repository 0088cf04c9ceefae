use std::error::Error as _;

use azure_core::error::ErrorKind;
use rotation_core::Problem;
use serde::Deserialize;
use uuid::Uuid;

use crate::cause::last_cause;
use crate::sign_in::no_token::NoToken;

/// Why there is no token. Nothing was sent to Graph.
#[derive(Clone, Debug)]
pub(crate) struct TokenError {
    pub(crate) problem: Problem,
    /// Whether it may pass by itself.
    pub(crate) transient: bool,
}

/// What a code of the token endpoint means
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
struct Row {
    codes: &'static [u32],
    means: &'static str,
    fix: &'static str,
    /// Whether the fix ends on the page where an administrator consents.
    consent: bool,
}

const fn row(codes: &'static [u32], means: &'static str, fix: &'static str) -> Row {
    Row {
        codes,
        means,
        fix,
        consent: false,
    }
}

const fn consent(codes: &'static [u32], means: &'static str, fix: &'static str) -> Row {
    Row {
        consent: true,
        ..row(codes, means, fix)
    }
}

/// Marks the rows that pass by themselves.
const WAIT: &str = "wait and try again";

/// The codes that an application signing in with its own credential, or a person signing in to it, can meet.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(&[7_000_215], "the client secret is wrong", "configure the secret's value, which the portal shows once, not its id"),
    row(&[7_000_222], "the client secret has expired", "add a new client secret to the app and configure its value"),
    row(&[7_000_218], "the app is no public client, and no credential was sent", "allow public client flows for the app, or configure a credential"),
    consent(&[700_016], "the app does not exist in this tenant", "check `tenant` and `client_id`, or grant the app admin consent in this tenant"),
    row(&[700_011, 70_001], "the app is disabled or unknown in this tenant", "check `client_id`, and enable the app in this tenant"),
    row(&[90_002], "the tenant does not exist", "check `tenant` and `cloud`: a tenant lives in one cloud only"),
    row(&[900_382, 90_038], "the tenant lives in another cloud", "set `cloud` to the tenant's cloud"),
    row(&[9_001_023], "the authority needs one tenant", "name the tenant by its GUID or a verified domain"),
    row(&[500_011], "the tenant does not know Graph by this address", "check `cloud`"),
    row(&[70_011, 28_002, 28_003], "the scope is not valid", "check `cloud`"),
    consent(&[65_001, 650_056, 65_005], "the app has no consent in this tenant", "grant the app admin consent in this tenant"),
    consent(&[90_099], "the app is not authorised in this customer's tenant", "consent to it through Partner Center, or have the customer grant the app admin consent in this tenant"),
    row(&[530_034], "a delegated administrator is blocked for risk in the home tenant", "clear the risk in the home tenant"),
    row(&[700_025], "the app is a public client, which has no credential", "use a confidential client"),
    row(&[700_027, 50_012], "the signature is not by a key that the app knows, or its certificate has expired", "upload the configured certificate to the app; a federated token must be signed by the issuer of the app's federated credential"),
    row(&[700_030], "the certificate's subject is not authorised", "upload the certificate itself to the app"),
    row(&[700_021], "the assertion is for another app", "check `client_id`"),
    row(&[700_023], "the assertion is for another authority", "check `tenant` and `cloud`"),
    row(&[700_024], "the assertion has expired or is not valid yet", "check this machine's clock; a federated token must be one that was made minutes ago"),
    row(&[50_027], "the assertion is no valid token", "check that `credential` names the token of your CI or cluster"),
    row(&[70_021], "the app has no federated credential that the token matches", "add one to the app, with the issuer, subject and audience of the token"),
    row(&[700_211], "the app has no federated credential for the token's issuer", "give its federated credential the token's `iss`, to the last slash"),
    row(&[700_212], "the app has no federated credential for the token's audience", "have the token made for the audience of the federated credential, usually api://AzureADTokenExchange"),
    row(&[700_213], "the app has no federated credential for the token's subject", "give its federated credential the token's `sub`, which names the repository and branch or environment, or the service account"),
    row(&[7_002_138], "the token's subject differs from the federated credential in upper and lower case", "write the subject of the federated credential exactly as the token's `sub`"),
    row(&[700_229], "a token of Entra for a user stands for no app", "use a token of an app or managed identity"),
    row(&[53_003, 53_000, 530_035], "a conditional access policy blocks the app", "exclude the app or this network from the policy"),
    row(&[50_020], "the user who signed in is not in this tenant", "sign in as a user of this tenant, or have that user invited to it"),
    row(&[50_057], "the account of the user who signed in is disabled", "sign in as somebody else"),
    row(&[50_074, 50_076, 50_079], "a second factor is demanded", "sign in again, with the second factor"),
    row(&[50_105], "the user is not assigned to the app", "assign the user to the enterprise application, or turn its \"Assignment required\" off"),
    row(&[50_173, 70_008, 70_043, 700_082], "the sign-in has lapsed or was revoked", "sign in again"),
    row(&[90_055, 50_196], "too many requests for tokens", WAIT),
    row(&[90_033, 90_024, 90_090, 50_087], "the authority is not available", WAIT),
];

/// No federated credential of the app matches. Microsoft's list of codes has none of these but the first; they are as
/// reported, the last with <https://learn.microsoft.com/entra/identity-platform/reference-breaking-changes>.
const UNREGISTERED: [u32; 5] = [70_021, 700_211, 700_212, 700_213, 7_002_138];

/// What an `error` of OAuth means, for codes that are not in the table: Microsoft adds and changes them.
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
    ("temporarily_unavailable", "the authority is busy", WAIT),
];

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
            transient: true,
        },
        _ => TokenError {
            problem: nonsense(place),
            transient: false,
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
        transient: error.transient,
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

/// What an error of the token endpoint means. `known` is what its codes mean there, and the fix; without, the table of this
/// file says.
pub(crate) fn reason(
    status: u16,
    body: &ErrorBody,
    known: Option<(&'static str, &'static str)>,
) -> NoToken {
    let row = ROWS
        .iter()
        .find(|row| row.codes.iter().any(|code| body.error_codes.contains(code)))
        .map(|row| (row.means, row.fix));
    let oauth = OAUTH
        .iter()
        .find(|(error, ..)| *error == body.error)
        .map(|(_, means, fix)| (*means, *fix));
    let busy = (status == 429 || status >= 500).then_some(("the authority is busy", WAIT));
    let (means, fix) = known.or(row).or(oauth).or(busy).unwrap_or((
        "the authority refused",
        "look the code up at https://login.microsoftonline.com/error",
    ));
    let codes: String = body
        .error_codes
        .iter()
        .map(|code| format!(", AADSTS{code}"))
        .collect();
    NoToken {
        request_id: body.trace_id.map(|id| id.to_string()),
        transient: fix == WAIT,
        ..NoToken::new(format!("{means} (HTTP {status}{codes})"), fix)
    }
}

/// Whether `fix` is to consent to the app.
pub(crate) fn is_consent(fix: &str) -> bool {
    ROWS.iter().any(|row| row.consent && row.fix == fix)
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
    for row in ROWS {
        let codes: Vec<_> = row
            .codes
            .iter()
            .map(|code| format!("AADSTS{code}"))
            .collect();
        page += &format!("| {} | {} | {} |\n", codes.join(", "), row.means, row.fix);
    }
    for (oauth, means, fix) in OAUTH {
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
    fn every_code_stands_in_one_row_and_is_named_with_its_fix() {
        let mut seen = std::collections::HashSet::new();
        for row in ROWS {
            for &code in row.codes {
                assert!(seen.insert(code), "{code} stands in two rows");
                let error = refused("signing in", 401, &body("invalid_client", code), None);
                let message = error.problem.message;
                assert!(message.contains(row.means), "{code}: {message}");
                assert!(message.contains(&format!("AADSTS{code}")), "{message}");
                assert_eq!(error.problem.fix.as_deref(), Some(row.fix), "{code}");
            }
            assert_eq!(
                row.consent,
                row.fix.contains("admin consent"),
                "{}",
                row.fix
            );
        }
    }

    #[test]
    fn an_unknown_code_is_explained_by_its_oauth_error() {
        for (oauth, means, fix) in OAUTH {
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
            assert_eq!(error.transient, transient, "{oauth} {code} {status}");
        }
    }
}
