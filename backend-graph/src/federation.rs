use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::answer::last_cause;
use crate::assertion::NoToken;
use crate::cloud::is_loopback;
use crate::error::ConfigError;

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
pub struct GitHubActions {
    url: Url,
    token: HeaderValue,
}

impl GitHubActions {
    /// `url` and `token` are what the job finds in `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, if
    /// it has `permissions: id-token: write`.
    ///
    /// # Errors
    /// [`ConfigError::Field`] if `url` is not `https://` (nor loopback), or `token` is none.
    pub fn new(url: &str, token: &SecretString) -> Result<Self, ConfigError> {
        let wrong = |found, expected| ConfigError::field("credential", found, expected);
        let url = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)));
        let url = url.ok_or_else(|| {
            wrong(
                "no usable address in ACTIONS_ID_TOKEN_REQUEST_URL",
                "an `https://` address, as GitHub sets it",
            )
        })?;
        let header = Zeroizing::new(format!("bearer {}", token.expose_secret().trim()));
        let header = HeaderValue::try_from(header.as_str());
        let mut token = header.map_err(|_| {
            wrong(
                "no token in ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                "the token that GitHub sets",
            )
        })?;
        token.set_sensitive(true);
        Ok(Self { url, token })
    }

    async fn fetch(
        &self,
        audience: &str,
        http: &reqwest::Client,
    ) -> Result<Zeroizing<String>, NoToken> {
        #[derive(Deserialize)]
        struct Answer {
            value: String,
        }

        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", audience);
        let request = http.get(url).header(AUTHORIZATION, self.token.clone());
        let sent = request.header(ACCEPT, "application/json").send().await;
        let away = |error: reqwest::Error| {
            let error = error.without_url();
            let cause = last_cause(&error);
            let why = format!("GitHub, which gives this job its token, is out of reach: {cause}");
            NoToken::new(why, "check the network and the proxy of the runner").transient()
        };
        let response = sent.map_err(away)?;
        let status = response.status();
        if status != StatusCode::OK {
            let why = format!("GitHub gives this job no token (HTTP {})", status.as_u16());
            let fix = "check that the job has `permissions: id-token: write` and is still running";
            let error = NoToken::new(why, fix);
            let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(if busy { error.transient() } else { error });
        }
        let body = Zeroizing::new(response.bytes().await.map_err(away)?.to_vec());
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            let why = "GitHub's answer has no token: expected {\"value\": …}";
            NoToken::new(why, "check whether a proxy answers in its place")
        })?;
        let value = Zeroizing::new(answer.value);
        token_in(&value, "GitHub's answer")
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
            Self::GitHub(github) => github.fetch(audience, http).await,
            Self::Given(token) => token_in(token.expose_secret(), "the environment"),
        }
    }
}

impl fmt::Debug for FederatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::GitHub(github) => github.fmt(f),
            Self::Given(_) => f.debug_tuple("Given").finish_non_exhaustive(),
        }
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
    if let FederatedToken::GitHub(github) = token
        && github.url.scheme() == "http"
    {
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
