//! What a run tells: its events one by one, its requests as numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::batch::Batcher;
use crate::{Clock, Event, EventKind, Outcome, Problem, Report, RunId, StopReason, TenantId};

/// Where events go: to the audit record, if there is one, and then to whoever reads the run.
pub(super) struct Events {
    pub(super) to: mpsc::Sender<Event>,
    pub(super) audit: Option<Batcher<Event, Result<(), Problem>>>,
    pub(super) run_id: RunId,
    pub(super) tenant: TenantId,
    pub(super) clock: Arc<dyn Clock>,
}

impl Events {
    /// Tells it, without waiting until it is on record.
    pub(super) async fn emit(&self, kind: EventKind) {
        let event = self.event(kind);
        if let Some(audit) = &self.audit {
            // the record keeps the order in which events are handed over
            drop(audit.post(event.clone()).await);
        }
        self.tell(event).await;
    }

    /// Tells it once it is durably on record, because the next step depends on it.
    pub(super) async fn record(&self, kind: EventKind) -> Result<(), Problem> {
        let event = self.event(kind);
        let recorded = match &self.audit {
            Some(audit) => audit
                .call(event.clone())
                .await
                .unwrap_or_else(|| Err(Problem::new("the audit record did not answer"))),
            None => Ok(()),
        };
        self.tell(event).await;
        recorded
    }

    /// Tells the last event. If it cannot be recorded, it says so itself.
    pub(super) async fn conclude(&self, kind: EventKind) {
        let mut event = self.event(kind);
        if let Some(audit) = &self.audit
            && let Some(Err(problem)) = audit.call(event.clone()).await
            && let EventKind::RunFinished { report } = &mut event.kind
        {
            report
                .stopped
                .get_or_insert(StopReason::Unrecorded { problem });
        }
        self.tell(event).await;
    }

    fn event(&self, kind: EventKind) -> Event {
        Event {
            at: self.clock.now(),
            run_id: self.run_id,
            tenant: self.tenant.clone(),
            kind,
        }
    }

    async fn tell(&self, event: Event) {
        // fails only when the reader is gone, and with it this future
        let _gone = self.to.send(event).await;
    }
}

/// What was sent.
#[derive(Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    throttled: AtomicU64,
}

impl Tally {
    pub(super) fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::NotSent(_) => return,
            Outcome::Throttled { .. } => self.throttled.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, report: &mut Report) {
        report.requests = self.requests.load(Ordering::Relaxed);
        report.throttled = self.throttled.load(Ordering::Relaxed);
    }
}
