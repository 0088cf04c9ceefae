use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use entra_directory::Need;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use rotation_core::{BackendError, Heard, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::cause::last_cause;
use crate::consent::Consent;
use crate::date::date;
use crate::heard::heard;
use crate::place::Place;
use crate::quote::quotable;
use crate::retry_after::retry_after;

/// The longest answer we read, unpacked. A full page of users has about 1 MiB.
const LONGEST_ANSWER: usize = 32 << 20;

/// No code of Graph is longer.
const LONGEST_CODE: usize = 100;

/// What to do when Graph refuses even a new token.
pub(crate) const TOKEN_FIX: &str =
    "Graph does not accept the tokens of this authority: check `cloud`, and this machine's clock";

/// One whole answer of Graph or of the token endpoint, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) place: Place,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// What it says about how fast to go.
    pub(crate) heard: Option<Heard>,
    /// When the server answered, by its own clock.
    pub(crate) answered_at: Option<Timestamp>,
    /// What Graph says is wrong, if it is Graph that speaks.
    pub(crate) error: Option<ODataError>,
    /// Whether it demands a token that answers a claims challenge
    /// (<https://learn.microsoft.com/entra/identity-platform/claims-challenge>).
    pub(crate) claims_challenge: bool,
    content_type: Option<&'static str>,
    body: Bytes,
}

/// The `error` of an answer (<https://learn.microsoft.com/graph/errors>).
#[derive(Debug, Deserialize)]
pub(crate) struct ODataError {
    pub(crate) code: String,
    /// For recognising a case; never shown, since it may repeat what was sent.
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default, rename = "innerError", alias = "innererror")]
    inner: Option<InnerError>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct InnerError {
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ODataError,
}

impl Answer {
    /// Reads `response` to its end.
    ///
    /// # Errors
    /// What is wrong, if the answer breaks off or has no end in sight.
    pub(crate) async fn read(mut response: Response, place: Place) -> Result<Self, String> {
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if body.len() + chunk.len() <= LONGEST_ANSWER => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Err(format!("the answer exceeds {LONGEST_ANSWER} bytes")),
                Err(error) => {
                    let cause = last_cause(&error);
                    return Err(format!("the answer broke off: {cause}"));
                }
            }
        }
        let answered_at = date(response.headers());
        let (status, headers) = (response.status(), response.headers());
        Ok(Self::new(
            status,
            headers,
            answered_at,
            place,
            body.freeze(),
        ))
    }

    /// An answer of these parts.
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        answered_at: Option<Timestamp>,
        place: Place,
        body: Bytes,
    ) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let error = if status.is_success() {
            None
        } else {
            serde_json::from_slice::<ErrorBody>(&body).ok()
        };
        let error = error.map(|body| body.error);
        let inner = error.as_ref().and_then(|error| error.inner.as_ref());
        let request_id = text("request-id")
            .or_else(|| inner.and_then(|inner| inner.request_id.as_deref()))
            .and_then(guid);
        let retry_after = retry_after(headers, answered_at.map(SystemTime::from));
        let challenge = text(WWW_AUTHENTICATE.as_str()).unwrap_or_default();
        Self {
            status,
            request_id,
            retry_after,
            heard: heard(status, headers, retry_after),
            answered_at,
            claims_challenge: challenge.contains("claims="),
            content_type: text(CONTENT_TYPE.as_str()).and_then(media_type),
            place,
            error,
            body,
        }
    }

    /// The whole body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Graph's code for what is wrong.
    pub(crate) fn code(&self) -> Option<&str> {
        self.error.as_ref().map(|error| error.code.as_str())
    }

    /// Whether Graph, and not somebody in between, says that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.error.is_some()
    }

    /// The answer in one sentence: what was asked, status and code.
    pub(crate) fn problem(&self) -> Problem {
        let code = match self.code() {
            Some(code) if is_word(code) => format!(" {code}"),
            Some(_) => " with a code that is none of Graph's".to_owned(),
            None if self.status.is_success() => String::new(),
            None => format!(" without the error that Graph gives, but {}", self.kind()),
        };
        let message = format!("{} answered {}{code}", self.place, self.status.as_u16());
        Problem::new(message).with_request_id(self.request_id.clone())
    }

    /// The resource that a read asked for.
    ///
    /// # Errors
    /// - [`BackendError::NotAuthorized`] for 401 and 403, with `need` in its fix;
    /// - [`BackendError::Unexpected`] for every other status than 200, and for a body that is not what Graph documents.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        need: &Need,
        consent: &Consent,
    ) -> Result<T, BackendError> {
        if self.status != StatusCode::OK {
            return Err(self.refusal(need, consent));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let wrong = if error.is_data() {
                format!("is not as documented: {}", quotable(&error.to_string()))
            } else if error.is_eof() && !self.body.is_empty() {
                format!("ends in the middle, after {} bytes", self.body.len())
            } else {
                format!("is not JSON but {}", self.kind())
            };
            let message = format!("cannot {}: the answer to {} {wrong}", need.to, self.place);
            BackendError::Unexpected(Problem::new(message).with_request_id(self.request_id.clone()))
        })
    }

    fn refusal(&self, need: &Need, consent: &Consent) -> BackendError {
        let mut problem = self.problem();
        problem.message = format!("cannot {}: {}", need.to, problem.message);
        let grant = consent.permission(need.permission);
        let pim = format!(
            "set `pim = false` if the tenant has no Privileged Identity Management (Entra ID P2 or Governance); else {grant}"
        );
        match self.status {
            StatusCode::UNAUTHORIZED => BackendError::NotAuthorized(problem.with_fix(TOKEN_FIX)),
            StatusCode::FORBIDDEN if !need.pim => {
                BackendError::NotAuthorized(problem.with_fix(grant))
            }
            StatusCode::FORBIDDEN => BackendError::NotAuthorized(problem.with_fix(pim)),
            _ if need.pim => BackendError::Unexpected(problem.with_fix(pim)),
            _ => BackendError::Unexpected(problem),
        }
    }

    fn kind(&self) -> &str {
        match (self.body.is_empty(), self.content_type) {
            (true, _) => "nothing",
            (false, None) => "something of another content type",
            (false, Some(content_type)) => content_type,
        }
    }
}

/// Whether `code` is written as Graph writes its codes. Anything else might repeat the password that was sent.
fn is_word(code: &str) -> bool {
    let in_code = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(in_code)
}

/// An id of a request, which Graph writes as a GUID. Anything else might repeat the password, too.
fn guid(text: &str) -> Option<String> {
    let id: Uuid = text.parse().ok()?;
    Some(id.to_string())
}

/// The media type that `text` begins with, if it is one of those that are met in Graph's place.
fn media_type(text: &str) -> Option<&'static str> {
    let known = [
        "application/json",
        "application/xml",
        "text/html",
        "text/plain",
    ];
    known.into_iter().find(|known| text.starts_with(known))
}
