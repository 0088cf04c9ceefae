use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// One password of an account at a time: a worker goes on with one whose asker has left, and another worker with the next one
/// would overtake it.
#[derive(Default)]
pub(crate) struct Turns {
    queues: Mutex<HashMap<String, Arc<Queue<()>>>>,
}

/// Until it is dropped, the account's next one waits.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    account: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the account's turn.
    pub(crate) async fn of(self: &Arc<Self>, account: &str) -> Turn {
        let queue = Arc::clone(self.queues().entry(account.to_owned()).or_default());
        let mut turn = Turn {
            turns: Arc::clone(self),
            account: account.to_owned(),
            held: None,
        };
        turn.held = Some(queue.lock_owned().await);
        turn
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Arc<Queue<()>>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        drop(self.held.take());
        let is_last = |queue: &Arc<Queue<()>>| Arc::strong_count(queue) == 1;
        if queues.get(&self.account).is_some_and(is_last) {
            queues.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_account_waits_for_itself_alone_and_leaves_nothing_behind() {
        let turns = Arc::<Turns>::default();
        let first = turns.of("a").await;
        let other = turns.of("b").await;
        let mut second = Box::pin(turns.of("a"));
        assert!(second.as_mut().now_or_never().is_none());
        let third = turns.of("a");
        drop(first);
        // whoever stops waiting leaves no gap
        drop(second);
        drop(third.await);
        drop(other);
        assert!(turns.queues().is_empty());
    }
}
