//! What an error record of PowerShell says, taken apart.

use std::time::Duration;

use jiff::Timestamp;
use rotation_core::Problem;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::protocol::Record;
use crate::redact::{WITHHELD, gives_away, one_line};

/// The longest wait that a number of seconds is taken for.
const LONGEST_WAIT: u64 = 24 * 60 * 60;

/// What the modules say where an answer has no code.
const NO_CODE: &str = "UnknownError";

/// What one call of a module came to, if not to what was asked for: the answer of a server, or an error record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    /// The HTTP status, where there is one.
    pub(crate) status: Option<u16>,
    /// Graph's code.
    pub(crate) code: Option<String>,
    /// The number that a domain controller gives (`ActiveDirectoryServer:1325`).
    pub(crate) number: Option<u32>,
    /// In lower case, for recognising a case.
    pub(crate) words: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
    /// Whether the cmdlet that changes a password was called.
    pub(crate) sent: bool,
    /// Whether it had succeeded.
    pub(crate) set: bool,
    record: Record,
}

/// The answer of Graph that a worker hands on as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) retry_after: String,
    pub(crate) date: String,
    pub(crate) body: String,
}

impl Record {
    /// Sees to it that nothing of it is repeated, if any of it holds `secret`. What it means can still be told: words of a
    /// password are in the words of many a refusal by chance.
    pub(crate) fn withhold(&mut self, secret: &str) {
        let mut texts = self
            .types
            .iter()
            .chain([&self.category, &self.id, &self.message]);
        self.is_withheld = texts.any(|text| gives_away(text, secret));
    }

    /// What it says, fit for one line.
    pub(crate) fn words(&self) -> String {
        if self.is_withheld {
            return WITHHELD.to_owned();
        }
        let said = one_line(&self.message);
        let id = one_line(&self.id);
        match (said.is_empty(), id.is_empty()) {
            (true, true) => "it does not say why".to_owned(),
            (true, false) => id,
            (false, true) => said,
            (false, false) => format!("{said} ({id})"),
        }
    }
}

impl From<Record> for Failure {
    /// The details of an error of Microsoft Graph PowerShell have status, code and headers as lines of text
    /// (`Status: 404 (NotFound)`, `ErrorCode: Request_ResourceNotFound`, `request-id : …`), and its id begins with the code.
    fn from(record: Record) -> Self {
        let first = record.id.split(',').next().unwrap_or_default();
        let number = first.strip_prefix("ActiveDirectoryServer:");
        let status = named(&record.message, "Status")
            .and_then(|status| status.split_whitespace().next()?.parse().ok());
        // With a status, what has no code is not Graph's answer but that of somebody in between.
        let code = match status {
            Some(_) => named(&record.message, "ErrorCode").unwrap_or_default(),
            None => first,
        };
        Self {
            status,
            code: (is_code(code) && code != NO_CODE).then(|| code.to_owned()),
            number: number.and_then(|number| number.parse().ok()),
            words: record.message.to_lowercase(),
            retry_after: named(&record.message, "Retry-After").and_then(wait),
            request_id: named(&record.message, "request-id").and_then(request_id),
            sent: record.sent,
            set: record.set,
            record,
        }
    }
}

impl From<&HttpAnswer> for Failure {
    fn from(answer: &HttpAnswer) -> Self {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |name: &str| {
            body.pointer(&format!("/error/{name}"))
                .and_then(Value::as_str)
        };
        let code = text("code").filter(|code| is_code(code));
        Self {
            status: Some(answer.status),
            code: code.map(str::to_owned),
            words: text("message").unwrap_or_default().to_lowercase(),
            retry_after: answer.retry_after(),
            request_id: answer.request_id(),
            sent: true,
            ..Self::default()
        }
    }
}

impl HttpAnswer {
    pub(crate) fn request_id(&self) -> Option<String> {
        request_id(&self.request_id)
    }

    fn retry_after(&self) -> Option<Duration> {
        wait(&self.retry_after)
    }

    /// By the server's own clock.
    pub(crate) fn answered_at(&self) -> Option<Timestamp> {
        let zoned = jiff::fmt::rfc2822::parse(self.date.trim()).ok()?;
        Some(zoned.timestamp())
    }
}

impl Failure {
    /// The type of an exception in the record, without its namespace.
    pub(crate) fn is_a(&self, kind: &str) -> bool {
        let mut types = self.record.types.iter();
        types.any(|name| name.rsplit('.').next() == Some(kind))
    }

    pub(crate) fn category(&self) -> &str {
        &self.record.category
    }

    /// What was said at `place`. The words of a server are left out, for they may repeat what was sent.
    pub(crate) fn problem(&self, place: &str) -> Problem {
        let code = self.code.as_ref().filter(|_| !self.record.is_withheld);
        let said = match (self.status, code) {
            (Some(status), Some(code)) => format!("status {status}, code {code}"),
            (Some(status), None) => format!("status {status}"),
            _ => self.record.words(),
        };
        Problem::new(format!("{place}: {said}")).with_request_id(self.request_id.clone())
    }
}

/// The value of a line `name: value`, as headers have it.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim().eq_ignore_ascii_case(name)).then(|| value.trim())
    })
}

/// `Request_ResourceNotFound`, `TooManyRequests`.
fn is_code(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

fn request_id(text: &str) -> Option<String> {
    Some(text.trim().parse::<Uuid>().ok()?.to_string())
}

/// Seconds. The other form, a date, is not worth a clock: without a number the engine waits as long as it sees fit.
fn wait(text: &str) -> Option<Duration> {
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, message: &str) -> Record {
        Record {
            id: id.to_owned(),
            message: message.to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn status_code_and_headers_are_read_from_the_text_of_a_graph_error() {
        let message = "Insufficient privileges to complete the operation.\n\nStatus: 403 (Forbidden)\n\
            ErrorCode: Authorization_RequestDenied\nDate: 2026-01-01T00:00:00\n\nHeaders:\n\
            Retry-After                   : 12\n\
            request-id                    : EEEEEEEE-0000-0000-0000-000000000001\n";
        let failure = Failure::from(record(
            "X,Microsoft.Graph.PowerShell.Cmdlets.UpdateMgUser",
            message,
        ));
        assert_eq!(failure.status, Some(403));
        assert_eq!(failure.code.as_deref(), Some("Authorization_RequestDenied"));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(12)));
        let id = "eeeeeeee-0000-0000-0000-000000000001";
        assert_eq!(failure.request_id.as_deref(), Some(id));
        let problem = failure.problem("setting it").to_string();
        assert_eq!(
            problem,
            format!("setting it: status 403, code Authorization_RequestDenied (request-id {id})")
        );
    }

    #[test]
    fn what_holds_the_secret_is_understood_and_not_repeated() {
        let message =
            "Use a better password\nStatus: 400 (BadRequest)\nErrorCode: Request_Tr0ub4dor";
        for secret in ["better-horse", "Tr0ub4dor"] {
            let mut record = record("x,y", message);
            record.withhold(secret);
            let failure = Failure::from(record.clone());
            assert_eq!(failure.status, Some(400));
            assert!(failure.words.contains("better password"));
            assert_eq!(
                failure.problem("setting it").to_string(),
                "setting it: status 400"
            );
            assert_eq!(record.words(), WITHHELD);
        }
        let mut record = record("x,y", message);
        record.withhold("nothing of that");
        assert!(record.words().contains("better"));
    }

    #[test]
    fn without_details_the_id_tells_the_code() {
        let failure = Failure::from(record("Request_ResourceNotFound,Cmdlet", "no such thing"));
        assert_eq!(failure.code.as_deref(), Some("Request_ResourceNotFound"));
        assert_eq!(failure.status, None);
        let failure = Failure::from(record("ActiveDirectoryServer:1325,Cmdlet", "The password"));
        assert_eq!((failure.number, failure.code), (Some(1325), None));
        let proxy = "Forbidden\nStatus: 403 (Forbidden)\nErrorCode: UnknownError";
        for message in [proxy, "Status: 403 (Forbidden)"] {
            let failure = Failure::from(record("RestException,Cmdlet", message));
            assert_eq!((failure.status, failure.code), (Some(403), None));
        }
    }

    #[test]
    fn what_is_no_id_and_no_number_is_none() {
        let message =
            "request-id: Tr0ub4dor\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\nStatus: OK";
        let failure = Failure::from(record("a b,Cmdlet", message));
        assert_eq!(failure.request_id, None);
        assert_eq!(failure.retry_after, None);
        assert_eq!((failure.status, failure.code), (None, None));
    }

    #[test]
    fn the_answer_of_graph_is_read_as_it_is() {
        let answer: HttpAnswer = serde_json::from_str(
            r#"{"status":429,"retry_after":"7","date":"Fri, 02 Jan 2026 03:04:05 GMT",
                "body":"{\"error\":{\"code\":\"TooManyRequests\",\"message\":\"Later.\"}}"}"#,
        )
        .unwrap();
        let failure = Failure::from(&answer);
        assert_eq!(failure.code.as_deref(), Some("TooManyRequests"));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(answer.answered_at(), "2026-01-02T03:04:05Z".parse().ok());
        assert!(failure.sent);
    }
}
