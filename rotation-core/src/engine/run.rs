//! A run as a stream of events that drives itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::mpsc;

use super::Engine;
use super::drive::work;
use super::stop::StopHandle;
use crate::{Event, EventKind, Plan, Report, RunId};

/// How many events wait for a slow reader before the run waits for it.
const EVENTS: usize = 256;

/// One execution of a plan: a stream of [`Event`]s, the last of which is [`EventKind::RunFinished`].
///
/// Reading the stream is what drives the run. Dropping it stops the run at once, without loss: an account that was
/// under way keeps its pending version, and the next run settles it. To let accounts under way finish, ask its
/// [`StopHandle`].
#[must_use = "a run does nothing unless its events are read"]
pub struct Run<'a> {
    id: RunId,
    work: Option<BoxFuture<'a, ()>>,
    events: mpsc::Receiver<Event>,
    stop: StopHandle,
}

impl<'a> Run<'a> {
    pub(super) fn new(engine: &'a Engine, id: RunId, plan: Plan<'a>) -> Self {
        // every account under way may wait for room, unpolled, before the one that is waited for
        let (send, events) = mpsc::channel(EVENTS + engine.accounts_under_way());
        let stop = StopHandle::new();
        let work = work(engine, id, plan, send, stop.clone());
        Self {
            id,
            work: Some(work.boxed()),
            events,
            stop,
        }
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// A handle that stops the run from elsewhere.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Drives the run to its end without looking at the events.
    pub async fn finish(mut self) -> Report {
        let mut report = Report::new(self.id);
        while let Some(event) = self.next().await {
            if let EventKind::RunFinished { report: finished } = event.kind {
                report = finished;
            }
        }
        report
    }
}

impl Stream for Run<'_> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        // first the work, so that answers are taken in time however slowly the events are read
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.events.poll_recv(context)
    }
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
