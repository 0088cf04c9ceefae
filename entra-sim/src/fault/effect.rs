//! What goes wrong.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
        /// The error code in the body, if not the usual one.
        #[serde(default)]
        code: Option<String>,
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
    /// Closes the connection without a byte of answer.
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
    /// Leaves the item out of the batch's answer; outside a batch the same as `Disconnect`.
    Omit {
        /// The request takes effect.
        #[serde(default)]
        applied: bool,
    },
    /// Sends the right answer, its JSON cut in the middle.
    TruncatedJson,
}

/// How an exchange ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered(Reply),
    Disconnected,
    Hanging,
    Omitted,
}

impl Effect {
    /// 429 with `Retry-After`; not applied.
    pub fn throttled(retry_after: u64) -> Self {
        Self::Answer {
            status: 429,
            retry_after: Some(retry_after),
            code: None,
            applied: false,
        }
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

    /// The request takes effect and is never answered.
    pub fn hang_after() -> Self {
        Self::Hang { applied: true }
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
                Endpoint::Token => token_error(status, retry_after, now),
                _ => refuse(&graph_error(status, retry_after, code)),
            }),
            Self::Delay { .. } => changed(&|reply| reply),
            Self::Disconnect { .. } => Outcome::Disconnected,
            Self::ForeignNextLink { origin } => changed(&|reply| redirected(reply, &origin)),
            Self::Hang { .. } => Outcome::Hanging,
            Self::Html { status, .. } => Outcome::Answered(web_page(status)),
            Self::Omit { .. } => Outcome::Omitted,
            Self::TruncatedJson => changed(&truncated),
        }
    }

    /// Whether the request takes its course, whatever the client is told.
    pub(crate) fn takes_effect(&self) -> bool {
        match self {
            Self::Answer { applied, .. }
            | Self::Disconnect { applied }
            | Self::Hang { applied }
            | Self::Html { applied, .. }
            | Self::Omit { applied } => *applied,
            Self::Delay { .. } | Self::ForeignNextLink { .. } | Self::TruncatedJson => true,
        }
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The error that Graph sends with this status.
fn graph_error(status: u16, retry_after: Option<u64>, code: Option<String>) -> GraphError {
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
        Some(seconds) => error.header(header::RETRY_AFTER, seconds.to_string()),
        None => error,
    }
}

fn token_error(status: u16, retry_after: Option<u64>, now: Timestamp) -> Reply {
    let reply = AadSts::Transient(status_code(status)).reply(now, None);
    match retry_after {
        Some(seconds) => reply.header(header::RETRY_AFTER, &seconds.to_string()),
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
    fn applied_decides_whether_the_request_takes_effect() {
        for (effect, expected) in [
            (Effect::disconnect_before(), false),
            (Effect::disconnect_after(), true),
            (Effect::hang_after(), true),
            (Effect::status(503), false),
            (Effect::status_after(503), true),
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
}
