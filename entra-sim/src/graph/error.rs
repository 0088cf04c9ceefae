//! The error answers of Graph.
//!
//! <https://learn.microsoft.com/graph/errors>

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::reply::Reply;

/// The ids of one request, which every answer carries.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    request: HeaderValue,
    client_request: HeaderValue,
}

impl Ids {
    /// The client's own id is echoed if it sent one.
    pub(crate) fn new(request: Uuid, client_request: Option<&HeaderValue>) -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = request.hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits and hyphens are what a header may carry.
        let request = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        let client_request = match client_request {
            // Copied, as it would otherwise keep all that was read with it.
            Some(id) => HeaderValue::from_bytes(id.as_bytes()).unwrap_or_else(|_| request.clone()),
            None => request.clone(),
        };
        Self {
            request,
            client_request,
        }
    }
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// Why a request is refused, as Graph says it.
#[derive(Clone, Debug)]
pub(crate) struct GraphError {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    pub(crate) headers: Vec<(HeaderName, String)>,
}

impl GraphError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// Too many requests; not applied. `Retry-After` may say anything or be absent.
    pub(crate) fn throttled(retry_after: Option<String>) -> Self {
        let error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Please retry again later.",
        );
        match retry_after {
            Some(words) => error.header(header::RETRY_AFTER, words),
            None => error,
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The directory refuses what was asked.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// The gateway in front of the directory cannot read the request.
    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unsupported_query(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub(crate) fn expired_page() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    }

    pub(crate) fn unauthenticated(message: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "InvalidAuthenticationToken",
            message,
        )
    }

    pub(crate) fn expired_token() -> Self {
        Self::unauthenticated("Access token has expired or is not yet valid.")
    }

    pub(crate) fn denied() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    pub(crate) fn restricted_unit() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation. Target object is a member of a restricted management administrative unit and can only be modified by administrators scoped to that administrative unit.",
        )
    }

    /// There is such an object already.
    pub(crate) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "Request_MultipleObjectsWithSameKeyValue",
            message,
        )
    }

    pub(crate) fn not_found(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    /// The answer with its ids in body and headers.
    pub(crate) fn reply(&self, ids: &Ids, now: Timestamp) -> Reply {
        let mut inner = json!({
            "date": now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": text(&ids.request),
            "client-request-id": text(&ids.client_request),
        });
        if let (StatusCode::TOO_MANY_REQUESTS, Some(members)) = (self.status, inner.as_object_mut())
        {
            members.insert("code".to_owned(), json!("429"));
            members.insert("message".to_owned(), json!("Please retry after"));
            members.insert("status".to_owned(), json!("429"));
        }
        let body = json!({"error": {
            "code": self.code,
            "message": self.message,
            "innerError": inner,
        }});
        let reply = Reply::json(self.status, body);
        self.headers.iter().fold(reply, |reply, (name, value)| {
            reply.header(name.clone(), value)
        })
    }
}

/// Adds the ids that every answer of Graph carries.
pub(crate) fn with_ids(mut reply: Reply, ids: &Ids) -> Reply {
    const REQUEST: HeaderName = HeaderName::from_static("request-id");
    const CLIENT_REQUEST: HeaderName = HeaderName::from_static("client-request-id");
    reply.headers.push((REQUEST, ids.request.clone()));
    reply
        .headers
        .push((CLIENT_REQUEST, ids.client_request.clone()));
    reply
}
