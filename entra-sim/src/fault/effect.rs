//! What goes wrong.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::graph::GraphError;
use crate::reply::{Content, Reply};
use crate::token::AadSts;

/// What happens to a request that a fault strikes.
///
/// `applied` says whether the request takes effect all the same: with it, the client is told
/// something else than the truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "kind"
)]
#[non_exhaustive]
pub enum Effect {
    /// Answers with this status and Graph's error body for it.
    Answer {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` says: seconds, a date, or nonsense.
        #[serde(default, deserialize_with = "number_or_text")]
        retry_after: Option<String>,
        /// The error code in the body, if not the usual one; at the token endpoint an AADSTS number.
        #[serde(default)]
        code: Option<String>,
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with this status and breaks off in the middle of Graph's error body for it.
    BrokenOff {
        /// The HTTP status.
        status: u16,
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Waits between these milliseconds, then goes on.
    Delay {
        /// At least so long.
        min_ms: u64,
        /// At most so long.
        max_ms: u64,
    },
    /// Closes the connection without a byte of answer, as a server does that ends.
    Disconnect {
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Replaces the next link's scheme and host by this origin.
    ForeignNextLink {
        /// For example `https://attacker.example`.
        origin: String,
    },
    /// Never answers and keeps the connection open.
    Hang {
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with a web page, as proxies do.
    Html {
        /// The HTTP status.
        status: u16,
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Answers every item of a batch under an id that nobody gave.
    InventedIds,
    /// Closes the connection at once, or leaves the item out of the batch's answer; the request takes effect later, as
    /// one that was stuck on its way.
    Late {
        /// After so many milliseconds; without, when [`Server::release_late`](crate::Server::release_late) says so.
        #[serde(default)]
        after_ms: Option<u64>,
    },
    /// Leaves the item out of the batch's answer; outside a batch the same as `Disconnect`.
    Omit {
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Answers every item of a batch twice.
    RepeatedItems {
        /// The HTTP status of the second time, if it is another one than the first.
        #[serde(default)]
        status: Option<u16>,
    },
    /// Sends the client elsewhere.
    Redirect {
        /// The HTTP status.
        status: u16,
        /// What `Location` says.
        location: String,
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Resets the connection (TCP RST) without a byte of answer, as a network does that fails.
    Reset {
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Sends the right answer, its JSON cut in the middle.
    TruncatedJson,
    /// Answers a batch without its items.
    WithoutResponses,
}

/// Seconds may be written as a number.
fn number_or_text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    Ok(Option::deserialize(value)?.map(|written| match written {
        Written::Number(seconds) => seconds.to_string(),
        Written::Text(text) => text,
    }))
}

/// How an exchange ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered(Reply),
    BrokenOff(Reply),
    Disconnected,
    Hanging,
    /// To take effect later.
    Late(Option<Duration>),
    Omitted,
    Reset,
}

impl Effect {
    /// 429 with `Retry-After`; not applied.
    pub fn throttled(retry_after: u64) -> Self {
        Self::status(429).retry_after(retry_after.to_string())
    }

    /// This status; not applied.
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            retry_after: None,
            code: None,
            applied: false,
        }
    }

    /// This status although the request took effect.
    pub fn status_after(status: u16) -> Self {
        Self::Answer {
            status,
            retry_after: None,
            code: None,
            applied: true,
        }
    }

    /// The same answer with these words in `Retry-After`; other effects have none.
    #[must_use]
    pub fn retry_after(mut self, words: impl Into<String>) -> Self {
        if let Self::Answer { retry_after, .. } = &mut self {
            *retry_after = Some(words.into());
        }
        self
    }

    /// The same answer with this code in its body; other effects have none.
    #[must_use]
    pub fn code(mut self, words: impl Into<String>) -> Self {
        if let Self::Answer { code, .. } = &mut self {
            *code = Some(words.into());
        }
        self
    }

    /// The token endpoint's answer with this AADSTS number.
    pub fn aadsts(number: u32) -> Self {
        Self::status(400).code(number.to_string())
    }

    /// 401 as for an access token that has expired; not applied.
    pub fn expired_token() -> Self {
        Self::status(401)
    }

    /// The connection breaks before the request takes effect.
    pub fn disconnect_before() -> Self {
        Self::Disconnect { applied: false }
    }

    /// The request takes effect and the connection breaks: a lost answer.
    pub fn disconnect_after() -> Self {
        Self::Disconnect { applied: true }
    }

    /// The request does not take effect and is never answered.
    pub fn hang_before() -> Self {
        Self::Hang { applied: false }
    }

    /// The request takes effect and is never answered.
    pub fn hang_after() -> Self {
        Self::Hang { applied: true }
    }

    /// The connection breaks, and the request takes effect when [`Server::release_late`](crate::Server::release_late)
    /// says so.
    pub fn late() -> Self {
        Self::Late { after_ms: None }
    }

    /// The connection is reset before the request takes effect.
    pub fn reset_before() -> Self {
        Self::Reset { applied: false }
    }

    /// The request takes effect and the connection is reset.
    pub fn reset_after() -> Self {
        Self::Reset { applied: true }
    }

    /// A fixed delay.
    pub fn delay(time: Duration) -> Self {
        Self::delay_between(time, time)
    }

    /// A random delay.
    pub fn delay_between(min: Duration, max: Duration) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self::Delay {
            min_ms: ms(min),
            max_ms: ms(max),
        }
    }

    /// What the client gets: `right` is the right answer, if the request took its course, and
    /// `refuse` renders an error with the ids of this request.
    pub(crate) fn distort(
        self,
        endpoint: Endpoint,
        right: Option<Reply>,
        now: Timestamp,
        refuse: impl FnOnce(&GraphError) -> Reply,
    ) -> Outcome {
        let changed = |change: &dyn Fn(Reply) -> Reply| match right {
            Some(reply) => Outcome::Answered(change(reply)),
            None => Outcome::Disconnected,
        };
        match self {
            Self::Answer {
                status,
                retry_after,
                code,
                ..
            } => Outcome::Answered(match endpoint {
                Endpoint::Token => token_error(status, retry_after, code, now),
                _ if status_code(status).is_success() => Reply::empty(status_code(status)),
                _ => refuse(&graph_error(status, retry_after, code)),
            }),
            Self::BrokenOff { status, .. } => {
                Outcome::BrokenOff(refuse(&graph_error(status, None, None)))
            }
            Self::Delay { .. } => changed(&|reply| reply),
            Self::Disconnect { .. } => Outcome::Disconnected,
            Self::ForeignNextLink { origin } => changed(&|reply| redirected(reply, &origin)),
            Self::Hang { .. } => Outcome::Hanging,
            Self::Html { status, .. } => Outcome::Answered(web_page(status)),
            Self::InventedIds => changed(&|reply| with_items(reply, invented)),
            Self::Late { after_ms } => Outcome::Late(after_ms.map(Duration::from_millis)),
            Self::Omit { .. } => Outcome::Omitted,
            Self::Redirect {
                status, location, ..
            } => {
                let reply = Reply::empty(status_code(status));
                Outcome::Answered(reply.header(header::LOCATION, &location))
            }
            Self::RepeatedItems { status } => {
                changed(&|reply| with_items(reply, |items| repeated(items, status)))
            }
            Self::Reset { .. } => Outcome::Reset,
            Self::TruncatedJson => changed(&truncated),
            Self::WithoutResponses => changed(&without_items),
        }
    }

    /// Whether the request takes its course, whatever the client is told.
    pub(crate) fn takes_effect(&self) -> bool {
        match self {
            Self::Answer { applied, .. }
            | Self::BrokenOff { applied, .. }
            | Self::Disconnect { applied }
            | Self::Hang { applied }
            | Self::Html { applied, .. }
            | Self::Omit { applied }
            | Self::Redirect { applied, .. }
            | Self::Reset { applied } => *applied,
            Self::Late { .. } => false,
            Self::Delay { .. }
            | Self::ForeignNextLink { .. }
            | Self::InventedIds
            | Self::RepeatedItems { .. }
            | Self::TruncatedJson
            | Self::WithoutResponses => true,
        }
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The error that Graph sends with this status.
fn graph_error(status: u16, retry_after: Option<String>, code: Option<String>) -> GraphError {
    let (usual, message) = match status {
        401 => return GraphError::expired_token(),
        403 => (
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ),
        404 => (
            "Request_ResourceNotFound",
            "Resource does not exist or one of its queried reference-property objects are not present.",
        ),
        409 => (
            "Directory_ConcurrencyViolation",
            "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.",
        ),
        412 => (
            "Request_PreconditionFailed",
            "A precondition of the request does not hold.",
        ),
        429 => ("TooManyRequests", "Please retry again later."),
        400 => ("Request_BadRequest", "The request is refused."),
        500 => (
            "Service_InternalServerError",
            "Encountered an internal server error.",
        ),
        503 => ("serviceNotAvailable", "Service is temporarily unavailable."),
        _ => ("UnknownError", ""),
    };
    let mut error = GraphError::new(status_code(status), usual, message);
    if let Some(code) = code {
        error.code = Cow::Owned(code);
    }
    match retry_after {
        Some(words) => error.header(header::RETRY_AFTER, words),
        None => error,
    }
}

fn token_error(
    status: u16,
    retry_after: Option<String>,
    code: Option<String>,
    now: Timestamp,
) -> Reply {
    let status = status_code(status);
    let error = match code.and_then(|code| code.parse().ok()) {
        Some(number) => AadSts::Scripted { number, status },
        None => AadSts::Transient(status),
    };
    let reply = error.reply(now, None);
    match retry_after {
        Some(words) => reply.header(header::RETRY_AFTER, &words),
        None => reply,
    }
}

fn web_page(status: u16) -> Reply {
    let page = "<!DOCTYPE html><html><head><title>Service unavailable</title></head>\
                <body><h1>The request could not be satisfied.</h1></body></html>";
    Reply::text(
        status_code(status),
        "text/html; charset=utf-8",
        page.to_owned(),
    )
}

fn truncated(mut reply: Reply) -> Reply {
    if let Content::Json(value) = &reply.content {
        let text = value.to_string();
        let half = text.len() / 2;
        let end = (0..=half).rev().find(|at| text.is_char_boundary(*at));
        let cut = end.and_then(|end| text.get(..end)).unwrap_or_default();
        reply.content = Content::Text("application/json; charset=utf-8", cut.to_owned());
    }
    reply
}

fn redirected(mut reply: Reply, origin: &str) -> Reply {
    if let Content::Json(Value::Object(body)) = &mut reply.content
        && let Some(Value::String(link)) = body.get_mut("@odata.nextLink")
    {
        let below = link.split_once("://").map_or("", |(_, rest)| rest);
        let path = below.find('/').and_then(|at| below.get(at..));
        *link = format!(
            "{}{}",
            origin.trim_end_matches('/'),
            path.unwrap_or_default()
        );
    }
    reply
}

/// The answer to a batch with other items; any other answer stays.
fn with_items(mut reply: Reply, change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    if let Content::Json(body) = &mut reply.content
        && let Some(Value::Array(items)) = body.get_mut(RESPONSES)
    {
        change(items);
    }
    reply
}

fn without_items(mut reply: Reply) -> Reply {
    if let Content::Json(Value::Object(body)) = &mut reply.content {
        body.remove(RESPONSES);
    }
    reply
}

fn invented(items: &mut Vec<Value>) {
    for item in items {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
        item["id"] = format!("{id}-invented").into();
    }
}

fn repeated(items: &mut Vec<Value>, status: Option<u16>) {
    let mut again = items.clone();
    if let Some(status) = status {
        again
            .iter_mut()
            .for_each(|item| item["status"] = status.into());
    }
    items.append(&mut again);
}

/// Where the answer to a batch has its items.
const RESPONSES: &str = "responses";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Fault;

    fn answered(effect: Effect, body: Value) -> Reply {
        let refuse = |error: &GraphError| Reply::empty(error.status);
        let right = Some(Reply::json(StatusCode::OK, body));
        match effect.distort(Endpoint::Users, right, Timestamp::UNIX_EPOCH, refuse) {
            Outcome::Answered(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_truncated_body_is_half_of_the_right_one() {
        let reply = answered(Effect::TruncatedJson, json!({"value": vec!["é"; 40]}));
        let Content::Text(_, text) = reply.content else {
            panic!("not text");
        };
        assert!(serde_json::from_str::<Value>(&text).is_err() && text.len() > 50);
    }

    #[test]
    fn a_foreign_next_link_keeps_path_and_query() {
        let origin = "https://attacker.example".to_owned();
        let body = json!({"@odata.nextLink": "http://127.0.0.1:1/v1.0/users?a=b"});
        let reply = answered(Effect::ForeignNextLink { origin }, body);
        let Content::Json(body) = reply.content else {
            panic!("not JSON");
        };
        assert_eq!(
            body["@odata.nextLink"],
            "https://attacker.example/v1.0/users?a=b"
        );
    }

    #[test]
    fn the_items_of_a_batch_are_repeated_renamed_or_left_out() {
        let batch = json!({"responses": [{"id": "1", "status": 204}, {"id": "2", "status": 404}]});
        let of = |effect| {
            let reply = answered(effect, batch.clone());
            let Content::Json(body) = reply.content else {
                panic!("not JSON");
            };
            let items = body["responses"].as_array().cloned().unwrap_or_default();
            let item = |item: &Value| (item["id"].to_string(), item["status"].to_string());
            items.iter().map(item).collect::<Vec<_>>()
        };
        let items = |items: &[(&str, &str)]| {
            let text = |text: &str| text.to_owned();
            let items = items
                .iter()
                .map(|(id, status)| (format!("\"{id}\""), text(status)));
            items.collect::<Vec<_>>()
        };
        let same = [("1", "204"), ("2", "404"), ("1", "204"), ("2", "404")];
        assert_eq!(of(Effect::RepeatedItems { status: None }), items(&same));
        let other = [("1", "204"), ("2", "404"), ("1", "500"), ("2", "500")];
        assert_eq!(
            of(Effect::RepeatedItems { status: Some(500) }),
            items(&other)
        );
        let renamed = [("1-invented", "204"), ("2-invented", "404")];
        assert_eq!(of(Effect::InventedIds), items(&renamed));
        assert_eq!(of(Effect::WithoutResponses), []);
    }

    #[test]
    fn applied_decides_whether_the_request_takes_effect() {
        for (effect, expected) in [
            (Effect::disconnect_before(), false),
            (Effect::disconnect_after(), true),
            (Effect::hang_after(), true),
            (Effect::status(503), false),
            (Effect::status_after(503), true),
            (Effect::reset_before(), false),
            (Effect::reset_after(), true),
            (Effect::late(), false),
            (Effect::InventedIds, true),
            (Effect::RepeatedItems { status: Some(400) }, true),
            (Effect::WithoutResponses, true),
        ] {
            assert_eq!(effect.takes_effect(), expected, "{effect:?}");
        }
    }

    #[test]
    fn faults_can_be_written_as_json() {
        let fault: Fault = serde_json::from_value(json!({
            "effect": {"kind": "answer", "status": 429, "retryAfter": 2},
            "method": "PATCH",
            "endpoint": "user",
            "times": 3,
        }))
        .unwrap();
        assert_eq!(fault, Fault::on_patch(Effect::throttled(2)).times(3));
    }

    #[test]
    fn every_effect_survives_json() {
        let location = "https://elsewhere.example/".to_owned();
        for effect in [
            Effect::throttled(2),
            Effect::status(429).retry_after("Sat, 21 Nov 2026 12:00:00 GMT"),
            Effect::aadsts(50_053),
            Effect::BrokenOff {
                status: 400,
                applied: true,
            },
            Effect::delay(Duration::from_secs(1)),
            Effect::disconnect_before(),
            Effect::ForeignNextLink {
                origin: location.clone(),
            },
            Effect::hang_before(),
            Effect::Html {
                status: 502,
                applied: false,
            },
            Effect::InventedIds,
            Effect::late(),
            Effect::Late { after_ms: Some(5) },
            Effect::Omit { applied: true },
            Effect::Redirect {
                status: 307,
                location,
                applied: false,
            },
            Effect::RepeatedItems { status: Some(400) },
            Effect::reset_after(),
            Effect::TruncatedJson,
            Effect::WithoutResponses,
        ] {
            let fault = Fault::new(effect);
            let written = serde_json::to_string(&fault).unwrap();
            let read: Fault = serde_json::from_str(&written).unwrap();
            assert_eq!(read, fault, "{written}");
        }
    }
}
