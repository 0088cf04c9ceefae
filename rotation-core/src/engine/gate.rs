//! Holds back every account of a run while the directory wants to be left alone.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// One "not before" for all. A request that is rejected counts against the quota too
/// (<https://learn.microsoft.com/graph/throttling>), so one answer that says "wait" is heard by everybody.
pub(super) struct Gate(watch::Sender<Instant>);

impl Gate {
    pub(super) fn open() -> Self {
        Self(watch::Sender::new(Instant::now()))
    }

    /// Closes for `pause`; true if it was to open earlier before.
    pub(super) fn close_for(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        self.0.send_if_modified(|not_before| {
            let later = until > *not_before;
            *not_before = until.max(*not_before);
            later
        })
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        loop {
            let not_before = *self.0.borrow();
            if not_before <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(not_before).await;
        }
    }
}
