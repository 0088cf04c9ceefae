use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Problem;

/// Why an audit record was not read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It is not as it was written. Nothing is appended to it any more.
    #[error("{}, line {line}: found {found}, expected {expected}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// In which way.
        kind: AuditBreak,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// May pass by itself: the disk is full or fails, or another process holds the file. Whether the events were
    /// recorded is not known.
    #[error("{problem}")]
    Unavailable {
        /// The details.
        problem: Problem,
        /// What the system said.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A person must act first: what stands beside the record is not what this program wrote, or an event cannot be
    /// recorded.
    #[error("{0}")]
    Unusable(Problem),
}

/// In which way a record is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditBreak {
    /// A line was changed: its hash is not that of what stands in it.
    Altered,
    /// A line stops short.
    CutShort,
    /// Records that were durable are missing at the end.
    EndMissing,
    /// A line is not JSON: the file was never an audit record, or something was written over it.
    NotJson,
    /// Lines were removed, repeated or put in another order: a record does not follow the one before it.
    OutOfOrder,
    /// The chain is sound, but it is not the one that the head was taken of.
    Rewritten,
}

impl AuditError {
    /// The details, with what to do next.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Broken { path, .. } => Problem::new(self.to_string()).with_fix(format!(
                "restore {path} and {path}.head from a copy, or keep both for whoever examines them and move them away: \
                 a new record then begins",
                path = path.display()
            )),
            Self::Unavailable { problem, .. } | Self::Unusable(problem) => problem.clone(),
        }
    }

    pub(super) fn io(doing: impl fmt::Display, path: &Path, error: io::Error) -> Self {
        Self::Unavailable {
            problem: Problem::new(format!("cannot {doing} {}: {error}", path.display())),
            source: Some(Arc::new(error)),
        }
    }
}
