//! Lets only so many accounts through to the directory at once, and none while it wants to be left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// One "not before" for all. A request that is rejected counts against the quota too
/// (<https://learn.microsoft.com/graph/throttling>), so one answer that says "wait" is heard by everybody.
pub(super) struct Gate {
    not_before: Mutex<Instant>,
    turns: Semaphore,
}

impl Gate {
    /// Lets `at_once` accounts through at once.
    pub(super) fn open(at_once: usize) -> Self {
        let turns = Semaphore::new(at_once.min(Semaphore::MAX_PERMITS));
        Self {
            not_before: Mutex::new(Instant::now()),
            turns,
        }
    }

    /// Closes for `pause`; true if it was to open earlier before.
    pub(super) fn close_for(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut not_before = self.not_before();
        let later = until > *not_before;
        *not_before = until.max(*not_before);
        later
    }

    /// Waits for a turn, which lasts until what is returned is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // an error would mean that the semaphore is closed, which it never is
        let turn = self.turns.acquire().await.ok();
        loop {
            let not_before = *self.not_before();
            if not_before <= Instant::now() {
                return turn;
            }
            tokio::time::sleep_until(not_before).await;
        }
    }

    fn not_before(&self) -> MutexGuard<'_, Instant> {
        self.not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
