use rotation_core::{Problem, StoreError};
use vaultrs::error::ClientError;

/// The longest part of a server's own words that we repeat.
const MAX_WORDS: usize = 300;

/// Why a request was not done. Holds the server's own words for it, never the body of an answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server said no, with this status.
    Refused { status: u16, words: String },
    /// No answer, or none that we understand: whether it was done is not known.
    Silent(String),
    /// Explained already.
    Explained(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Explained(error)
    }
}

impl Failure {
    pub(super) fn refused(status: u16, words: &[String]) -> Self {
        let words: String = words
            .join("; ")
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_WORDS)
            .collect();
        Self::Refused { status, words }
    }

    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: 403, .. })
    }

    /// What a person needs to hear, `what` being what we were about to do, and `grant` what it takes.
    pub(super) fn explain(self, what: &str, grant: &str) -> StoreError {
        let (status, words) = match self {
            Self::Refused { status, words } => (status, words),
            Self::Explained(error) => return error,
            Self::Silent(why) => {
                return unavailable(
                    format!("cannot {what}: {why}"),
                    "check the server, the network and `address`; everything answered before is safe",
                );
            }
        };
        let message = format!("cannot {what}: OpenBao answered {status} {words}");
        let message = message.trim_end().to_owned();
        match status {
            403 => unusable(message, &format!("{grant}, or give another token")),
            404 | 405 => unusable(
                message,
                "check `mount` and `namespace`: a secrets engine KV version 2 must be mounted there",
            ),
            503 if words.contains("sealed") => unavailable(
                message,
                "unseal the server; everything answered before is safe",
            ),
            408 | 412 | 429 | 300..=399 | 500..=599 => unavailable(
                message,
                "wait until the server has recovered, and see that `address` leads to its active node; \
                 everything answered before is safe",
            ),
            _ => unusable(message, "see the server's log for the reason"),
        }
    }
}

impl From<ClientError> for Failure {
    /// Takes the words only: the `Debug` output of such an error holds the whole answer.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::APIError { code, errors } => Self::refused(code, &errors),
            other => Self::Silent(last_cause(&other)),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Silent("no answer in time".to_owned())
        } else {
            Self::Silent(last_cause(&error.without_url()))
        }
    }
}

fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().chars().take(MAX_WORDS).collect()
}

/// Something that may pass by itself.
pub(super) fn unavailable(message: String, fix: &str) -> StoreError {
    StoreError::Unavailable {
        problem: Problem::new(message).with_fix(fix),
        source: None,
    }
}

/// Something that only a person can put right.
pub(super) fn unusable(message: String, fix: &str) -> StoreError {
    StoreError::Unusable(Problem::new(message).with_fix(fix))
}

/// A document is not as we wrote it.
pub(super) fn altered(path: &str, found: impl std::fmt::Display) -> StoreError {
    unusable(
        format!("the document {path} is not as this program writes it: {found}"),
        "if a newer version of this program wrote it, use that one; otherwise put back an earlier version of it with \
         `bao kv rollback`",
    )
}
