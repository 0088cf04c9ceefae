//! Rotates in many tenants at once: one run, one stream of events for each tenant, all of them driven here.
//!
//! No tenant waits for another: one that stops, is throttled or breaks off leaves the others as they are. Only what all of
//! them depend on stops all: somebody who asks for it, a store that cannot be read, a record or events that cannot be
//! written.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, StreamExt, stream};
use rotation_core::{
    AccountId, AccountResult, Decision, Due, Engine, Event, EventKind, Report, Run, RunId,
    SkipReason,
};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Common;
use crate::clock;
use crate::events::EventFile;
use crate::interrupt::Interrupt;
use crate::output;
use crate::preflight::ReadyTenant;
use crate::progress::{Progress, TICK};
use crate::reason::Reasons;
use crate::selection::Selection;
use crate::summary::TenantSummary;
use crate::survey::Surveyed;
use crate::wiring::{self, store};

/// The tenants of one run.
pub(crate) struct Fleet<'a> {
    run: RunId,
    common: &'a Common,
    selection: Selection<'a>,
    tellers: Mutex<Tellers>,
    /// Whether all are to stop.
    stop: watch::Sender<bool>,
}

/// Who is told what happens.
struct Tellers {
    progress: Progress,
    events: Option<EventFile>,
    /// Whether events could not be written, so that those that follow are lost, too.
    events_lost: bool,
}

impl<'a> Fleet<'a> {
    /// `tenants` are to be rotated in under the id `run`, as `selection` says.
    pub(crate) fn new(
        run: RunId,
        tenants: &[Surveyed],
        common: &'a Common,
        selection: Selection<'a>,
        events: Option<EventFile>,
    ) -> Self {
        let progress = Progress::start(tenants, common);
        Self {
            run,
            common,
            selection,
            tellers: Mutex::new(Tellers {
                progress,
                events,
                events_lost: false,
            }),
            stop: watch::Sender::new(false),
        }
    }

    /// Rotates what is due in `tenants`, at most `at_once` of them at once, those with the longest way to go first. What
    /// was done in each, in the order in which they ended.
    pub(crate) async fn rotate(
        &self,
        mut tenants: Vec<Surveyed>,
        at_once: usize,
        interrupt: &mut Interrupt,
    ) -> Vec<TenantSummary> {
        tenants.sort_by_key(|tenant| Reverse(tenant.rotate));
        let runs = tenants
            .into_iter()
            .map(|tenant| self.rotate_one(tenant).boxed());
        let mut ended = stream::iter(runs).buffer_unordered(at_once);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut summaries = Vec::new();
        let mut interrupted = false;
        loop {
            tokio::select! {
                biased;
                () = interrupt.requested(), if !interrupted => {
                    interrupted = true;
                    self.stop_all();
                }
                _ = ticks.tick() => self.tick(),
                next = ended.next() => match next {
                    Some(summary) => summaries.push(summary),
                    None => break,
                },
            }
        }
        self.tellers().progress.close();
        summaries
    }

    /// Rotates what is due in one tenant.
    async fn rotate_one(&self, tenant: Surveyed) -> TenantSummary {
        let ready = &tenant.ready;
        let summary = TenantSummary::new(ready);
        if *self.stop.borrow() {
            return summary.not_begun(tenant.rotate);
        }
        let rate = tenant.rate();
        if let Some(rate) = &rate {
            rate.expect(tenant.rotate);
        }
        self.tellers().progress.begin(ready.tenant.place);
        let plan = self.selection.plan(
            &tenant.engine,
            ready.caller.clone(),
            wiring::query(self.common),
        );
        let summary = match plan.await {
            Ok(plan) => {
                let plan = self.selection.part(plan, tenant.rotate);
                let run = tenant.engine.run_as(self.run, plan);
                let mut follower = Follower::new(self, ready.tenant.place);
                follower.follow(run).await;
                let summary = follower.sum_up(summary);
                if summary.is_broken() {
                    self.stop_all();
                }
                if summary.is_whole() {
                    prune(&tenant.engine, ready).await;
                }
                summary
            }
            Err(error) => {
                self.stop_all();
                summary.with_unreadable_store(store::problem(&error))
            }
        };
        self.tellers().progress.end(ready.tenant.place);
        if let Some(rate) = &rate {
            rate.expect(0);
        }
        summary.with_traffic(ready.tenant.traffic())
    }

    fn stop_all(&self) {
        self.stop.send_replace(true);
    }

    /// Time passes.
    fn tick(&self) {
        let told = self.tellers().progress.tick();
        for (tenant, progress) in told {
            self.keep(&Event::new(clock::now(), self.run, tenant, progress));
        }
    }

    /// Writes `event` where somebody wants it. What happens without being told must not go on.
    fn keep(&self, event: &Event) {
        let mut tellers = self.tellers();
        tellers.keep(event);
        if tellers.events_lost {
            self.stop_all();
        }
    }

    fn tellers(&self) -> MutexGuard<'_, Tellers> {
        self.tellers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tellers {
    fn keep(&mut self, event: &Event) {
        if let Some(Err(error)) = self.events.as_mut().map(|file| file.write(event)) {
            output::note(&format!("{error}; stopping"));
            self.events = None;
            self.events_lost = true;
        }
    }
}

/// Drops the previous versions that the policy does not keep. There is always a next run to do what this one could not.
async fn prune(engine: &Engine, ready: &ReadyTenant) {
    let name = &ready.tenant.name;
    match engine.prune(&ready.caller.tenant).await {
        Ok(pruned) => tracing::info!(name, pruned, "dropped previous versions"),
        Err(error) => output::note(&format!(
            "{name}: the previous passwords that the policy does not keep are still there: {}",
            store::problem(&error)
        )),
    }
}

/// Reads the events of one tenant's run, which is what drives it.
struct Follower<'a> {
    fleet: &'a Fleet<'a>,
    place: usize,
    reasons: Reasons,
    /// The unsettled accounts that are under way.
    settling: HashSet<AccountId>,
    settled: u64,
    /// The account that was last decided to be left as it is.
    left: Option<(AccountId, Decision)>,
    report: Option<Report>,
}

impl<'a> Follower<'a> {
    fn new(fleet: &'a Fleet<'a>, place: usize) -> Self {
        Self {
            fleet,
            place,
            reasons: Reasons::default(),
            settling: HashSet::new(),
            settled: 0,
            left: None,
            report: None,
        }
    }

    async fn follow(&mut self, mut run: Run<'_>) {
        let mut stop = self.fleet.stop.subscribe();
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    run.stop_handle().stop();
                }
                event = run.next() => {
                    let Some(event) = event else { return };
                    self.fleet.keep(&event);
                    self.take(event.kind);
                }
            }
        }
    }

    fn take(&mut self, event: EventKind) {
        match event {
            EventKind::Decided {
                account, decision, ..
            } => {
                self.reasons.add(&decision);
                match decision {
                    Decision::Rotate {
                        due: Due::Unsettled,
                        ..
                    } => {
                        self.settling.insert(account);
                    }
                    // one that is listed twice is under way
                    Decision::Rotate { .. }
                    | Decision::Skip {
                        why: SkipReason::Repeated,
                    } => {}
                    _ => self.left = Some((account, decision)),
                }
            }
            EventKind::Finished {
                account, result, ..
            } => {
                if let Some((_, decision)) = self.left.take_if(|(left, _)| *left == account) {
                    // an earlier run left it unsettled, and that is what it is: neither skipped nor denied
                    self.reasons.remove(&decision);
                    return;
                }
                let rotated = matches!(result, AccountResult::Rotated { .. });
                self.settled += u64::from(self.settling.remove(&account) && rotated);
                self.fleet.tellers().progress.finished(self.place, &result);
            }
            EventKind::Paused { seconds } => {
                self.fleet.tellers().progress.paused(self.place, seconds);
            }
            EventKind::RunFinished { report } => self.report = Some(report),
            _ => {}
        }
    }

    fn sum_up(self, summary: TenantSummary) -> TenantSummary {
        let summary = summary
            .with_reasons(self.reasons)
            .with_settled(self.settled)
            .with_events_lost(self.fleet.tellers().events_lost);
        match self.report {
            Some(report) => summary.with_report(report),
            None => summary,
        }
    }
}
