//! The lease of a run: what keeps two runs from one account.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::retry::RetryPolicy;
use super::trouble::Trouble;
use crate::{Clock, Lease, Problem, SecretStore, StoreError};

/// How often a lease is renewed within its time to live: two renewals may fail.
const RENEWALS: u32 = 4;

pub(super) struct HeldLease {
    store: Arc<dyn SecretStore>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    ttl: Duration,
    ends: Mutex<Option<End>>,
    /// Told once it is lost.
    pub(super) lost: Trouble,
}

/// When it lapses unless it is renewed. By two clocks, because one stands still while the machine sleeps and the other
/// may be set.
#[derive(Clone, Copy)]
struct End {
    at: Instant,
    by_the_wall: Timestamp,
}

impl HeldLease {
    pub(super) fn new(
        store: Arc<dyn SecretStore>,
        clock: Arc<dyn Clock>,
        lease: Lease,
        ttl: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            lease,
            ttl,
            ends: Mutex::new(None),
            lost: Trouble::default(),
        }
    }

    /// Takes it.
    pub(super) async fn take(&self, retry: &RetryPolicy) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            match self.renew().await {
                Err(StoreError::Unavailable { .. }) if attempt < retry.attempts => {
                    sleep(retry.backoff(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Renews it for as long as it is polled, or until it is lost.
    pub(super) async fn keep(&self) {
        loop {
            sleep(self.ttl / RENEWALS).await;
            match self.renew().await {
                // the next renewal may succeed in time; until then nothing is sent that might outlast it
                Ok(()) | Err(StoreError::Unavailable { .. }) => {}
                Err(error) => {
                    let problem = Problem::new(error.to_string()).with_fix(
                        "run it again to settle what was under way; look for a store that stalls, or a machine that sleeps",
                    );
                    self.lost.tell(problem);
                    return;
                }
            }
        }
    }

    /// Whether it certainly lives for `span` from now; renews it if that helps.
    pub(super) async fn lasts(&self, span: Duration) -> bool {
        self.is_sure_of(span) || (self.renew().await.is_ok() && self.is_sure_of(span))
    }

    fn is_sure_of(&self, span: Duration) -> bool {
        let Some(end) = *self.ends() else {
            return false;
        };
        let wall = SignedDuration::try_from(span)
            .ok()
            .and_then(|span| self.clock.now().checked_add(span).ok());
        Instant::now() + span <= end.at && wall.is_some_and(|then| then <= end.by_the_wall)
    }

    /// Gives it back, so that what is left pending need not wait for it to lapse.
    pub(super) async fn end(&self) {
        // should it fail, the lease lapses by itself
        let _lapses = self.store.release(&self.lease).await;
    }

    async fn renew(&self) -> Result<(), StoreError> {
        // from before the call: the store counts from later
        let at = Instant::now() + self.ttl;
        let ttl = SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX);
        let by_the_wall = self.clock.now().checked_add(ttl).unwrap_or(Timestamp::MAX);
        let renewed = self.store.lease(&self.lease, self.ttl).await;
        match &renewed {
            Ok(()) => *self.ends() = Some(End { at, by_the_wall }),
            Err(StoreError::Unavailable { .. }) => {}
            Err(_) => *self.ends() = None,
        }
        renewed
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Option<End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
