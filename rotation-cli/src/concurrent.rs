//! The same work for many tenants, some at once.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;

/// What `work` makes of each of `items`, at most `at_once` of them at once: in the order of the items, each as soon as
/// those before it are there. One that takes its time keeps none of the others from being begun.
pub(crate) fn in_order<I, T, F: Future<Output = T>>(
    items: Vec<I>,
    at_once: usize,
    work: impl Fn(I) -> F,
) -> impl Stream<Item = T> {
    let all = items.len().max(1);
    let turns = Arc::new(Semaphore::new(at_once));
    stream::iter(items)
        .map(move |item| {
            let (work, turns) = (work(item), Arc::clone(&turns));
            async move {
                // an error would mean that the semaphore is closed, which it never is
                let _turn = turns.acquire().await;
                work.await
            }
        })
        .buffered(all)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn order_is_kept_and_a_slow_one_holds_up_nobody() {
        let begun = AtomicUsize::new(0);
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = async |item: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            let now = under_way.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            let seconds = if item == 0 { 1000 } else { 1 };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            item
        };
        let all = in_order((0..20).collect(), 3, work).collect::<Vec<_>>();
        let early = async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            begun.load(Ordering::Relaxed)
        };
        let (all, begun_early) = tokio::join!(all, early);
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert_eq!(begun_early, 20, "the first one was waited for");
        assert_eq!(most.load(Ordering::Relaxed), 3);
    }
}
