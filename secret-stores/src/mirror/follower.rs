use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rotation_core::{AccountKey, Committed, NewVersion, SecretStore, Select};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::MirrorCopy;
use super::copy::copy;
use super::queue::{Behind, Current, Queue};

/// How many versions go to a copy at once, at most: fewer after a failure, so that one version that always fails is left
/// on its own.
const BATCH: usize = 64;

/// How long to wait after a copy failed; twice as long each time it fails again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Lets one copy follow, until it is dropped.
pub(super) struct Follower {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    primary: Arc<dyn SecretStore>,
    copy: MirrorCopy,
    queue: Mutex<Queue>,
    /// There is something to copy.
    work: Notify,
    /// A batch is done.
    progress: Notify,
    /// There is not much time left.
    is_closing: AtomicBool,
    closing: Notify,
}

/// How long a copy may take to prune, so that it does not hold up the end of a run for long.
const PRUNING: Duration = Duration::from_secs(30);

impl Follower {
    pub(super) fn start(primary: Arc<dyn SecretStore>, copy: MirrorCopy) -> Self {
        let shared = Arc::new(Shared {
            primary,
            copy,
            queue: Mutex::default(),
            work: Notify::new(),
            progress: Notify::new(),
            is_closing: AtomicBool::new(false),
            closing: Notify::new(),
        });
        let task = tokio::spawn(Arc::clone(&shared).run());
        Self { shared, task }
    }

    /// Has a version copied that became current in the primary. Does not wait for it.
    pub(super) fn follow(&self, new: NewVersion, committed: Committed) {
        self.shared.queue().push(Current::new(new, committed));
        self.shared.work.notify_one();
    }

    /// The version that became current in the primary cannot be copied.
    pub(super) fn give_up(&self, account: &AccountKey) {
        self.shared.queue().give_up(account);
    }

    /// Drops old versions of the copy. One that cannot do it now is asked again the next time.
    pub(super) async fn prune(&self, select: &Select, keep: usize) {
        let pruned = self.shared.copy.store.prune(select, keep);
        timeout(PRUNING, pruned).await.ok();
    }

    /// Waits up to `patience` until all is copied, then stops.
    pub(super) async fn close(&self, patience: Duration) -> Behind {
        let shared = &self.shared;
        shared.is_closing.store(true, Ordering::Relaxed);
        shared.closing.notify_one();
        // What is not copied in time is told below.
        timeout(patience, shared.is_done()).await.ok();
        self.task.abort();
        shared.queue().end(&shared.copy.name)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut wait = FIRST_WAIT;
        let mut size = BATCH;
        loop {
            let mut batch = self.queue().take(size);
            if batch.is_empty() {
                self.work.notified().await;
                continue;
            }
            let count = batch.len();
            let copied = copy(&*self.primary, &*self.copy.store, &mut batch).await;
            let failed = self.queue().settle(batch, copied);
            self.progress.notify_waiters();
            size = if failed < count { size * 2 } else { size / 2 }.clamp(1, BATCH);
            if failed < count || self.is_closing.load(Ordering::Relaxed) {
                wait = FIRST_WAIT;
            }
            if failed > 0 {
                tokio::select! {
                    () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                    () = self.closing.notified() => {}
                }
            }
        }
    }

    /// Waits until nothing is left to copy.
    async fn is_done(&self) {
        loop {
            let progress = self.progress.notified();
            if self.queue().is_empty() {
                return;
            }
            progress.await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whoever panicked may have lost count, but no password.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follower")
            .field(&self.shared.copy.name)
            .finish()
    }
}
