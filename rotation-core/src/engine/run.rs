//! A run as a stream of events that drives itself.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{Future, FutureExt, Stream, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::batch::{Worker, batcher};
use super::breaker::Breaker;
use super::gate::Gate;
use super::rotate::Shared;
use super::{Engine, EngineOptions};
use crate::{
    Account, AccountId, AccountResult, Clock, Decision, Event, EventKind, NewVersion, Outcome,
    Plan, Planned, Problem, Report, RunId, SetPassword, SkipReason, StopReason, StoreError,
    TenantId, VersionKey,
};

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
        let tenant = plan.tenant().clone();
        // every account under way may wait for room, unpolled, before the one that is waited for
        let (send, events) = mpsc::channel(EVENTS + engine.options.accounts_under_way());
        let stop = StopHandle(Arc::new(watch::Sender::new(false)));
        let events_of_run = Events {
            to: send,
            run_id: id,
            tenant,
            clock: Arc::clone(&engine.clock),
        };
        let work = work(engine, id, plan, events_of_run, stop.clone());
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

/// Stops a run: no further account is begun, nothing more is sent, and what was sent is seen through: its answer, its
/// verification and its commit.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<bool>>);

impl StopHandle {
    /// Asks the run to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once a stop is requested, and never without.
    async fn requested_at_last(&self) {
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

/// Where events go.
pub(super) struct Events {
    to: mpsc::Sender<Event>,
    run_id: RunId,
    tenant: TenantId,
    clock: Arc<dyn Clock>,
}

impl Events {
    pub(super) async fn emit(&self, kind: EventKind) {
        let event = Event {
            at: self.clock.now(),
            run_id: self.run_id,
            tenant: self.tenant.clone(),
            kind,
        };
        // fails only when the reader is gone, and with it this future
        let _gone = self.to.send(event).await;
    }
}

/// What was sent.
#[derive(Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    throttled: AtomicU64,
}

impl Tally {
    pub(super) fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::NotSent(_) => return,
            Outcome::Throttled { .. } => self.throttled.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many accounts are under way for each request to the directory: the others wait for the store, whose durable
/// writes take about as long as requests and are cheaper the more accounts share one.
const ACCOUNTS_PER_REQUEST: usize = 8;

/// More requests at once than any directory bears.
const MOST_REQUESTS: usize = 4096;

impl EngineOptions {
    fn requests(&self) -> usize {
        self.concurrency.clamp(1, MOST_REQUESTS)
    }

    fn accounts_under_way(&self) -> usize {
        self.requests() * ACCOUNTS_PER_REQUEST
    }
}

async fn work(engine: &Engine, run: RunId, plan: Plan<'_>, events: Events, stop: StopHandle) {
    let started = Instant::now();
    let requests = engine.options.requests();
    let accounts = engine.options.accounts_under_way();
    let (stage, stage_worker) = batcher(accounts, 1);
    let batch = engine.backend.max_batch().clamp(1, accounts);
    let (set, set_worker) = batcher(batch, requests);
    let (commit, commit_worker) = batcher(accounts, 1);
    let tenant = events.tenant.clone();
    let gate = Gate::open(requests * batch);
    let tally = Tally::default();
    let shared = Shared {
        engine,
        run,
        tenant,
        stage,
        set,
        commit,
        gate,
        stop,
        events,
        tally,
    };

    let driven = drive(&shared, plan);
    let served = serve(engine, stage_worker, set_worker, commit_worker);
    let mut report = tokio::select! {
        report = driven => report,
        // the workers end only with `shared`
        () = served => Report::new(run),
    };
    report.seconds = started.elapsed().as_secs_f64();
    report.requests = shared.tally.requests.load(Ordering::Relaxed);
    report.throttled = shared.tally.throttled.load(Ordering::Relaxed);
    shared.events.emit(EventKind::RunFinished { report }).await;
}

/// Takes accounts from the plan while there is room, and records how they end.
async fn drive(shared: &Shared<'_>, mut plan: Plan<'_>) -> Report {
    let mut report = Report::new(shared.run);
    let breaker = Breaker::new(&shared.engine.policy);
    let most = shared.engine.options.accounts_under_way();
    let mut under_way = FuturesUnordered::new();
    let mut busy: HashSet<AccountId> = HashSet::new();
    let mut taking = true;
    while taking || !under_way.is_empty() {
        let room = breaker.allows(&report, under_way.len(), most);
        let stopping = tokio::select! {
            biased;
            () = shared.stop.requested_at_last(), if report.stopped.is_none() => Some(StopReason::Interrupted),
            Some(ended) = under_way.next() => {
                let (account, result): (Account, AccountResult) = ended;
                busy.remove(&account.id);
                let stopping = finished(shared, &mut report, account, result, &breaker).await;
                stopping.filter(|_| taking || !under_way.is_empty())
            }
            next = plan.next(), if taking && room => match next {
                None => {
                    taking = false;
                    None
                }
                Some(Err(error)) => Some(StopReason::Unreadable { problem: error.problem().clone() }),
                Some(Ok(mut planned)) => {
                    // two at once would race: what the directory takes last need not be what is committed last
                    if busy.contains(&planned.account.id) {
                        planned.decision = Decision::Skip { why: SkipReason::Repeated };
                    }
                    if decided(shared, &mut report, &planned).await {
                        busy.insert(planned.account.id.clone());
                        under_way.push(async move {
                            let result = shared.rotate(&planned.account).await;
                            (planned.account, result)
                        });
                    }
                    None
                }
            },
        };
        if let Some(reason) = stopping
            && report.stopped.is_none()
        {
            taking = false;
            shared.events.emit(EventKind::Stopped(reason.clone())).await;
            if matches!(
                reason,
                StopReason::Canary { .. } | StopReason::Failures { .. }
            ) {
                // whatever goes wrong would go wrong for those that wait for their turn, too
                shared.stop.stop();
            }
            report.stopped = Some(reason);
        }
    }
    report
}

/// Records the decision on an account; true if it is to be rotated.
async fn decided(shared: &Shared<'_>, report: &mut Report, planned: &Planned) -> bool {
    let Planned { account, decision } = planned;
    match decision {
        Decision::Rotate { .. } => {}
        Decision::Skip { .. } => report.skipped += 1,
        Decision::Deny { .. } => report.denied += 1,
    }
    let (id, upn, reason) = (
        account.id.clone(),
        account.user_name.clone(),
        decision.to_string(),
    );
    let decision = decision.clone();
    let rotate = matches!(decision, Decision::Rotate { .. });
    shared
        .events
        .emit(EventKind::Decided {
            account: id,
            upn,
            decision,
            reason,
        })
        .await;
    rotate
}

/// Records how an account ended; the reason to stop, if that is one.
async fn finished(
    shared: &Shared<'_>,
    report: &mut Report,
    account: Account,
    result: AccountResult,
    breaker: &Breaker<'_>,
) -> Option<StopReason> {
    report.record(&account.id, &account.user_name, &result);
    let stop = breaker.trips(report, &result);
    let (account, upn) = (account.id, account.user_name);
    shared
        .events
        .emit(EventKind::Finished {
            account,
            upn,
            result,
        })
        .await;
    stop
}

/// Answers what the accounts under way ask of store and backend.
async fn serve(
    engine: &Engine,
    stage: Worker<NewVersion, Result<(), StoreError>>,
    set: Worker<SetPassword, Outcome>,
    commit: Worker<VersionKey, Result<(), StoreError>>,
) {
    let (store, backend, limit) = (
        &engine.store,
        &engine.backend,
        engine.options.attempt_timeout,
    );
    let lost = &*format!("no answer within {limit:?}");
    tokio::join!(
        stage.run(|batch: Vec<NewVersion>| async move {
            let staged = store.stage(&batch).await;
            batch.iter().map(|_| staged.clone()).collect()
        }),
        set.run(|batch: Vec<SetPassword>| async move {
            let answer = timeout(limit, backend.set_passwords(&batch)).await;
            answer.unwrap_or_else(|_| vec![Outcome::Unknown(Problem::new(lost)); batch.len()])
        }),
        commit.run(|batch: Vec<VersionKey>| async move { store.commit(&batch).await }),
    );
}
