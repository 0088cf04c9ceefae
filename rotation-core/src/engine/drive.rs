//! Many accounts at once: takes them from the plan, lets them share the store's writes, and records how they end.

use std::collections::HashSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout};

use super::batch::{Worker, batcher};
use super::breaker::Breaker;
use super::feed::{Events, Tally};
use super::gate::Gate;
use super::rotate::Shared;
use super::stop::StopHandle;
use super::{Engine, EngineOptions};
use crate::{
    Account, AccountId, AccountResult, Decision, EventKind, NewVersion, Outcome, Plan, Planned,
    Problem, Report, SetPassword, SkipReason, StopReason, StoreError, VersionKey,
};

/// How many accounts are under way for each request to the directory: the others wait for the store, whose durable
/// writes take about as long as requests and are cheaper the more accounts share one.
const ACCOUNTS_PER_REQUEST: usize = 8;

/// More requests at once than any directory bears.
const MOST_REQUESTS: usize = 4096;

impl EngineOptions {
    fn requests(&self) -> usize {
        self.concurrency.clamp(1, MOST_REQUESTS)
    }

    pub(super) fn accounts_under_way(&self) -> usize {
        self.requests() * ACCOUNTS_PER_REQUEST
    }
}

/// Executes `plan` to its end.
pub(super) async fn work(engine: &Engine, plan: Plan<'_>, events: Events, stop: StopHandle) {
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
    let run = events.run_id;
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
    shared.tally.add_to(&mut report);
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
