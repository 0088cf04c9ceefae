//! Gathers the calls of many futures into batches: what arrives while one batch is under way makes up the next.

use futures::stream::FuturesUnordered;
use futures::{Future, StreamExt};
use tokio::sync::{mpsc, oneshot};

/// The side that asks. Clones ask the same worker.
pub(super) struct Batcher<I, O>(mpsc::Sender<(I, oneshot::Sender<O>)>);

/// The side that answers.
pub(super) struct Worker<I, O> {
    calls: mpsc::Receiver<(I, oneshot::Sender<O>)>,
    size: usize,
    parallel: usize,
}

/// A pair whose batches have at most `size` items, with at most `parallel` batches under way and `room` for items to wait.
pub(super) fn batcher<I, O>(
    size: usize,
    parallel: usize,
    room: usize,
) -> (Batcher<I, O>, Worker<I, O>) {
    let (size, parallel) = (size.max(1), parallel.max(1));
    let (send, calls) = mpsc::channel(room.max(size));
    (
        Batcher(send),
        Worker {
            calls,
            size,
            parallel,
        },
    )
}

impl<I, O> Batcher<I, O> {
    /// The answer to `item`; `None` if it is missing from what the batch was answered with.
    pub(super) async fn call(&self, item: I) -> Option<O> {
        self.post(item).await?.await.ok()
    }

    /// Hands `item` over; whoever does not care for the answer drops what is returned.
    pub(super) async fn post(&self, item: I) -> Option<oneshot::Receiver<O>> {
        let (reply, answer) = oneshot::channel();
        self.0.send((item, reply)).await.ok()?;
        Some(answer)
    }
}

impl<I, O> Worker<I, O> {
    /// Answers until every [`Batcher`] is gone.
    pub(super) async fn run<F>(mut self, answer: impl Fn(Vec<I>) -> F)
    where
        F: Future<Output = Vec<O>>,
    {
        let mut under_way = FuturesUnordered::new();
        let mut calls = Vec::with_capacity(self.size);
        loop {
            tokio::select! {
                count = self.calls.recv_many(&mut calls, self.size), if under_way.len() < self.parallel => {
                    if count == 0 {
                        break;
                    }
                    let (items, replies): (Vec<I>, Vec<_>) = calls.drain(..).unzip();
                    let answers = answer(items);
                    under_way.push(async move {
                        for (reply, answer) in replies.into_iter().zip(answers.await) {
                            // whoever asked may have been dropped
                            let _gone = reply.send(answer);
                        }
                    });
                }
                Some(()) = under_way.next() => {}
            }
        }
        while under_way.next().await.is_some() {}
    }
}
