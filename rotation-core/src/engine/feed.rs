//! What a run tells: its events one by one, its requests as numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::{Clock, Event, EventKind, Outcome, Report, RunId, TenantId};

/// Where events go.
pub(super) struct Events {
    pub(super) to: mpsc::Sender<Event>,
    pub(super) run_id: RunId,
    pub(super) tenant: TenantId,
    pub(super) clock: Arc<dyn Clock>,
}

impl Events {
    pub(super) async fn emit(&self, kind: EventKind) {
        let event = Event {
            at: self.clock.now(),
            run_id: self.run_id,
            tenant: self.tenant.clone(),
            kind,
        };
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
