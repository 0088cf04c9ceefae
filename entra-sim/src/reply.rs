//! An answer before it becomes HTTP: what `$batch` packs and faults mutilate.

use std::fmt::Write as _;
use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use futures::{StreamExt as _, future, stream};
use serde_json::Value;

/// The body of a [`Reply`].
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    /// JSON as text: an object that ends in its closing brace.
    Rendered(String),
    /// Media type and text.
    Text(&'static str, String),
}

/// Status, headers and body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) content: Content,
}

impl Reply {
    const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Empty,
        }
    }

    pub(crate) fn json(status: StatusCode, value: Value) -> Self {
        Self {
            content: Content::Json(value),
            ..Self::empty(status)
        }
    }

    /// A JSON object that is text already.
    pub(crate) fn rendered(status: StatusCode, text: String) -> Self {
        Self {
            content: Content::Rendered(text),
            ..Self::empty(status)
        }
    }

    pub(crate) fn text(status: StatusCode, media_type: &'static str, text: String) -> Self {
        Self {
            content: Content::Text(media_type, text),
            ..Self::empty(status)
        }
    }

    /// Adds a header; a value that HTTP cannot carry is left out.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds a member that is not there yet to a JSON object; other bodies have no members.
    pub(crate) fn insert(&mut self, name: &str, value: Value) {
        match &mut self.content {
            Content::Json(Value::Object(members)) => {
                members.insert(name.to_owned(), value);
            }
            Content::Rendered(text) => {
                text.pop();
                let comma = if text == "{" { "" } else { "," };
                // Writing to a string cannot fail.
                write!(text, "{comma}{}:{value}}}", Value::from(name)).ok();
            }
            Content::Empty | Content::Json(_) | Content::Text(..) => {}
        }
    }

    /// The same with its JSON as values, to be looked into.
    #[must_use]
    pub(crate) fn parsed(mut self) -> Self {
        if let Content::Rendered(text) = &self.content {
            self.content = Content::Json(serde_json::from_str(text).unwrap_or_default());
        }
        self
    }

    /// The head of the answer and half of its body, after which the connection breaks.
    pub(crate) fn into_broken_http(self) -> Response<Body> {
        let text = match &self.content {
            Content::Empty => String::new(),
            Content::Json(value) => value.to_string(),
            Content::Rendered(text) | Content::Text(_, text) => text.clone(),
        };
        let half: Vec<u8> = text.bytes().take(text.len() / 2).collect();
        let pieces = stream::once(future::ready(Ok(half))).chain(stream::once(async {
            // Until then the first half goes out.
            tokio::task::yield_now().await;
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }));
        let mut response = self.into_http();
        let length = HeaderValue::from(text.len());
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
        *response.body_mut() = Body::from_stream(pieces);
        response
    }

    pub(crate) fn into_http(self) -> Response<Body> {
        let (media_type, body) = match self.content {
            Content::Empty => (None, Body::empty()),
            Content::Json(value) => (Some(Self::JSON), Body::from(value.to_string())),
            Content::Rendered(text) => (Some(Self::JSON), Body::from(text)),
            Content::Text(media_type, text) => {
                (Some(HeaderValue::from_static(media_type)), Body::from(text))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(media_type) = media_type {
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}
