use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Certificate, Method, RequestBuilder, StatusCode, Url, redirect, retry};
use rotation_core::{Problem, RateController, RequestKind};
use uuid::Uuid;

use crate::address::{GraphRoot, GraphUrl};
use crate::answer::Answer;
use crate::cause::last_cause;
use crate::cloud::CustomCloud;
use crate::config::GraphConfig;
use crate::consent::Consent;
use crate::error::ConfigError;
use crate::place::Place;
use crate::quota::QUOTAS;
use crate::sign_in::aadsts::TokenError;
use crate::sign_in::auth::{Token, TokenSource};
use crate::traffic::Counter;

/// How long connecting may take; not the whole of the time for a request, so that a dead address is known as
/// "never sent".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Sends requests to Graph in the name of our application, and sign-ins to the authority. Knows nothing of what they
/// mean.
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    tokens: TokenSource,
    pub(crate) graph: GraphRoot,
    pub(crate) consent: Consent,
    pub(crate) rate: RateController,
    pub(crate) traffic: Counter,
}

/// One request. The body is shared by its clones, never copied.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    url: GraphUrl,
    body: Option<Bytes>,
    /// What it counts as; `None` for a batch, whose items count on their own.
    kind: Option<RequestKind>,
}

impl Call {
    pub(crate) fn get(url: GraphUrl) -> Self {
        Self {
            method: Method::GET,
            url,
            body: None,
            kind: Some(RequestKind::Read),
        }
    }

    pub(crate) fn patch(url: GraphUrl, body: Bytes) -> Self {
        Self::write(Method::PATCH, url, Some(body))
    }

    pub(crate) fn write(method: Method, url: GraphUrl, body: Option<Bytes>) -> Self {
        Self {
            method,
            url,
            body,
            kind: Some(RequestKind::Write),
        }
    }

    pub(crate) fn batch(url: GraphUrl, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            url,
            body: Some(body),
            kind: None,
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Sent, or perhaps sent, and the answer is lost.
    Lost(Problem),
    /// There was no connection, so nothing was sent.
    NotSent(Problem),
    /// There was no token, so nothing was sent; or what was sent was answered with 401, so nothing was done.
    Token(TokenError),
}

impl Client {
    /// # Errors
    /// [`ConfigError`] for a wrong field, and for certificates that are none.
    pub(crate) fn new(config: &GraphConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let cloud = config.cloud.endpoints()?;
        let http = http_client(config, &cloud)?;
        let graph = GraphRoot::new(cloud.graph);
        let tokens = TokenSource::new(config, &cloud.authority, graph.scope(), http.clone())?;
        Ok(Self {
            http,
            tokens,
            graph,
            consent: Consent::new(&cloud.authority, config),
            rate: config
                .rate_control
                .controller(&config.client_id, &config.tenant, &QUOTAS),
            traffic: Counter::default(),
        })
    }

    /// Sends `call` once; and, if the token was not accepted, once more with a new one: a 401 is given before anything
    /// else is looked at.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, SendError> {
        let token = self.token().await?;
        let answer = self.exchange(call, &token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let fresh = self.tokens.replace(&token).await;
        let fresh = fresh.map_err(SendError::Token)?;
        self.exchange(call, &fresh).await
    }

    pub(crate) async fn token(&self) -> Result<Token, SendError> {
        self.tokens.token().await.map_err(SendError::Token)
    }

    /// Has the next request fetch a new token.
    pub(crate) fn forget_token(&self) {
        self.tokens.forget_all();
    }

    async fn exchange(&self, call: &Call, token: &Token) -> Result<Answer, SendError> {
        let place = call.url.place(call.method.clone());
        let mut request = self
            .http
            .request(call.method.clone(), call.url.as_url().clone())
            .header(AUTHORIZATION, token.header());
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        self.traffic.sent();
        let answer = answered(request, place).await?;
        if let Some(kind) = call.kind {
            self.hear(kind, &answer);
        }
        Ok(answer)
    }

    /// Takes note of what `answer` says about how fast to go.
    pub(crate) fn hear(&self, kind: RequestKind, answer: &Answer) {
        if let Some(heard) = answer.heard {
            self.rate.heard(kind, heard);
        }
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            self.traffic.throttled();
        }
    }

    /// Sends `form` to the token endpoint at `url`, once.
    pub(crate) async fn post_form(&self, url: &Url, form: Bytes) -> Result<Answer, SendError> {
        let request = self.http.post(url.clone());
        let request = request.header(CONTENT_TYPE, FORM).body(form);
        answered(request, Place::new(Method::POST, Arc::new(url.clone()))).await
    }
}

/// Sends `request` and reads the whole answer. The log hears of neither body.
async fn answered(request: RequestBuilder, place: Place) -> Result<Answer, SendError> {
    // The server keeps it next to its own id, which we do not learn if the answer is lost.
    let id = Uuid::new_v4();
    let mut text = Uuid::encode_buffer();
    let text = &*id.hyphenated().encode_lower(&mut text);
    let request = request
        .header(ACCEPT, JSON)
        .header("client-request-id", text);
    let sent = request.send().await;
    let response = sent.map_err(|error| without_answer(&error, &place, id))?;
    let answer = Answer::read(response, place.clone()).await;
    let answer = answer.map_err(|wrong| lost(&place, &wrong, id))?;
    tracing::debug!(
        %place,
        status = answer.status.as_u16(),
        request_id = answer.request_id,
        client_request_id = %id,
        "answered"
    );
    Ok(answer)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("graph", &self.graph)
            .field("traffic", &self.traffic)
            .finish_non_exhaustive()
    }
}

/// A client that sends each request once and goes nowhere by itself: retries are the engine's, redirects nobody's.
fn http_client(config: &GraphConfig, cloud: &CustomCloud) -> Result<reqwest::Client, ConfigError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rotation/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
        .timeout(config.timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never());
    if cloud.is_plain() {
        // Loopback: through a proxy it would be neither loopback nor private.
        builder = builder.no_proxy();
    } else {
        builder = builder.https_only(true);
    }
    if let Some(pem) = &cloud.ca_pem {
        builder = builder.tls_certs_only(certificates(pem)?);
    }
    builder.build().map_err(|error| ConfigError::Setup {
        part: "the HTTP client",
        reason: last_cause(&error),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, ConfigError> {
    let wrong = |found: &str| {
        ConfigError::field(
            "cloud.ca_file",
            found,
            "one or more certificates in PEM form",
        )
    };
    let certificates =
        Certificate::from_pem_bundle(pem).map_err(|error| wrong(&last_cause(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate"));
    }
    Ok(certificates)
}

/// Tells "never sent" from "answer lost". A failure to resolve, connect or agree on TLS comes before the request.
fn without_answer(error: &reqwest::Error, place: &Place, id: Uuid) -> SendError {
    let cause = last_cause(error);
    if error.is_builder() || error.is_connect() {
        let problem = Problem::new(format!("{place} was not sent: {cause}"));
        return SendError::NotSent(problem.with_fix("check the network, the proxy and `cloud`"));
    }
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        format!("no answer: {cause}")
    };
    lost(place, &what, id)
}

/// Microsoft's support can find a request by our own id when we never learnt theirs.
fn lost(place: &Place, what: &str, id: Uuid) -> SendError {
    let problem = Problem::new(format!("{place}: {what} (client-request-id {id})"));
    SendError::Lost(problem.with_fix("check the network and the proxy on the way to it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cloud, Credential};

    fn client(cloud: Cloud) -> Result<Client, ConfigError> {
        let client_id = "11111111-2222-3333-4444-555555555555";
        let credential = Credential::ClientSecret("hunter2".into());
        let config = GraphConfig::new("contoso.com", client_id, credential);
        Client::new(&config.with_cloud(cloud))
    }

    #[test]
    fn every_cloud_of_microsoft_can_be_set_up() {
        for cloud in [Cloud::China, Cloud::Global, Cloud::UsGov, Cloud::UsGovDod] {
            let client = client(cloud.clone());
            assert!(client.is_ok(), "{cloud:?}: {client:?}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        for pem in ["", "no certificate"] {
            let ca_pem = Some(pem.as_bytes().to_vec());
            let cloud = Cloud::custom("https://a.example", "https://g.example", ca_pem).unwrap();
            let error = client(cloud).unwrap_err().to_string();
            assert!(
                error.starts_with("cloud.ca_file: found no certificate"),
                "{error}"
            );
        }
    }
}
