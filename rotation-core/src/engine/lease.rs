//! The lease of a run: what keeps two runs from one account.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::retry::RetryPolicy;
use super::trouble::Trouble;
use crate::{Clock, Lease, Problem, SecretStore, StoreError};

/// How often a lease is renewed within its time to live: two renewals may fail, and take their time to.
const RENEWALS: u32 = 4;

/// No lease is shorter or longer: a shorter one would be renewed all the time, a longer one would not be one.
const LEASES: (Duration, Duration) = (
    Duration::from_millis(100),
    Duration::from_secs(24 * 60 * 60),
);

pub(super) struct HeldLease {
    store: Arc<dyn SecretStore>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    ttl: Duration,
    ends: Mutex<Option<End>>,
    /// Held while the store is asked; true once the lease was given back, for then it must not begin anew.
    given_back: tokio::sync::Mutex<bool>,
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
            ttl: ttl.clamp(LEASES.0, LEASES.1),
            ends: Mutex::new(None),
            given_back: tokio::sync::Mutex::new(false),
            lost: Trouble::default(),
        }
    }

    /// How long it lasts unless it is renewed.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
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
        let pause = self.ttl / RENEWALS;
        let mut next = Instant::now() + pause;
        loop {
            sleep_until(next).await;
            // from one beginning to the next, however long a renewal takes; one that takes too long is given up
            next = Instant::now() + pause;
            let renewed = timeout(pause, self.renew()).await;
            if !matches!(
                renewed,
                Ok(Ok(()) | Err(StoreError::Unavailable { .. })) | Err(_)
            ) {
                return;
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
        let mut given_back = self.given_back.lock().await;
        *given_back = true;
        // should it fail, the lease lapses by itself
        let _lapses = self.store.release(&self.lease).await;
    }

    /// Takes note that the store took it for lost.
    pub(super) fn lose(&self, error: &StoreError) {
        self.ends().take();
        self.lost.tell(Problem::new(error.to_string()).with_fix(
            "run it again to settle what was under way; look for a store that stalls, a machine that sleeps, or events that nobody reads",
        ));
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let given_back = self.given_back.lock().await;
        if *given_back {
            return Ok(());
        }
        // from before the call: the store counts from later
        let at = Instant::now() + self.ttl;
        let ttl = SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX);
        let by_the_wall = self.clock.now().checked_add(ttl).unwrap_or(Timestamp::MAX);
        let renewed = self.store.lease(&self.lease, self.ttl).await;
        match &renewed {
            Ok(()) => *self.ends() = Some(End { at, by_the_wall }),
            Err(StoreError::Unavailable { .. }) => {}
            Err(error) => self.lose(error),
        }
        renewed
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Option<End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
