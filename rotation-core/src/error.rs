use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::{AccountKey, Lease, RunId, VersionKey};

/// What went wrong, in words for a person: one sentence, the fix, and the server's id of the request for its support.
///
/// Never holds a password, and never the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Place, what was found and what was expected; one lower-case sentence without a full stop.
    #[serde(rename = "problem")]
    pub message: String,
    /// What to do next, if we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The server's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem described by `message`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fix: None,
            request_id: None,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// Adds the server's id of the request.
    #[must_use]
    pub fn with_request_id(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request-id {id})"),
            None => Ok(()),
        }
    }
}

/// Why a backend could not read from its directory. Setting a password never ends in an error but in an
/// [`Outcome`](crate::Outcome).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A person must act first: credential, consent, permission, role or configuration.
    #[error("{0}")]
    NotAuthorized(Problem),
    /// May pass by itself: try later.
    #[error("{0}")]
    Unavailable(Problem),
    /// The directory's answer is not one we understand or trust.
    #[error("{0}")]
    Unexpected(Problem),
}

impl BackendError {
    /// The details.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        match self {
            Self::NotAuthorized(problem)
            | Self::Unavailable(problem)
            | Self::Unexpected(problem) => problem,
        }
    }
}

/// Why a store did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another run staged a version of the account meanwhile. This one is kept as pending: the account is unsettled.
    #[error("another run took account {} over before version {} was committed", .0.account, .0.version)]
    Fenced(VersionKey),
    /// Another run is at work on the account: leave it to that one.
    #[error("run {run} is at work on account {account}")]
    Leased {
        /// The account.
        account: AccountKey,
        /// The other run.
        run: RunId,
        /// When its lease lapses, unless it is renewed.
        lapses_in: Duration,
    },
    /// The lease of this run lapsed or was never taken: other runs may be at work on its accounts, so it must not go on.
    #[error("the lease of run {} in tenant {} has lapsed", .0.run, .0.tenant)]
    LeaseLost(Lease),
    /// The version is not pending: never staged, discarded, current before, or overtaken by a later version of its run.
    #[error("version {} of account {} is not pending", .0.version, .0.account)]
    NotPending(VersionKey),
    /// Another run rotated the account since it was planned: leave it as it is.
    #[error("run {run} rotated account {account} meanwhile")]
    RotatedSince {
        /// The account.
        account: AccountKey,
        /// The other run.
        run: RunId,
    },
    /// May pass by itself: try again. Whether the change was made is not known.
    #[error("{problem}")]
    Unavailable {
        /// The details.
        problem: Problem,
        /// What the storage said.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A person must act first: not a store of ours, newer than this program, corrupt, or the wrong key.
    #[error("{0}")]
    Unusable(Problem),
}

impl StoreError {
    /// A failure that may pass, with what the storage said.
    #[must_use]
    pub fn unavailable(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::Unavailable {
            problem: Problem::new(message),
            source: Some(Arc::new(source)),
        }
    }
}
