//! Many accounts at once: takes them from the plan, and records how they end.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Engine;
use super::batch::batcher;
use super::breaker::Breaker;
use super::canary::spread;
use super::feed::{Events, Tally};
use super::lease::HeldLease;
use super::pace::Pace;
use super::rotate::{Ended, Shared, Standing, store_problem};
use super::serve::{serve_audit, serve_backend, serve_store};
use super::stop::StopHandle;
use super::trouble::Trouble;
use crate::{
    AccountId, AccountResult, Decision, Event, EventKind, Lease, Plan, Planned, Problem, Report,
    RunId, SkipReason, StopReason, Turn,
};

/// How many accounts are under way for each request to the directory: the others wait for the store, whose durable
/// writes take about as long as requests and are cheaper the more accounts share one.
const ACCOUNTS_PER_REQUEST: usize = 12;

/// More requests at once than any directory bears.
const MOST_REQUESTS: usize = 4096;

impl Engine {
    pub(super) fn requests(&self) -> usize {
        let bears = self.backend.max_requests().unwrap_or(MOST_REQUESTS);
        self.options.concurrency.min(bears).clamp(1, MOST_REQUESTS)
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
    let requests = engine.requests();
    let accounts = engine.accounts_under_way();
    let batch = engine.backend.max_batch().clamp(1, accounts);
    let (stage, stage_worker) = batcher(accounts);
    let (set, set_worker) = batcher(accounts);
    let (commit, commit_worker) = batcher(accounts);
    // every account under way may wait for room, unpolled, before the one that is waited for
    let (audit, audit_worker) = batcher(2 * accounts);
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
        lease,
        pace: Pace::of(engine.backend.as_ref(), requests, requests * batch),
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
        let mut report = begin(&shared, &unrecorded, plan).await;
        report.seconds = started.elapsed().as_secs_f64();
        shared.tally.add_to(&mut report);
        let finished = EventKind::RunFinished { report };
        shared.events.conclude(finished).await;
    };
    let served = async {
        tokio::join!(
            serve_store(engine, stage_worker, commit_worker),
            serve_backend(engine, &shared.pace, &shared.lease, set_worker),
            serve_audit(engine, &unrecorded, audit_worker),
            shared.lease.keep(),
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
async fn begin(shared: &Shared<'_>, unrecorded: &Trouble, plan: Plan<'_>) -> Report {
    let started = EventKind::RunStarted {
        caller: shared.caller.clone(),
        backend: shared.engine.backend.name(),
        policy: shared.engine.policy.fingerprint(),
    };
    let begun = match shared.events.record(started).await {
        Err(problem) => Err(StopReason::Unrecorded { problem }),
        Ok(()) => shared
            .lease
            .take(&shared.engine.options.retry)
            .await
            .map_err(|error| StopReason::LeaseLost {
                problem: store_problem("the store gives no lease", &error),
            }),
    };
    let report = match begun {
        Ok(()) => drive(shared, unrecorded, plan).await,
        Err(reason) => {
            let mut report = Report::new(shared.run);
            shared.events.emit(EventKind::Stopped(reason.clone())).await;
            report.stopped = Some(reason);
            report
        }
    };
    // also one whose taking was not answered
    shared.lease.end().await;
    report
}

/// An account that another run had when its turn came.
struct Deferred {
    planned: Planned,
    /// When that run's lease lapses, unless it is renewed.
    lapses: Instant,
}

/// Takes accounts from the plan while there is room, and records how they end.
async fn drive(shared: &Shared<'_>, unrecorded: &Trouble, plan: Plan<'_>) -> Report {
    let mut report = Report::new(shared.run);
    let mut plan = spread(plan, shared.engine.policy.canary);
    let mut breaker = Breaker::new(&shared.engine.policy);
    let _active = shared.pace.controller().begins();
    let most = shared.engine.accounts_under_way();
    let mut under_way = FuturesUnordered::new();
    let mut busy: HashSet<AccountId> = HashSet::new();
    let mut deferred: VecDeque<Deferred> = VecDeque::new();
    let mut taking = true;
    // waits for its turn: what is not staged yet need not be settled by anybody
    let mut next: Option<Planned> = None;
    // those that another run had come again after all others
    let mut all_taken = false;
    while taking || next.is_some() || !under_way.is_empty() || !deferred.is_empty() {
        let room = breaker.allows(under_way.len(), most);
        // a listing that broke off ends the taking, and nothing else
        let going_on = !matches!(&report.stopped, Some(reason) if parks(reason));
        let stopping = tokio::select! {
            biased;
            () = shared.stop.requested_at_last(), if going_on => Some(StopReason::Interrupted),
            problem = shared.lease.lost.at_last(), if going_on => Some(StopReason::LeaseLost { problem }),
            problem = unrecorded.at_last(), if going_on => Some(StopReason::Unrecorded { problem }),
            Some(ended) = under_way.next() => {
                let (planned, lapses, ended): (Planned, Option<Instant>, Ended) = ended;
                let result = match ended {
                    Ended::With(result) => result,
                    Ended::Leased { by, lapses_in } => {
                        let lapses = lapses.unwrap_or_else(|| {
                            Instant::now() + lapses_in.min(LONGEST_WAIT) + LAPSE_MARGIN
                        });
                        let waits = deferred.len() < MOST_DEFERRED * most;
                        if going_on && waits && lapses > Instant::now() {
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
                stopping.filter(|_| taking || next.is_some() || !under_way.is_empty() || !deferred.is_empty())
            }
            turn = shared.pace.write(), if room && next.is_some() => {
                if let Some(planned) = next.take() {
                    let canary = breaker.is_canary(under_way.len());
                    under_way.push(rotate(shared, planned, Go::Now { turn, canary }));
                }
                None
            }
            decided_next = plan.next(), if taking && next.is_none() => match decided_next {
                None => {
                    taking = false;
                    None
                }
                Some(Err(error)) => Some(StopReason::Unreadable { problem: error.problem().clone() }),
                Some(Ok(mut planned)) => {
                    // two at once would race: what the directory takes last need not be what is committed last
                    if busy.contains(&planned.account.id) {
                        planned.decision = Decision::Skip { why: SkipReason::Repeated };
                        planned.unsettled = false;
                    }
                    if decided(shared, &mut report, &planned).await {
                        busy.insert(planned.account.id.clone());
                        next = Some(planned);
                    }
                    None
                }
            },
            Some(again) = async { deferred.pop_front() }, if !taking && next.is_none() && room && going_on && !deferred.is_empty() && (all_taken || under_way.is_empty()) => {
                all_taken = true;
                under_way.push(rotate(shared, again.planned, Go::Later { lapses: again.lapses }));
                None
            }
        };
        if let Some(reason) = stopping
            && going_on
        {
            taking = false;
            let parks = parks(&reason);
            shared.events.emit(EventKind::Stopped(reason.clone())).await;
            report.stopped = Some(reason);
            let waits = deferred.drain(..).map(|deferred| deferred.planned);
            let mut not_tried: Vec<Planned> = waits.collect();
            if parks {
                // whatever goes wrong would go wrong for those that wait for their turn, too
                shared.stop.stop();
                not_tried.extend(next.take());
            }
            for planned in not_tried {
                finished(shared, &mut report, &planned, AccountResult::NotTried).await;
            }
        }
    }
    // told by the very last account
    if report.stopped.is_none()
        && let Some(problem) = shared.lease.lost.told()
    {
        let reason = StopReason::LeaseLost { problem };
        shared.events.emit(EventKind::Stopped(reason.clone())).await;
        report.stopped = Some(reason);
    }
    report
}

/// Whether nothing more is sent for this reason. A listing that cannot be read to its end spares those that were read.
fn parks(reason: &StopReason) -> bool {
    !matches!(reason, StopReason::Unreadable { .. })
}

/// How many accounts may wait for another run, for each that may be under way: a run that died leaves fewer behind.
const MOST_DEFERRED: usize = 4;

/// No lease is longer, whatever a store says.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Another machine's clock may be a little late.
const LAPSE_MARGIN: Duration = Duration::from_millis(250);

/// How often to look whether another run is done with an account, or its lease has lapsed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// When an account goes.
enum Go {
    /// It is its turn. The first ones are looked at more closely.
    Now { turn: Turn, canary: bool },
    /// Another run had it; that one's lease lapses then.
    Later { lapses: Instant },
}

/// Rotates one account; one that another run had, after a while.
async fn rotate(
    shared: &Shared<'_>,
    planned: Planned,
    go: Go,
) -> (Planned, Option<Instant>, Ended) {
    let (turn, canary, lapses) = match go {
        Go::Now { turn, canary } => (Some(turn), canary, None),
        Go::Later { lapses } => {
            let again = lapses.min(Instant::now() + LOOK_AGAIN);
            let waited = shared.stop.during(sleep_until(again)).await;
            if waited.is_none() {
                let not_tried = Ended::With(AccountResult::NotTried);
                return (planned, Some(lapses), not_tried);
            }
            (None, false, Some(lapses))
        }
    };
    let ended = shared.rotate(&planned, turn, canary).await;
    (planned, lapses, ended)
}

/// Records the decision on an account; true if it is to be rotated.
async fn decided(shared: &Shared<'_>, report: &mut Report, planned: &Planned) -> bool {
    let (account, upn) = (
        planned.account.id.clone(),
        planned.account.user_name.clone(),
    );
    let rotate = matches!(planned.decision, Decision::Rotate { .. });
    // what another run of ours did since the plan was made is neither drift nor unsettled
    let now = if planned.drifted.is_some() || (planned.unsettled && !rotate) {
        shared.look_again(planned).await
    } else {
        Standing::default()
    };
    if let Some(changed) = planned.drifted.filter(|_| now.drifted) {
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
    let left_as_it_is = planned.unsettled && !rotate && now.unsettled;
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
