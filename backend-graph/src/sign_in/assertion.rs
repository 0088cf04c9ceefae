use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use reqwest::Url;
use rotation_core::{Clock, SystemClock};
use zeroize::Zeroizing;

use crate::config::GraphConfig;
use crate::error::ConfigError;
use crate::sign_in::certificate::ClientCertificate;
use crate::sign_in::federation::{self, FederatedToken};
use crate::sign_in::no_token::NoToken;

/// What a client assertion is sent as (<https://www.rfc-editor.org/rfc/rfc7523#section-2.2>).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Makes or fetches the JWT that proves that we are the application, a new one each time.
#[derive(Clone)]
pub(crate) struct Assertion {
    client_id: String,
    source: Source,
    /// What the last token of another issuer said of itself.
    presented: Arc<Mutex<Option<String>>>,
}

#[derive(Clone)]
enum Source {
    Certificate {
        certificate: ClientCertificate,
        /// The token endpoint, for which the assertion is meant.
        audience: String,
    },
    Federated {
        token: FederatedToken,
        audience: &'static str,
        http: reqwest::Client,
    },
}

impl Assertion {
    /// One that we sign.
    pub(crate) fn signed(
        config: &GraphConfig,
        authority: &Url,
        certificate: &ClientCertificate,
    ) -> Self {
        Self {
            client_id: config.client_id.clone(),
            source: Source::Certificate {
                certificate: certificate.clone(),
                audience: token_url(authority, &config.tenant).to_string(),
            },
            presented: Arc::default(),
        }
    }

    /// One that another issuer signs.
    ///
    /// # Errors
    /// If the HTTP client for it cannot be set up.
    pub(crate) fn federated(
        config: &GraphConfig,
        token: &FederatedToken,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            client_id: config.client_id.clone(),
            source: Source::Federated {
                token: token.clone(),
                audience: config.cloud.token_exchange(),
                http: federation::http_client(token, config.timeout)?,
            },
            presented: Arc::default(),
        })
    }

    /// A new assertion.
    pub(crate) async fn make(&self) -> Result<Zeroizing<String>, NoToken> {
        match &self.source {
            Source::Certificate {
                certificate,
                audience,
            } => {
                let now = SystemClock.now();
                let valid = certificate.check(now);
                valid.map_err(|error| NoToken::new(error.to_string(), error.fix()))?;
                let assertion = certificate.assertion(&self.client_id, audience, now);
                assertion.ok_or_else(|| {
                    NoToken::new("the private key cannot sign", "make a new certificate")
                })
            }
            Source::Federated {
                token,
                audience,
                http,
            } => {
                let token = token.fetch(audience, http).await?;
                let shown = federation::shown(&token);
                *self
                    .presented
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = shown;
                Ok(token)
            }
        }
    }

    /// What the last token of another issuer said of itself, which the app's federated credential must repeat.
    pub(crate) fn presented(&self) -> Option<String> {
        let presented = self.presented.lock();
        presented.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.make().await?.to_string())
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").finish_non_exhaustive()
    }
}

/// Where `tenant` gives out tokens.
pub(crate) fn token_url(authority: &Url, tenant: &str) -> Url {
    let mut url = authority.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend([tenant, "oauth2", "v2.0", "token"]);
    }
    url
}
