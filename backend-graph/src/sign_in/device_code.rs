use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use bytes::Bytes;
use entra_directory::Remedy;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::cause::last_cause;
use crate::quote::quotable;
use crate::sign_in::aadsts::{self, ErrorBody};
use crate::sign_in::assertion::token_url;
use crate::sign_in::form::encode;
use crate::sign_in::no_token::NoToken;
use crate::sign_in::secret_body;
use crate::sign_in::session::{Granted, Refresh, Session};

/// How long a person may take at most, whatever the authority says: Entra gives 15 minutes.
pub(crate) const LONGEST: Duration = Duration::from_secs(960);

/// How long we wait between two questions if the authority does not say, and longer each time it says `slow_down`
/// (RFC 8628, section 3.5).
const INTERVAL: Duration = Duration::from_secs(5);

/// How often a refresh token is presented again while the authority is busy or out of reach, and after how long.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// A refresh token expired, unused for too long or revoked, or the policy wants people to sign in more often
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
const LAPSED: [u32; 4] = [50_173, 70_008, 70_043, 700_082];

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A person signs in with a browser, on this machine or another
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>). What is done then is done in that
/// person's name, with the delegated permissions of the app.
///
/// Clones are one sign-in: give it to every tenant that the same person acts in, who then signs in once. What it keeps to get
/// further tokens with goes to no other authority, stays in memory and is wiped with the last clone.
#[derive(Clone)]
pub struct DeviceCode {
    prompt: Arc<dyn Fn(&DevicePrompt) + Send + Sync>,
    /// By authority: what one gave goes to no other.
    sessions: Arc<Mutex<HashMap<Url, Session>>>,
}

/// What a person must be shown in order to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePrompt {
    /// The tenant to sign in to.
    pub tenant: String,
    /// The page to open.
    pub page: String,
    /// What to enter there. It is of use to nobody once it was entered.
    pub code: String,
    /// For how long.
    pub good_for: Duration,
}

impl DeviceCode {
    /// `prompt` is called, on whatever thread, each time somebody has to sign in; it must not block.
    pub fn new(prompt: impl Fn(&DevicePrompt) + Send + Sync + 'static) -> Self {
        Self {
            prompt: Arc::new(prompt),
            sessions: Arc::default(),
        }
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode").finish_non_exhaustive()
    }
}

/// The sign-in of a person to one tenant through one app.
pub(crate) struct Person {
    pub(crate) sign_in: DeviceCode,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    /// Whether this person may be asked to sign in to this tenant, and not only to that of a partner of it.
    pub(crate) is_asked_here: bool,
    pub(crate) authority: Url,
    pub(crate) http: reqwest::Client,
}

#[derive(Deserialize)]
struct Asked {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

/// A refusal of the authority, or none of its answers.
enum Refused {
    Body(StatusCode, ErrorBody),
    No(NoToken),
}

impl From<Refused> for NoToken {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Body(status, body) => aadsts::reason(status.as_u16(), &body, None),
            Refused::No(why) => why,
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Person {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scope = format!("{} offline_access", scopes.join(" "));
        let mut has_asked = false;
        loop {
            let refresh = match self.refresh(&scope, &mut has_asked).await? {
                Way::Token(token) => return Ok(token),
                Way::Refresh(refresh) => refresh,
            };
            // not held meanwhile: there may be hundreds of tenants
            match self.redeem(&refresh.0, &scope).await {
                Ok(granted) => {
                    let mut sessions = self.sign_in.sessions.lock().await;
                    let session = sessions.entry(self.authority.clone()).or_default();
                    return Ok(session.keep(granted));
                }
                Err(Refused::Body(_, body)) if !has_asked && self.wants_a_person(&body) => {
                    let mut sessions = self.sign_in.sessions.lock().await;
                    let session = sessions.entry(self.authority.clone()).or_default();
                    session.forget(&refresh, &self.tenant, is_lapsed(&body));
                }
                Err(refused) => return Err(NoToken::from(refused).into()),
            }
        }
    }
}

/// How to come by a token.
enum Way {
    Refresh(Refresh),
    Token(AccessToken),
}

impl Person {
    /// What gets a token. If nobody has signed in, somebody is asked to, and nobody else meanwhile.
    async fn refresh(&self, scope: &str, has_asked: &mut bool) -> Result<Way, NoToken> {
        let mut sessions = self.sign_in.sessions.lock().await;
        let session = sessions.entry(self.authority.clone()).or_default();
        if let Some(refresh) = &session.refresh {
            return Ok(Way::Refresh(refresh.clone()));
        }
        let home = session.home.clone().unwrap_or_else(|| self.tenant.clone());
        *has_asked = true;
        let granted = self.ask(&home, scope).await?;
        let token = session.keep(granted);
        let is_here = home == self.tenant;
        session.home = Some(home);
        Ok(match &session.refresh {
            Some(refresh) if !is_here => Way::Refresh(refresh.clone()),
            _ => Way::Token(token),
        })
    }

    /// Whether it helps that somebody signs in again. Whoever is not in a tenant does not get into it that way, and what a
    /// customer demands of a partner's people is no matter of all the others.
    fn wants_a_person(&self, body: &ErrorBody) -> bool {
        is_lapsed(body) || (self.is_asked_here && body.error == "interaction_required")
    }

    async fn redeem(&self, token: &SecretString, scope: &str) -> Result<Granted, Refused> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("refresh_token", token.expose_secret()),
            ("scope", scope),
        ];
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.post(&self.tenant, "token", &form).await {
                Err(Refused::No(why)) if why.remedy == Remedy::Time => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(Refused::No(why)),
                },
                answered => return answered,
            }
        }
    }

    /// Has somebody sign in to `tenant`.
    async fn ask(&self, tenant: &str, scope: &str) -> Result<Granted, NoToken> {
        let form = [("client_id", self.client_id.as_str()), ("scope", scope)];
        let asked: Asked = self.post(tenant, "devicecode", &form).await?;
        let good_for = Duration::from_secs(asked.expires_in).min(LONGEST);
        (self.sign_in.prompt)(&DevicePrompt {
            tenant: tenant.to_owned(),
            page: quotable(&asked.verification_uri),
            code: quotable(&asked.user_code),
            good_for,
        });
        let form = [
            ("grant_type", GRANT),
            ("client_id", &self.client_id),
            ("device_code", asked.device_code.expose_secret()),
        ];
        let mut interval = asked.interval.map_or(INTERVAL, Duration::from_secs);
        let until = Instant::now() + good_for;
        loop {
            // a server that names no time gets one all the same
            let left = until.saturating_duration_since(Instant::now());
            sleep(interval.max(Duration::from_secs(1)).min(left)).await;
            if until <= Instant::now() {
                let why = format!("nobody signed in within {} s", good_for.as_secs());
                return Err(NoToken::new(why, "start again, and enter the code in time"));
            }
            match self.post(tenant, "token", &form).await {
                Err(Refused::Body(_, body)) if body.error == "authorization_pending" => {}
                Err(Refused::Body(_, body)) if body.error == "slow_down" => {
                    interval = interval.saturating_add(INTERVAL);
                }
                Err(Refused::No(why)) if why.remedy == Remedy::Time => {}
                answered => return Ok(answered?),
            }
        }
    }

    async fn post<A: DeserializeOwned>(
        &self,
        tenant: &str,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<A, Refused> {
        let mut url = token_url(&self.authority, tenant);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(endpoint);
        }
        let away = |error: reqwest::Error| {
            let cause = last_cause(&error.without_url());
            let why = format!("the authority is out of reach: {cause}");
            Refused::No(NoToken::new(why, aadsts::REACH).transient())
        };
        let request = self.http.post(url).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let sent = request.body(Bytes::from_owner(encode(fields))).send().await;
        let response = sent.map_err(away)?;
        let status = response.status();
        let body = secret_body::read(response).await.map_err(away)?;
        if status == StatusCode::OK {
            let nonsense = |_| Refused::No(NoToken::new(aadsts::NONSENSE.0, aadsts::NONSENSE.1));
            return serde_json::from_slice(&body).map_err(nonsense);
        }
        let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
        let reason = aadsts::reason(status.as_u16(), &error, None);
        Err(if reason.remedy == Remedy::Time {
            Refused::No(reason)
        } else {
            Refused::Body(status, error)
        })
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

fn is_lapsed(body: &ErrorBody) -> bool {
    body.error_codes.iter().any(|code| LAPSED.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_the_next_token_is_not_shown() {
        let sign_in = DeviceCode::new(|_| {});
        let authority = Url::parse("https://login.example").unwrap();
        let mut sessions = sign_in.sessions.try_lock().unwrap();
        let session = sessions.entry(authority.clone()).or_default();
        session.refresh = Some(Refresh(Arc::new("hunter2".into())));
        drop(sessions);
        let person = Person {
            sign_in: sign_in.clone(),
            tenant: "contoso.example".to_owned(),
            client_id: String::new(),
            is_asked_here: true,
            authority,
            http: reqwest::Client::new(),
        };
        let shown = format!("{sign_in:?} {person:?}");
        assert!(shown.contains("contoso.example") && !shown.contains("hunter2"));
    }
}
