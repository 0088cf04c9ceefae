//! Many accounts at once: takes them from the plan, lets them share the store's writes, and records how they end.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::{Worker, batcher};
use super::breaker::Breaker;
use super::feed::{Events, Tally};
use super::gate::Gate;
use super::lease::HeldLease;
use super::rotate::{Ended, Shared};
use super::stop::StopHandle;
use super::trouble::Trouble;
use super::{Engine, EngineOptions};
use crate::{
    AccountId, AccountResult, Commit, Decision, Event, EventKind, Lease, NewVersion, Outcome, Plan,
    Planned, Problem, Report, RunId, SetPassword, SkipReason, StopReason, StoreError,
};

/// How many accounts are under way for each request to the directory: the others wait for the store, whose durable
/// writes take about as long as requests and are cheaper the more accounts share one.
const ACCOUNTS_PER_REQUEST: usize = 12;

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
pub(super) async fn work(
    engine: &Engine,
    run: RunId,
    plan: Plan<'_>,
    events: mpsc::Sender<Event>,
    stop: StopHandle,
) {
    let started = Instant::now();
    let requests = engine.options.requests();
    let accounts = engine.options.accounts_under_way();
    let batch = engine.backend.max_batch().clamp(1, accounts);
    let (stage, stage_worker) = batcher(accounts, 1);
    let (set, set_worker) = batcher(batch, requests);
    let (commit, commit_worker) = batcher(accounts, 1);
    let (audit, audit_worker) = batcher(accounts, 1);
    let tenant = plan.tenant().clone();
    let lease = HeldLease::new(
        Arc::clone(&engine.store),
        Arc::clone(&engine.clock),
        Lease {
            tenant: tenant.clone(),
            run,
        },
        engine.options.lease,
    );
    let unrecorded = Trouble::default();
    let shared = Shared {
        engine,
        run,
        tenant: tenant.clone(),
        caller: plan.caller().clone(),
        planned_at: plan.planned_at(),
        stage,
        set,
        commit,
        gate: Gate::open(requests * batch),
        stop,
        events: Events {
            to: events,
            audit: engine.audit.is_some().then_some(audit),
            run_id: run,
            tenant,
            clock: Arc::clone(&engine.clock),
        },
        tally: Tally::default(),
    };
    let driven = async {
        let mut report = begin(&shared, &lease, &unrecorded, plan).await;
        report.seconds = started.elapsed().as_secs_f64();
        shared.tally.add_to(&mut report);
        let finished = EventKind::RunFinished { report };
        shared.events.conclude(finished).await;
    };
    let served = async {
        tokio::join!(
            serve_store(engine, stage_worker, commit_worker),
            serve_backend(engine, &lease, set_worker),
            serve_audit(engine, &unrecorded, audit_worker),
            lease.keep(),
        );
        // the workers end only with `shared`
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = driven => {}
        () = served => {}
    }
}

/// Drives `plan` under a lease.
async fn begin(
    shared: &Shared<'_>,
    lease: &HeldLease,
    unrecorded: &Trouble,
    plan: Plan<'_>,
) -> Report {
    let started = EventKind::RunStarted {
        caller: shared.caller.clone(),
        backend: shared.engine.backend.name(),
        policy: shared.engine.policy.fingerprint(),
    };
    let begun = match shared.events.record(started).await {
        Err(problem) => Err(StopReason::Unrecorded { problem }),
        Ok(()) => lease
            .take(&shared.engine.options.retry)
            .await
            .map_err(|error| StopReason::LeaseLost {
                problem: Problem::new(format!("the store gives no lease: {error}")),
            }),
    };
    match begun {
        Ok(()) => {
            let report = drive(shared, lease, unrecorded, plan).await;
            lease.end().await;
            report
        }
        Err(reason) => {
            let mut report = Report::new(shared.run);
            shared.events.emit(EventKind::Stopped(reason.clone())).await;
            report.stopped = Some(reason);
            report
        }
    }
}

/// An account that another run had when its turn came.
struct Deferred {
    planned: Planned,
    /// When that run's lease lapses, unless it is renewed.
    lapses: Instant,
}

/// Takes accounts from the plan while there is room, and records how they end.
async fn drive(
    shared: &Shared<'_>,
    lease: &HeldLease,
    unrecorded: &Trouble,
    mut plan: Plan<'_>,
) -> Report {
    let mut report = Report::new(shared.run);
    let mut breaker = Breaker::new(&shared.engine.policy);
    let most = shared.engine.options.accounts_under_way();
    let mut under_way = FuturesUnordered::new();
    let mut busy: HashSet<AccountId> = HashSet::new();
    let mut deferred: VecDeque<Deferred> = VecDeque::new();
    let mut taking = true;
    // those that another run had come again after all others
    let mut all_taken = false;
    while taking || !under_way.is_empty() || !deferred.is_empty() {
        let room = breaker.allows(under_way.len(), most);
        let going_on = report.stopped.is_none();
        let stopping = tokio::select! {
            biased;
            () = shared.stop.requested_at_last(), if going_on => Some(StopReason::Interrupted),
            problem = lease.lost.at_last(), if going_on => Some(StopReason::LeaseLost { problem }),
            problem = unrecorded.at_last(), if going_on => Some(StopReason::Unrecorded { problem }),
            Some(ended) = under_way.next() => {
                let (planned, lapses, ended): (Planned, Option<Instant>, Ended) = ended;
                let result = match ended {
                    Ended::With(result) => result,
                    Ended::Leased { by, lapses_in } => {
                        let lapses = lapses.unwrap_or_else(|| Instant::now() + lapses_in + LAPSE_MARGIN);
                        if going_on && lapses > Instant::now() {
                            deferred.push_back(Deferred { planned, lapses });
                            continue;
                        }
                        // it outlived the lease it had, so it is at work
                        AccountResult::LeftToOther { run: by }
                    }
                };
                busy.remove(&planned.account.id);
                let stopping = breaker.count(&result);
                finished(shared, &mut report, &planned, result).await;
                stopping.filter(|_| taking || !under_way.is_empty() || !deferred.is_empty())
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
                        under_way.push(rotate(shared, planned, None));
                    }
                    None
                }
            },
            Some(next) = async { deferred.pop_front() }, if !taking && room && going_on && !deferred.is_empty() && (all_taken || under_way.is_empty()) => {
                all_taken = true;
                under_way.push(rotate(shared, next.planned, Some(next.lapses)));
                None
            }
        };
        if let Some(reason) = stopping
            && report.stopped.is_none()
        {
            taking = false;
            shared.events.emit(EventKind::Stopped(reason.clone())).await;
            if !matches!(reason, StopReason::Unreadable { .. }) {
                // whatever goes wrong would go wrong for those that wait for their turn, too
                shared.stop.stop();
            }
            report.stopped = Some(reason);
            for Deferred { planned, .. } in deferred.drain(..) {
                finished(shared, &mut report, &planned, AccountResult::NotTried).await;
            }
        }
    }
    report
}

/// Another machine's clock may be a little late.
const LAPSE_MARGIN: Duration = Duration::from_millis(250);

/// How often to look whether another run is done with an account, or its lease has lapsed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Rotates one account; one that another run had, after a while.
async fn rotate(
    shared: &Shared<'_>,
    planned: Planned,
    lapses: Option<Instant>,
) -> (Planned, Option<Instant>, Ended) {
    let waited = match lapses {
        Some(lapses) => {
            let again = lapses.min(Instant::now() + LOOK_AGAIN);
            shared.stop.during(sleep_until(again)).await
        }
        None => Some(()),
    };
    let ended = match waited {
        Some(()) => shared.rotate(&planned).await,
        None => Ended::With(AccountResult::NotTried),
    };
    (planned, lapses, ended)
}

/// Records the decision on an account; true if it is to be rotated.
async fn decided(shared: &Shared<'_>, report: &mut Report, planned: &Planned) -> bool {
    let (account, upn) = (
        planned.account.id.clone(),
        planned.account.user_name.clone(),
    );
    if let Some(changed) = planned.drifted {
        report.drifted += 1;
        let (account, upn) = (account.clone(), upn.clone());
        let drifted = EventKind::Drifted {
            account,
            upn,
            changed,
        };
        shared.events.emit(drifted).await;
    }
    let (decision, reason) = (planned.decision.clone(), planned.decision.to_string());
    let rotate = matches!(decision, Decision::Rotate { .. });
    let left_as_it_is = planned.unsettled && !rotate;
    match decision {
        _ if left_as_it_is => {}
        Decision::Rotate { .. } => {}
        Decision::Skip { .. } => report.skipped += 1,
        Decision::Deny { .. } => report.denied += 1,
    }
    let decided = EventKind::Decided {
        account,
        upn,
        decision,
        reason,
    };
    shared.events.emit(decided).await;
    if left_as_it_is {
        let problem = Problem::new(format!(
            "an earlier run left it unsettled, and it cannot be settled: {}",
            planned.decision
        ))
        .with_fix("every version that may be live is kept: `rotation reveal` shows them");
        finished(
            shared,
            report,
            planned,
            AccountResult::Unsettled { problem },
        )
        .await;
    }
    rotate
}

/// Records how an account ended.
async fn finished(
    shared: &Shared<'_>,
    report: &mut Report,
    planned: &Planned,
    result: AccountResult,
) {
    let (account, upn) = (&planned.account.id, &planned.account.user_name);
    report.record(account, upn, &result);
    let finished = EventKind::Finished {
        account: account.clone(),
        upn: upn.clone(),
        result,
    };
    shared.events.emit(finished).await;
}

/// Answers what the accounts under way ask of the store.
async fn serve_store(
    engine: &Engine,
    stage: Worker<NewVersion, Result<(), StoreError>>,
    commit: Worker<Commit, Result<(), StoreError>>,
) {
    let store = &engine.store;
    tokio::join!(
        stage.run(|batch: Vec<NewVersion>| async move { store.stage(&batch).await }),
        commit.run(|batch: Vec<Commit>| async move { store.commit(&batch).await }),
    );
}

/// Answers what they ask of the backend, while the lease lasts.
async fn serve_backend(engine: &Engine, lease: &HeldLease, set: Worker<SetPassword, Outcome>) {
    let backend = &engine.backend;
    let limit = engine.options.attempt_timeout.min(engine.options.lease / 2);
    set.run(|batch: Vec<SetPassword>| async move {
        let all = |outcome: fn(Problem) -> Outcome, problem| vec![outcome(problem); batch.len()];
        if !lease.lasts(limit).await {
            let problem = Problem::new("the lease was not renewed in time, so nothing was sent")
                .with_fix("look for a store that stalls, or a machine that sleeps");
            return all(Outcome::NotSent, problem);
        }
        tokio::select! {
            // first, so that what was not sent in time is never sent later, when the lease may be lost
            biased;
            () = sleep(limit) => all(Outcome::Unknown, Problem::new(format!("no answer within {limit:?}"))),
            outcomes = backend.set_passwords(&batch) => outcomes,
        }
    })
    .await;
}

/// Puts on record what is told.
async fn serve_audit(
    engine: &Engine,
    unrecorded: &Trouble,
    events: Worker<Event, Result<(), Problem>>,
) {
    let audit = &engine.audit;
    events
        .run(|batch: Vec<Event>| async move {
            let recorded = match audit {
                Some(audit) => audit.append(&batch).await,
                None => Ok(()),
            };
            let recorded = recorded.map_err(|error| Problem {
                message: format!("the audit record cannot be written: {error}"),
                ..error.problem()
            });
            if let Err(problem) = &recorded {
                unrecorded.tell(problem.clone());
            }
            vec![recorded; batch.len()]
        })
        .await;
}
