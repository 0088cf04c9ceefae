use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::memory_store::pause;
use crate::{AuditError, AuditLog, Event, Problem};

/// An audit record in memory that fails when told to, for tests.
///
/// Clones share one record, which stands for the durable medium. Every call pauses once before and once after it takes
/// effect, as those of a [`MemoryStore`](super::MemoryStore) do.
#[derive(Clone, Debug, Default)]
pub struct MemoryAudit {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    events: Vec<Event>,
    calls: usize,
    /// From which call on it fails.
    full: Option<usize>,
}

impl MemoryAudit {
    /// An empty record in which nothing fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets so many more calls succeed. From then on each takes the first of its events, and fails.
    pub fn fail_after(&self, calls: usize) {
        let mut shared = self.shared();
        shared.full = Some(shared.calls + calls);
    }

    /// Lets every call succeed again.
    pub fn heal(&self) {
        self.shared().full = None;
    }

    /// Every event that is durable, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.shared().events.clone()
    }

    /// How often it was called so far, whether or not it failed.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared().calls
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A test that panicked elsewhere leaves the record as consistent as a crash would.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditLog for MemoryAudit {
    async fn append(&self, events: &[Event]) -> Result<(), AuditError> {
        pause().await;
        let fails = {
            let mut shared = self.shared();
            let fails = shared.full.is_some_and(|full| shared.calls >= full);
            let kept = if fails { 1 } else { events.len() };
            shared.calls += 1;
            shared.events.extend(events.iter().take(kept).cloned());
            fails
        };
        pause().await;
        if fails {
            let problem = Problem::new("the audit record was told to fail");
            return Err(AuditError::Unavailable {
                problem,
                source: None,
            });
        }
        Ok(())
    }
}
