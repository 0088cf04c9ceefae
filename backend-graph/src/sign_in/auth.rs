use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use entra_directory::Remedy;
use reqwest::Url;
use reqwest::header::HeaderValue;
use rotation_core::Problem;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::config::{Credential, GraphConfig};
use crate::consent::Consent;
use crate::error::ConfigError;
use crate::sign_in::aadsts::{self, TokenError};
use crate::sign_in::assertion::Assertion;
use crate::sign_in::azure_cli;
use crate::sign_in::device_code::{self, DeviceCode, Person};
use crate::sign_in::kept::Kept;
use crate::sign_in::managed_identity;
use crate::sign_in::transport::Transport;

/// How often a request for a token is repeated when the authority is busy or out of reach.
const REPEATS: u32 = 3;

/// How long signing in may take in all. It also bounds a `Retry-After` of the authority, which `azure_identity`
/// would wait out however long it is.
const LONGEST_SIGN_IN: Duration = Duration::from_secs(60);

/// For how long a token is used without asking `azure_identity` whether it is still good: asking takes locks, copies of
/// the token and a timer, for each of thousands of requests a second.
const UNASKED: Duration = Duration::from_secs(1);

/// Gives the token for the next request. `azure_identity` caches it until five minutes before it expires, and lets
/// one of several callers fetch a new one.
pub(crate) struct TokenSource {
    sign_in: SignIn,
    scope: String,
    held: Mutex<Held>,
}

/// A credential cannot forget the token it cached, so a rejected token costs a whole new credential.
struct Held {
    credential: Arc<dyn TokenCredential>,
    generation: u64,
    /// The token that it gave last, and when.
    last: Option<(Token, Instant)>,
}

/// An access token, never shown. Clones share it.
#[derive(Clone)]
pub(crate) struct Token {
    text: Arc<Secret>,
    header: HeaderValue,
    generation: u64,
}

impl TokenSource {
    /// # Errors
    /// [`ConfigError::Setup`] if `azure_identity` does not accept the configuration.
    pub(crate) fn new(
        config: &GraphConfig,
        authority: &Url,
        scope: String,
        http: reqwest::Client,
    ) -> Result<Self, ConfigError> {
        let sign_in = SignIn::new(config, authority, http)?;
        let credential = sign_in.credential().map_err(|error| ConfigError::Setup {
            part: "the credential",
            reason: error.to_string(),
        })?;
        Ok(Self {
            sign_in,
            scope,
            held: Mutex::new(Held {
                credential,
                generation: 0,
                last: None,
            }),
        })
    }

    /// The cached token, or a new one.
    pub(crate) async fn token(&self) -> Result<Token, TokenError> {
        let (credential, generation) = {
            let held = self.held();
            match &held.last {
                Some((token, asked)) if asked.elapsed() < UNASKED => return Ok(token.clone()),
                _ => (Arc::clone(&held.credential), held.generation),
            }
        };
        let text = self.fetch(&*credential).await?;
        let token = Token::new(text, generation).ok_or_else(|| self.unusable())?;
        let mut held = self.held();
        if held.generation == generation {
            held.last = Some((token.clone(), Instant::now()));
        }
        Ok(token)
    }

    async fn fetch(&self, credential: &dyn TokenCredential) -> Result<Secret, TokenError> {
        let scopes = [self.scope.as_str()];
        let fetched = credential.get_token(&scopes, None);
        let longest = self.sign_in.proof.longest();
        match tokio::time::timeout(longest, fetched).await {
            Ok(Ok(token)) => Ok(token.token),
            Ok(Err(error)) => Err(self.sign_in.explain(&error)),
            Err(_) => Err(TokenError {
                problem: Problem::new(format!(
                    "{} took longer than {} s",
                    self.sign_in.place(),
                    longest.as_secs()
                )),
                remedy: Remedy::Time,
            }),
        }
    }

    fn unusable(&self) -> TokenError {
        let problem = Problem::new(format!(
            "{} gave a token that cannot be sent in a header",
            self.sign_in.place()
        ));
        TokenError {
            problem: problem.with_fix("check `cloud`: its authority must be Microsoft Entra ID"),
            remedy: Remedy::Action,
        }
    }

    /// A new token in place of `rejected`. Of several callers with the same rejected token, the first replaces it
    /// for all.
    pub(crate) async fn replace(&self, rejected: &Token) -> Result<Token, TokenError> {
        self.forget(rejected)?;
        self.token().await
    }

    fn forget(&self, rejected: &Token) -> Result<(), TokenError> {
        let mut held = self.held();
        if held.generation == rejected.generation {
            let credential = self.sign_in.credential();
            *held = Held {
                credential: credential.map_err(|error| self.sign_in.explain(&error))?,
                generation: held.generation + 1,
                last: None,
            };
        }
        Ok(())
    }

    /// Lets go of whatever token there is.
    pub(crate) fn forget_all(&self) {
        let mut held = self.held();
        // what made the last one makes another
        if let Ok(credential) = self.sign_in.credential() {
            *held = Held {
                credential,
                generation: held.generation + 1,
                last: None,
            };
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing can panic half-way through a change, so a poisoned value is a whole one.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// `None` if `text` has characters that no header can carry.
    fn new(text: Secret, generation: u64) -> Option<Self> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", text.secret())).ok()?;
        header.set_sensitive(true);
        Some(Self {
            text: Arc::new(text),
            header,
            generation,
        })
    }

    /// The value of the `Authorization` header, marked so that no HTTP library prints it.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(crate) fn expose(&self) -> &str {
        self.text.secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Everything needed to make a credential, again if need be.
struct SignIn {
    tenant: String,
    client_id: String,
    is_asked_here: bool,
    consent: Consent,
    proof: Proof,
    options: ClientOptions,
}

/// A [`Credential`] that is ready for use.
pub(crate) enum Proof {
    Assertion(Assertion),
    AzureCli,
    ManagedIdentity {
        client_id: Option<String>,
        http: reqwest::Client,
    },
    Person {
        sign_in: DeviceCode,
        authority: Url,
        http: reqwest::Client,
    },
    Secret(SecretString),
}

impl SignIn {
    fn new(
        config: &GraphConfig,
        authority: &Url,
        http: reqwest::Client,
    ) -> Result<Self, ConfigError> {
        let plain = authority.scheme() == "http";
        let mut host = authority.clone();
        // See `Transport`, which undoes it. Between these two schemes it cannot fail.
        let _ = host.set_scheme("https");
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = host.to_string();
        let proof = Proof::new(config, authority, &http)?;
        let transport = azure_core::http::Transport::new(Arc::new(Transport { http, plain }));
        Ok(Self {
            tenant: config.tenant.clone(),
            client_id: config.client_id.clone(),
            is_asked_here: config.partner_roles.is_none(),
            consent: Consent::new(authority, config),
            proof,
            options: ClientOptions {
                cloud: Some(Arc::new(cloud.into())),
                retry: RetryOptions::exponential(ExponentialRetryOptions {
                    max_retries: REPEATS,
                    ..ExponentialRetryOptions::default()
                }),
                transport: Some(transport),
                ..ClientOptions::default()
            },
        })
    }

    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options.clone();
        match &self.proof {
            Proof::Assertion(assertion) => {
                let credential = ClientAssertionCredential::new(
                    self.tenant.clone(),
                    self.client_id.clone(),
                    assertion.clone(),
                    Some(ClientAssertionCredentialOptions { client_options }),
                )?;
                Ok(credential)
            }
            Proof::AzureCli => {
                let credential = azure_cli::credential(&self.tenant)?;
                Ok(Arc::new(Kept::new(credential)))
            }
            Proof::ManagedIdentity { client_id, http } => {
                managed_identity::credential(client_id.as_deref(), http)
            }
            Proof::Person {
                sign_in,
                authority,
                http,
            } => Ok(Arc::new(Kept::new(Arc::new(Person {
                sign_in: sign_in.clone(),
                tenant: self.tenant.clone(),
                client_id: self.client_id.clone(),
                is_asked_here: self.is_asked_here,
                authority: authority.clone(),
                http: http.clone(),
            })))),
            Proof::Secret(secret) => {
                let credential = ClientSecretCredential::new(
                    &self.tenant,
                    self.client_id.clone(),
                    Secret::new(secret.expose_secret().to_owned()),
                    Some(ClientSecretCredentialOptions { client_options }),
                )?;
                Ok(credential)
            }
        }
    }

    fn explain(&self, error: &azure_core::Error) -> TokenError {
        let (known, presented) = match &self.proof {
            Proof::Assertion(assertion) => (None, assertion.presented()),
            Proof::ManagedIdentity { .. } => (Some(managed_identity::REFUSED), None),
            Proof::AzureCli => return azure_cli::explain(error, &self.place()),
            Proof::Person { .. } | Proof::Secret(_) => (None, None),
        };
        let mut error = aadsts::explain(error, &self.place(), known, presented.as_deref());
        if error.remedy == Remedy::Consent {
            error.problem.fix = error.problem.fix.map(|fix| self.consent.linked(&fix));
        }
        error
    }

    /// What we were doing, for the front of an error.
    fn place(&self) -> String {
        format!("signing in to tenant {}", self.tenant)
    }
}

impl Proof {
    /// # Errors
    /// [`ConfigError::Setup`] if an HTTP client that it needs cannot be set up.
    pub(crate) fn new(
        config: &GraphConfig,
        authority: &Url,
        http: &reqwest::Client,
    ) -> Result<Self, ConfigError> {
        Ok(match &config.credential {
            Credential::AzureCli => Self::AzureCli,
            Credential::Certificate(certificate) => {
                Self::Assertion(Assertion::signed(config, authority, certificate))
            }
            Credential::ClientSecret(secret) => Self::Secret(secret.clone()),
            Credential::DeviceCode(sign_in) => Self::Person {
                sign_in: sign_in.clone(),
                authority: authority.clone(),
                http: http.clone(),
            },
            Credential::Federated(token) => Self::Assertion(Assertion::federated(config, token)?),
            Credential::ManagedIdentity { client_id } => Self::ManagedIdentity {
                client_id: client_id.clone(),
                http: managed_identity::http_client(config.timeout)?,
            },
        })
    }

    /// How long a sign-in may take in all.
    fn longest(&self) -> Duration {
        match self {
            Self::Person { .. } => device_code::LONGEST,
            _ => LONGEST_SIGN_IN,
        }
    }
}
