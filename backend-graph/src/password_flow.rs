use std::fmt;

use bytes::Bytes;
use reqwest::{StatusCode, Url};
use rotation_core::{Account, AccountKind, Password, Problem, RequestKind, SignIn};
use secrecy::ExposeSecret;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::client::{Client, SendError};
use crate::config::GraphConfig;
use crate::error::ConfigError;
use crate::sign_in::aadsts::{self, ErrorBody};
use crate::sign_in::assertion::{ASSERTION_TYPE, token_url};
use crate::sign_in::auth::Proof;
use crate::sign_in::form::encode;
use crate::sign_in::no_token::NoToken;

/// The least that a sign-in may ask for: who signed in, and access to nothing
/// (<https://learn.microsoft.com/entra/identity-platform/scopes-oidc#openid-connect-scopes>).
const SCOPE: &str = "openid";

const OTHERWISE: &str = "set `verify = \"timestamp\"` for such accounts";

/// Signs in as an account with its password alone, the OAuth 2.0 resource owner password grant:
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc>.
pub(crate) struct PasswordFlow {
    url: Url,
    tenant: String,
    client_id: String,
    proof: Proof,
}

/// What a code of the token endpoint says about the password that was sent. The first row that matches decides; what
/// is in none is explained as every other failure of the token endpoint.
struct Row {
    codes: &'static [u32],
    says: Says,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Right,
    Wrong,
    /// What it says instead, and what to do.
    Nothing(&'static str, &'static str),
}

use Says::{Nothing, Right, Wrong};

const fn row(codes: &'static [u32], says: Says) -> Row {
    Row { codes, says }
}

/// \[codes\] is <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>, which seldom says whether the
/// password was looked at before a code was given: `Right` takes a source that says so. \[flow\] is the page of the flow, and \[log\] is
/// <https://learn.microsoft.com/azure/active-directory/reports-monitoring/reference-sign-ins-error-codes>.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // [codes] InvalidUserNameOrPassword; [log] "old password is used for authentication".
    row(&[50_126, 50_054], Wrong),
    // [codes] UserAccountNotFound. A new account or name takes its time to be known everywhere.
    row(&[50_034], Nothing("the authority does not know the account by this name", "try again in some minutes, and check `tenant`")),
    // [codes] IdsLocked, or an address with malicious activity: the right password is told so too
    // (<https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout>).
    row(&[50_053], Nothing("the account is locked after wrong passwords, or this network's address is blocked", "wait a minute or longer, and find the failure reason in the sign-in logs")),
    // [codes] no password exists in the directory for this user.
    row(&[50_056], Nothing("the directory keeps no password for the account", OTHERWISE)),
    // [codes] UserDisabled. No source says whether the password is looked at first.
    row(&[50_057], Nothing("the account is disabled", OTHERWISE)),
    // [codes] InvalidPasswordExpiredOnPremPassword: a password that does not live in this directory.
    row(&[50_144], Nothing("the account's password on premises has expired", OTHERWISE)),
    // [codes] UserUnauthorized, UserAccountNotInDirectory; [flow] guests cannot use it.
    row(&[50_020, 51_004], Nothing("the account lives in another tenant or at another provider", OTHERWISE)),
    // [codes] DelegationDoesNotExist; [flow] `invalid_grant` means wrong credentials or no consent.
    row(&[65_001], Nothing("the app has no consent to sign users in", "grant the app the delegated permission openid with admin consent")),
    // [codes] MissingTenantRealm.
    row(&[90_019], Nothing("the authority does not see which tenant is meant", "check `tenant`")),
    // [log] "entered expired password", and [codes] its user is offered to change it. So answers a forced change, too.
    row(&[50_055], Right),
    // [codes] a second factor is wanted, or has to be set up: it is asked for after the password
    // (<https://learn.microsoft.com/entra/identity/authentication/concept-mfa-howitworks>).
    row(&[50_072, 50_074, 50_076, 50_079], Right),
    // [codes] a Conditional Access policy refuses the device, the app or the place: such policies "are enforced after
    // first-factor authentication is completed"
    // (<https://learn.microsoft.com/entra/identity/conditional-access/overview>).
    row(&[53_000, 53_001, 53_002, 53_003], Right),
];

impl fmt::Debug for PasswordFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordFlow").finish_non_exhaustive()
    }
}

impl PasswordFlow {
    pub(crate) fn new(
        config: &GraphConfig,
        authority: &Url,
        http: &reqwest::Client,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            url: token_url(authority, &config.tenant),
            tenant: config.tenant.clone(),
            client_id: config.client_id.clone(),
            proof: Proof::new(config, authority, http)?,
        })
    }

    /// Whether `password` signs `account` in, asked once.
    pub(crate) async fn signs_in(
        &self,
        client: &Client,
        account: &Account,
        password: &Password,
    ) -> SignIn {
        let place = format!(
            "signing in as {} to tenant {}",
            account.user_name, self.tenant
        );
        if let Some(reason) = unsupported(account, password) {
            let problem = Problem::new(format!("{place} was not tried: {reason}"));
            return SignIn::CannotTell(problem.with_fix(OTHERWISE));
        }
        // The authority has other quotas than Graph: a turn bounds how many sign in at once, and nothing is heard of it.
        let _turn = client.rate.turn(RequestKind::Read).await;
        let form = match self.form(&account.user_name, password).await {
            Ok(form) => form,
            Err(error) => return SignIn::CannotTell(aadsts::unproved(&place, &error).problem),
        };
        match client.post_form(self.url(), Bytes::from_owner(form)).await {
            Ok(answer) => judge(&answer, &place),
            Err(SendError::Lost(problem) | SendError::NotSent(problem)) => {
                SignIn::CannotTell(problem)
            }
            Err(SendError::Token(error)) => SignIn::CannotTell(error.problem),
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Our app is a confidential client, which must prove itself here as well.
    async fn form(
        &self,
        user_name: &str,
        password: &Password,
    ) -> Result<Zeroizing<Vec<u8>>, NoToken> {
        let assertion;
        let proof: &[(&str, &str)] = match &self.proof {
            Proof::Assertion(source) => {
                assertion = source.make().await?;
                &[
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", &assertion),
                ]
            }
            Proof::ManagedIdentity { .. } => {
                let why = "a managed identity cannot sign anybody else in";
                return Err(NoToken::new(why, OTHERWISE));
            }
            Proof::AzureCli => {
                let why = "the Azure CLI signs nobody else in";
                return Err(NoToken::new(why, OTHERWISE));
            }
            // a public client proves nothing
            Proof::Person { .. } => &[],
            Proof::Secret(secret) => &[("client_secret", secret.expose_secret())],
        };
        let fields = [
            ("grant_type", "password"),
            ("client_id", &self.client_id),
            ("scope", SCOPE),
            ("username", user_name),
            ("password", password.expose()),
        ];
        Ok(encode(&[proof, &fields].concat()))
    }
}

/// What the flow is documented not to support. Trying would tell nothing, or count as a wrong password.
fn unsupported(account: &Account, password: &Password) -> Option<&'static str> {
    let text = password.expose();
    match account.kind {
        AccountKind::Federated => {
            Some("its domain is federated, so another provider knows its password")
        }
        AccountKind::Guest => Some("a guest signs in to its own tenant or provider"),
        _ if text.trim() != text => {
            Some("its password begins or ends with a space, which this flow cuts off")
        }
        _ => None,
    }
}

fn judge(answer: &Answer, place: &str) -> SignIn {
    let status = answer.status;
    let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let error = serde_json::from_slice::<ErrorBody>(answer.body()).ok();
    let refused =
        |error: &ErrorBody, known| aadsts::refused(place, status.as_u16(), error, known).problem;
    let problem = match error {
        _ if status == StatusCode::OK && holds_token(answer.body()) => return SignIn::Right,
        _ if busy => refused(&error.unwrap_or_default(), None),
        Some(error) if status.is_client_error() => match says(&error) {
            Some(Right) => return SignIn::Right,
            Some(Wrong) => return SignIn::Wrong,
            Some(Nothing(means, fix)) => refused(&error, Some((means, fix))),
            None => refused(&error, None),
        },
        _ => aadsts::nonsense(place),
    };
    SignIn::CannotTell(problem)
}

fn says(error: &ErrorBody) -> Option<Says> {
    let stands_in = |row: &&Row| {
        row.codes
            .iter()
            .any(|code| error.error_codes.contains(code))
    };
    ROWS.iter().find(stands_in).map(|row| row.says)
}

/// Whether a token was given. It is let go unread.
fn holds_token(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Granted<'a> {
        access_token: Option<&'a str>,
        id_token: Option<&'a str>,
    }

    serde_json::from_slice(body).is_ok_and(|granted: Granted<'_>| {
        let tokens = [granted.access_token, granted.id_token];
        tokens.into_iter().flatten().any(|token| !token.is_empty())
    })
}

/// The table of this file as `docs/errors.md` shows it.
#[cfg(test)]
pub(crate) fn documented() -> String {
    let mut page = String::new();
    for row in ROWS {
        let codes: Vec<_> = row
            .codes
            .iter()
            .map(|code| format!("AADSTS{code}"))
            .collect();
        let (means, fix) = match row.says {
            Right => ("the password is right; something else is wanted", ""),
            Wrong => ("the password is wrong", ""),
            Nothing(means, fix) => (means, fix),
        };
        page += &format!("| {} | {means} | {fix} |\n", codes.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_stands_in_one_row() {
        let mut seen = HashSet::new();
        for code in ROWS.iter().flat_map(|row| row.codes) {
            assert!(seen.insert(code), "{code} stands in two rows");
        }
    }
}
