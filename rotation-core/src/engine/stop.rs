use std::sync::Arc;

use futures::Future;
use tokio::sync::watch;

/// Stops a run: no further account is begun, nothing more is sent, and what was sent is seen through: its answer, its
/// verification and its commit.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<bool>>);

impl StopHandle {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Asks the run to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once a stop is requested, and never without.
    pub(super) async fn requested_at_last(&self) {
        if self.0.subscribe().wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What `future` gives, or `None` if a stop is requested first.
    pub(super) async fn during<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.requested_at_last() => None,
            value = future => Some(value),
        }
    }
}
