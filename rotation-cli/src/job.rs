//! One `apply` or `recover` from beginning to end: preflight, a look at every account, then one run per tenant.

use std::collections::HashSet;
use std::path::PathBuf;

use futures::StreamExt;
use rotation_core::{
    AccountId, AccountResult, Decision, Due, Engine, Event, EventKind, Report, ReviewedPlan, Run,
    RunId, SkipReason, StopHandle, TenantId,
};

use crate::args::{Common, Sharded};
use crate::audit::AuditRecord;
use crate::config::Config;
use crate::events::EventFile;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::named::Named;
use crate::output;
use crate::preflight::{self, Purpose, Ready};
use crate::progress::{LINE_EVERY, Progress};
use crate::reason::Reasons;
use crate::selection::Selection;
use crate::summary::{Summary, TenantSummary};
use crate::survey::{Surveyed, survey, tell_what_no_longer_matches};
use crate::wiring::{self, store};

/// What to rotate, as the command line has it.
#[derive(Debug, Default)]
pub(crate) struct Job {
    /// Only what earlier runs left unsettled.
    pub(crate) unsettled: bool,
    pub(crate) reviewed: Option<ReviewedPlan>,
    pub(crate) max: Option<u64>,
    /// Where to write events.
    pub(crate) events: Option<PathBuf>,
    pub(crate) sharded: Sharded,
}

impl Job {
    /// Does it.
    ///
    /// # Errors
    /// If the configuration cannot work, or the preflight says no. Once something was sent there is always a summary.
    pub(crate) async fn run(self, config: &Config, common: &Common) -> Result<Summary, Failure> {
        let selection = if self.unsettled {
            Selection::unsettled()
        } else {
            Selection::due(self.reviewed.as_ref(), self.max)
        };
        let mut interrupt = Interrupt::listen()?;
        let run = RunId::new();
        let tenants = wiring::tenants(config, common, self.sharded)?;
        if tenants.is_empty() {
            return Ok(Summary::new(run));
        }
        let mut named = Named::new(&common.accounts);
        let prepare = async {
            let ready = preflight::check(config, tenants, Purpose::Rotate, common).await?;
            if let Some(plan) = &self.reviewed {
                check_reviewed(plan, config, &ready)?;
            }
            let Ready { store, tenants } = ready;
            let surveyed = survey(config, common, &store, tenants, selection, &mut named).await?;
            let audit = AuditRecord::open(config)?;
            let events = self.events.as_deref().map(EventFile::open).transpose()?;
            Ok((store, surveyed, audit, events))
        };
        let (store, surveyed, audit, mut events) = interrupt.during(prepare).await?;
        // whoever asks for some accounts only knows that the others are not rotated
        if let (Some(plan), None, []) = (&self.reviewed, self.max, common.accounts.as_slice()) {
            tell_what_no_longer_matches(plan, &surveyed);
        }

        let mut summary = Summary::new(run).with_missing(self.missing(named));
        let mut selection = selection;
        for tenant in surveyed {
            if interrupt.is_requested() || summary.is_broken() {
                break;
            }
            let tenant = tenant.recording(&audit);
            let done = rotate(
                run,
                &tenant,
                common,
                &mut selection,
                &mut events,
                &mut interrupt,
            )
            .await;
            summary.add(done);
        }
        store.close().await;
        Ok(summary
            .with_audit_head(audit.head())
            .with_interrupted(interrupt.is_requested()))
    }

    /// The accounts that the command line names and nobody has; one that is settled is not looked for.
    fn missing(&self, named: Named) -> Vec<String> {
        let missing = named.missing();
        if self.unsettled {
            for name in &missing {
                output::note(&format!("{name} is not unsettled: nothing to do"));
            }
            return Vec::new();
        }
        missing
    }
}

/// A reviewed plan must be for this policy, these tenants and these callers.
fn check_reviewed(plan: &ReviewedPlan, config: &Config, ready: &Ready) -> Result<(), Failure> {
    plan.check(&config.policy.fingerprint(), &ready.plan_tenants())
        .map_err(|error| {
            Failure::preflight(miette::miette!(
                help = "make and review a new plan: rotation plan --out plan.json",
                "the plan no longer matches, so nothing was sent: {error}"
            ))
        })
}

/// Rotates what is due in one tenant.
async fn rotate(
    run: RunId,
    tenant: &Surveyed,
    common: &Common,
    selection: &mut Selection<'_>,
    events: &mut Option<EventFile>,
    interrupt: &mut Interrupt,
) -> TenantSummary {
    let Surveyed {
        ready,
        engine,
        rotate,
    } = tenant;
    let (name, id) = (&ready.tenant.name, ready.caller.tenant.clone());
    let mut summary = TenantSummary::new(id.clone(), name);
    let plan = selection.plan(engine, ready.caller.clone(), wiring::query(common));
    match plan.await {
        Ok(plan) => {
            let run = engine.run_as(run, plan);
            let mut follower = Follower {
                stop: run.stop_handle(),
                progress: Progress::start(name, *rotate, common),
                events,
                reasons: Reasons::default(),
                settling: HashSet::new(),
                settled: 0,
                left: None,
                report: None,
                events_lost: false,
            };
            follower.follow(run, interrupt).await;
            selection.took(follower.reasons.rotate());
            summary = follower.sum_up(summary);
            if summary.is_whole() {
                prune(engine, &id, name).await;
            }
        }
        Err(error) => summary = summary.with_obstacle(store::problem(&error)),
    }
    summary.with_traffic(ready.tenant.backend.traffic())
}

/// Drops the previous versions that the policy does not keep. There is always a next run to do what this one could not.
async fn prune(engine: &Engine, tenant: &TenantId, name: &str) {
    match engine.prune(tenant).await {
        Ok(pruned) => tracing::info!(name, pruned, "dropped previous versions"),
        Err(error) => output::note(&format!(
            "{name}: the previous passwords that the policy does not keep are still there: {}",
            store::problem(&error)
        )),
    }
}

/// Reads the events of one run, which is what drives it.
struct Follower<'a> {
    stop: StopHandle,
    progress: Progress,
    events: &'a mut Option<EventFile>,
    reasons: Reasons,
    /// The unsettled accounts that are under way.
    settling: HashSet<AccountId>,
    settled: u64,
    /// The account that was last decided to be left as it is.
    left: Option<(AccountId, Decision)>,
    report: Option<Report>,
    events_lost: bool,
}

impl Follower<'_> {
    async fn follow(&mut self, mut run: Run<'_>, interrupt: &mut Interrupt) {
        let mut stopping = false;
        loop {
            let event = tokio::select! {
                biased;
                () = interrupt.requested(), if !stopping => {
                    stopping = true;
                    self.stop.stop();
                    continue;
                }
                event = run.next() => event,
                () = tokio::time::sleep(LINE_EVERY) => {
                    self.progress.idle();
                    continue;
                }
            };
            let Some(event) = event else { return };
            self.keep(&event);
            self.take(event.kind);
        }
    }

    fn keep(&mut self, event: &Event) {
        if let Some(Err(error)) = self.events.as_mut().map(|file| file.write(event)) {
            output::note(&format!("{error}; stopping"));
            *self.events = None;
            self.events_lost = true;
            self.stop.stop();
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
                self.progress.finished(&result);
            }
            EventKind::Paused { seconds } => self.progress.paused(seconds),
            EventKind::RunFinished { report } => self.report = Some(report),
            _ => {}
        }
    }

    fn sum_up(self, summary: TenantSummary) -> TenantSummary {
        self.progress.end();
        let summary = summary
            .with_reasons(self.reasons)
            .with_settled(self.settled)
            .with_events_lost(self.events_lost);
        match self.report {
            Some(report) => summary.with_report(report),
            None => summary,
        }
    }
}
