use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cause::last_cause;
use crate::cloud::is_loopback;
use crate::error::ConfigError;
use crate::sign_in::no_token::NoToken;
use crate::sign_in::secret_body;

/// A token has a few kilobytes; whatever is larger is another file.
const LONGEST: usize = 64 * 1024;

/// How much of a claim is repeated; Entra takes 600 characters.
const LONGEST_CLAIM: usize = 600;

/// Where a token of another issuer comes from that stands for the app, so that there is no secret to keep
/// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>). It is fetched anew whenever a token of
/// Entra is needed, as it is good for minutes only.
#[derive(Clone)]
#[non_exhaustive]
pub enum FederatedToken {
    /// Azure Pipelines.
    AzurePipelines(AzurePipelines),
    /// A file that somebody else keeps fresh: Kubernetes, GitLab
    /// (<https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html>).
    File(PathBuf),
    /// GitHub Actions.
    GitHub(GitHubActions),
    /// The token itself, as GitLab gives it to a job; good for as long as the job may run.
    Given(SecretString),
}

/// The issuer within a job of GitHub Actions
/// (<https://docs.github.com/actions/reference/security/oidc>).
#[derive(Clone)]
pub struct GitHubActions(Issuer);

/// The issuer within a job of Azure Pipelines
/// (<https://learn.microsoft.com/azure/devops/release-notes/2024/sprint-240-update>).
#[derive(Clone)]
pub struct AzurePipelines(Issuer);

impl GitHubActions {
    /// `url` and `token` are what the job finds in `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, if
    /// it has `permissions: id-token: write`.
    ///
    /// # Errors
    /// [`ConfigError::Field`] if `url` is not `https://` (nor loopback), or `token` is none.
    pub fn new(url: &str, token: &SecretString) -> Result<Self, ConfigError> {
        const HOST: Host = Host {
            name: "GitHub",
            url: "ACTIONS_ID_TOKEN_REQUEST_URL",
            token: "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            fix: "check that the job has `permissions: id-token: write` and is still running",
        };
        Issuer::new(&HOST, Method::GET, url, token).map(Self)
    }
}

impl AzurePipelines {
    /// `url` and `token` are what the job finds in `SYSTEM_OIDCREQUESTURI` and, if the step maps it to a variable,
    /// `System.AccessToken`; `service_connection` is the id of a service connection with workload identity federation.
    ///
    /// # Errors
    /// [`ConfigError::Field`] if `url` is not `https://` (nor loopback), or `token` or `service_connection` is none.
    pub fn new(
        url: &str,
        token: &SecretString,
        service_connection: &str,
    ) -> Result<Self, ConfigError> {
        const HOST: Host = Host {
            name: "Azure Pipelines",
            url: "SYSTEM_OIDCREQUESTURI",
            token: "SYSTEM_ACCESSTOKEN",
            fix: "check the id of the service connection, that the pipeline may use it, and `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)` of the step",
        };
        if service_connection.parse::<Uuid>().is_err() {
            return Err(ConfigError::field(
                "credential",
                format!("`{service_connection}` as the service connection"),
                "its id, a GUID: the `resourceId` in the address of its page",
            ));
        }
        let mut issuer = Issuer::new(&HOST, Method::POST, url, token)?;
        issuer
            .url
            .query_pairs_mut()
            .append_pair("api-version", "7.1")
            .append_pair("serviceConnectionId", service_connection);
        Ok(Self(issuer))
    }
}

/// Gives the job that we are part of its token.
#[derive(Clone)]
struct Issuer {
    host: &'static Host,
    method: Method,
    url: Url,
    token: HeaderValue,
}

/// Who runs the job, for the front of an error.
struct Host {
    name: &'static str,
    /// The variables that it sets.
    url: &'static str,
    token: &'static str,
    /// What to do if it gives no token.
    fix: &'static str,
}

impl Issuer {
    fn new(
        host: &'static Host,
        method: Method,
        url: &str,
        token: &SecretString,
    ) -> Result<Self, ConfigError> {
        let wrong = |found, expected| ConfigError::field("credential", found, expected);
        let url = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)));
        let url = url.ok_or_else(|| {
            wrong(
                format!("no usable address in {}", host.url),
                "an `https://` address, as the host of the job sets it",
            )
        })?;
        let header = Zeroizing::new(format!("bearer {}", token.expose_secret().trim()));
        let header = HeaderValue::try_from(header.as_str());
        let mut token = header.map_err(|_| {
            wrong(
                format!("no token in {}", host.token),
                "the token that the host of the job sets",
            )
        })?;
        token.set_sensitive(true);
        Ok(Self {
            host,
            method,
            url,
            token,
        })
    }

    /// GitHub alone makes the token for the audience that it is asked for.
    async fn fetch(
        &self,
        audience: Option<&str>,
        http: &reqwest::Client,
    ) -> Result<Zeroizing<String>, NoToken> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(alias = "oidcToken")]
            value: String,
        }

        let host = self.host.name;
        let mut url = self.url.clone();
        if let Some(audience) = audience {
            url.query_pairs_mut().append_pair("audience", audience);
        }
        let request = http
            .request(self.method.clone(), url)
            .header(AUTHORIZATION, self.token.clone())
            .header(ACCEPT, "application/json")
            // Azure DevOps would otherwise send whoever is not signed in to a page
            .header("X-TFS-FedAuthRedirect", "Suppress");
        let away = |error: reqwest::Error| {
            let error = error.without_url();
            let cause = last_cause(&error);
            let why = format!("{host}, which gives this job its token, is out of reach: {cause}");
            NoToken::new(why, "check the network and the proxy of the runner").transient()
        };
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        if status != StatusCode::OK {
            let why = format!("{host} gives this job no token (HTTP {})", status.as_u16());
            let error = NoToken::new(why, self.host.fix);
            let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(if busy { error.transient() } else { error });
        }
        let body = secret_body::read(response).await.map_err(away)?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            let why = format!("{host}'s answer has no token: expected {{\"value\": …}}");
            NoToken::new(why, "check whether a proxy answers in its place")
        })?;
        let value = Zeroizing::new(answer.value);
        token_in(&value, &format!("{host}'s answer"))
    }
}

impl FederatedToken {
    /// The token as it is now. GitHub alone is asked for an `audience`; elsewhere who made the token chose it.
    pub(crate) async fn fetch(
        &self,
        audience: &str,
        http: &reqwest::Client,
    ) -> Result<Zeroizing<String>, NoToken> {
        match self {
            Self::File(path) => {
                let place = format!("the file {}", path.display());
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
                let text = read.map_err(|error| {
                    let why = format!("the federated token cannot be read from {place}: {error}");
                    NoToken::new(
                        why,
                        "name the file that your CI or cluster writes the token to",
                    )
                })?;
                token_in(&text, &place)
            }
            Self::AzurePipelines(pipelines) => pipelines.0.fetch(None, http).await,
            Self::GitHub(github) => github.0.fetch(Some(audience), http).await,
            Self::Given(token) => token_in(token.expose_secret(), "the environment"),
        }
    }
}

impl fmt::Debug for FederatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AzurePipelines(pipelines) => pipelines.fmt(f),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::GitHub(github) => github.fmt(f),
            Self::Given(_) => f.debug_tuple("Given").finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for AzurePipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzurePipelines").finish_non_exhaustive()
    }
}

impl fmt::Debug for GitHubActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubActions").finish_non_exhaustive()
    }
}

/// Issuer, subject and audience of `token`, none of which is a secret.
pub(crate) fn shown(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        sub: String,
        /// A text, or a list of them.
        aud: Value,
    }

    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { iss, sub, aud } = serde_json::from_slice(&claims).ok()?;
    let audience = match aud {
        Value::String(audience) => audience,
        list => list.to_string(),
    };
    let quoted = |text: &str| -> String {
        let visible = text.chars().filter(|c| !c.is_control());
        visible.take(LONGEST_CLAIM).collect()
    };
    let (iss, sub, aud) = (quoted(&iss), quoted(&sub), quoted(&audience));
    Some(format!("issuer `{iss}`, subject `{sub}`, audience `{aud}`"))
}

/// A client of its own: the authority's trusts the cloud's certificates alone, which GitHub does not have.
pub(crate) fn http_client(
    token: &FederatedToken,
    timeout: Duration,
) -> Result<reqwest::Client, ConfigError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rotation/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never());
    let issuer = match token {
        FederatedToken::AzurePipelines(pipelines) => Some(&pipelines.0),
        FederatedToken::GitHub(github) => Some(&github.0),
        FederatedToken::File(_) | FederatedToken::Given(_) => None,
    };
    if issuer.is_some_and(|issuer| issuer.url.scheme() == "http") {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| ConfigError::Setup {
        part: "the HTTP client for federated tokens",
        reason: last_cause(&error),
    })
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    // one byte more than is read, so that the buffer never grows and leaves a copy behind
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    File::open(path)?
        .take(LONGEST as u64)
        .read_to_string(&mut text)?;
    if text.len() == LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// The token that `text` is, by its looks.
fn token_in(text: &str, place: &str) -> Result<Zeroizing<String>, NoToken> {
    let token = text.trim();
    let is_jwt = token.split('.').count() == 3
        && !token.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_jwt {
        return Ok(Zeroizing::new(token.to_owned()));
    }
    let found = if token.is_empty() {
        "nothing"
    } else {
        "something else"
    };
    Err(NoToken::new(
        format!(
            "expected a federated token in {place}, three parts with dots between them, found {found}"
        ),
        "name the place where your CI or cluster puts the token of the job",
    ))
}
