//! What every run decided and did, on record.

use async_trait::async_trait;

use crate::{Event, Problem};

/// Keeps events for whoever looks back, in the order in which they happened.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Makes `events` durable. On an error, possibly only the first of them.
    async fn append(&self, events: &[Event]) -> Result<(), AuditError>;
}

/// Why the audit record could not be written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It cannot be written now.
    #[error("{0}")]
    Unavailable(Problem),
}
