//! Gathers the calls of many futures into batches: what arrives while one batch is under way makes up the next.

use futures::stream::FuturesUnordered;
use futures::{Future, StreamExt};
use tokio::sync::{mpsc, oneshot};

/// The side that asks. Clones ask the same worker.
pub(super) struct Batcher<I, O>(mpsc::Sender<(I, oneshot::Sender<O>)>);

/// The side that answers.
pub(super) struct Worker<I, O>(mpsc::Receiver<(I, oneshot::Sender<O>)>);

/// How much of what waits is answered at once. Asked anew for each batch.
pub(super) trait Portion {
    /// How many items the next batch may have.
    fn items(&self) -> usize;

    /// How many batches may be under way.
    fn batches(&self) -> usize {
        1
    }
}

/// Everything that waits, up to so many, in one batch after the other.
impl Portion for usize {
    fn items(&self) -> usize {
        *self
    }
}

/// A pair with `room` for items to wait.
pub(super) fn batcher<I, O>(room: usize) -> (Batcher<I, O>, Worker<I, O>) {
    let (send, calls) = mpsc::channel(room.max(1));
    (Batcher(send), Worker(calls))
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
    pub(super) async fn run<F>(mut self, portion: impl Portion, answer: impl Fn(Vec<I>) -> F)
    where
        F: Future<Output = Vec<O>>,
    {
        let mut under_way = FuturesUnordered::new();
        let mut calls = Vec::new();
        let mut size = portion.items();
        loop {
            tokio::select! {
                count = self.0.recv_many(&mut calls, size), if under_way.len() < portion.batches().max(1) => {
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
                    size = portion.items();
                }
                Some(()) = under_way.next() => {}
            }
        }
        while under_way.next().await.is_some() {}
    }
}
