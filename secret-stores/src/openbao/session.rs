use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use rotation_core::StoreError;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use vaultrs::api::AuthInfo;
use vaultrs::auth::{approle, oidc};
use vaultrs::client::{VaultClient, VaultClientSettings, VaultClientSettingsBuilder};
use vaultrs::token;
use zeroize::Zeroizing;

use super::config::{JwtSource, OpenBaoAuth, OpenBaoConfig};
use super::error::{Failure, unusable};

/// How long a token that could not be renewed is used as it is before we ask again.
const RETRY: Duration = Duration::from_secs(30);
/// An identity token is shorter by far; whatever is larger is another file.
const MAX_JWT_FILE: usize = 64 * 1024;

/// Keeps us logged in: renews the token when two thirds of its life are over, and logs in anew when that fails.
pub(super) struct Session {
    auth: OpenBaoAuth,
    address: Url,
    settings: VaultClientSettings,
    http: reqwest::Client,
    held: Mutex<Option<Held>>,
}

/// A token in use.
#[derive(Clone)]
pub(super) struct Held {
    vault: Arc<VaultClient>,
    header: HeaderValue,
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    whole: Duration,
    renew_at: Instant,
}

impl Held {
    /// The value of `X-Vault-Token`.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The same token, to live for `seconds` more; 0 is forever.
    fn living(self, seconds: u64) -> Self {
        let life = (seconds > 0).then(|| {
            let whole = Duration::from_secs(seconds);
            Life {
                whole,
                renew_at: Instant::now() + whole * 2 / 3,
            }
        });
        Self { life, ..self }
    }
}

impl Session {
    pub(super) fn new(config: &OpenBaoConfig, http: reqwest::Client) -> Result<Self, StoreError> {
        // Each setting that is left out here would be taken from the environment. The address is put in place by
        // `client`: for an https one, an HTTP client with all the machine's authorities would be made, for nothing.
        let settings = VaultClientSettingsBuilder::default()
            .address("http://127.0.0.1")
            .ca_certs(Vec::new())
            .identity(None)
            .namespace(config.namespace.clone())
            .token("")
            .verify(true)
            .build()
            .map_err(|error| unusable(error.to_string(), "check the settings of the store"))?;
        Ok(Self {
            auth: config.auth.clone(),
            address: config.url()?,
            settings,
            http,
            held: Mutex::new(None),
        })
    }

    /// A token that is good as far as we know.
    pub(super) async fn token(&self) -> Result<Held, StoreError> {
        let mut held = self.held.lock().await;
        let fresh = match held.take() {
            None => self.log_in().await?,
            Some(known) => match known.life {
                Some(life) if Instant::now() >= life.renew_at => self.renew(known, life).await,
                _ => known,
            },
        };
        Ok(held.insert(fresh).clone())
    }

    /// A token instead of `refused`, if it was refused because it is gone; `None` if it still lives.
    pub(super) async fn instead_of(&self, refused: &Held) -> Result<Option<Held>, StoreError> {
        let mut held = self.held.lock().await;
        if let Some(known) = &*held
            && known.header != refused.header
        {
            return Ok(Some(known.clone()));
        }
        match token::lookup_self(&*refused.vault)
            .await
            .map_err(Failure::from)
        {
            Err(failure) if failure.is_forbidden() => {}
            _ => return Ok(None),
        }
        if matches!(self.auth, OpenBaoAuth::Token(_)) {
            return Ok(None);
        }
        Ok(Some(held.insert(self.log_in().await?).clone()))
    }

    async fn renew(&self, known: Held, life: Life) -> Held {
        match token::renew_self(&*known.vault, None).await {
            // Near the end of the longest life that it may have, a token is renewed for ever shorter times.
            Ok(info) if Duration::from_secs(info.lease_duration) >= life.whole / 2 => {
                return known.living(info.lease_duration);
            }
            _ if matches!(self.auth, OpenBaoAuth::Token(_)) => {}
            _ => {
                if let Ok(fresh) = self.log_in().await {
                    return fresh;
                }
            }
        }
        // Neither renewed nor replaced, but not dead yet either; once it is, the server will say so.
        let life = Life {
            renew_at: Instant::now() + RETRY,
            ..life
        };
        Held {
            life: Some(life),
            ..known
        }
    }

    async fn log_in(&self) -> Result<Held, StoreError> {
        let (what, info) = match &self.auth {
            OpenBaoAuth::Token(token) => return self.look_up(token).await,
            OpenBaoAuth::AppRole {
                role_id,
                secret_id,
                mount,
            } => {
                let client = self.client("")?;
                let secret = secret_id.expose_secret();
                let info = approle::login(&client, mount, role_id, secret).await;
                (format!("log in at auth/{mount} as an AppRole"), info)
            }
            OpenBaoAuth::Jwt { role, jwt, mount } => {
                let client = self.client("")?;
                let jwt = match jwt {
                    JwtSource::Text(text) => text.clone(),
                    JwtSource::File(path) => read_jwt(path)?,
                };
                let role = Some(role.clone());
                let info = oidc::login(&client, mount, jwt.expose_secret().trim(), role).await;
                (
                    format!("log in at auth/{mount} with an identity token"),
                    info,
                )
            }
        };
        let info: AuthInfo = info.map_err(|error| match Failure::from(error) {
            Failure::Refused {
                status: 400..=404,
                words,
            } => unusable(
                format!("cannot {what}: {words}"),
                "check the role, its secret or identity token, and where the method is mounted",
            ),
            other => other.explain(&what, "let the role log in"),
        })?;
        let held = self.hold(&SecretString::from(info.client_token))?;
        Ok(held.living(info.lease_duration))
    }

    /// How long a token that was given to us lives. One that may not look itself up is taken to live forever.
    async fn look_up(&self, given: &SecretString) -> Result<Held, StoreError> {
        let held = self.hold(given)?;
        let found = token::lookup_self(&*held.vault).await;
        let seconds = match found.map_err(Failure::from) {
            Ok(found) if found.renewable == Some(true) => found.ttl,
            Err(failure @ Failure::Silent(_)) => {
                return Err(failure.explain("ask the OpenBao server about our token", ""));
            }
            _ => 0,
        };
        Ok(held.living(seconds))
    }

    fn hold(&self, token: &SecretString) -> Result<Held, StoreError> {
        let mut header = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            unusable(
                "the OpenBao token holds characters that no token has".to_owned(),
                "check where it is read from",
            )
        })?;
        header.set_sensitive(true);
        Ok(Held {
            vault: Arc::new(self.client(token.expose_secret())?),
            header,
            life: None,
        })
    }

    /// A client with this token, over our own HTTP client.
    fn client(&self, token: &str) -> Result<VaultClient, StoreError> {
        let settings = VaultClientSettings {
            token: token.to_owned(),
            ..self.settings.clone()
        };
        let mut client = VaultClient::new(settings)
            .map_err(|error| Failure::from(error).explain("set up the OpenBao client", ""))?;
        client.http.http = self.http.clone();
        client.http.base = self.address.as_str().trim_end_matches('/').to_owned();
        Ok(client)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

fn read_jwt(path: &Path) -> Result<SecretString, StoreError> {
    // One byte more than is read, so that the buffer never grows and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_JWT_FILE + 1));
    File::open(path)
        .and_then(|file| file.take(MAX_JWT_FILE as u64).read_to_string(&mut text))
        .map_err(|error| {
            unusable(
                format!("cannot read the identity token {}: {error}", path.display()),
                "check the path, and that this user may read the file",
            )
        })?;
    Ok(SecretString::from(text.trim()))
}
