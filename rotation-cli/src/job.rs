//! One `apply` from beginning to end: preflight, a look at every account, then one run per tenant.

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use rotation_core::{Event, EventKind, Problem, Report, ReviewedPlan, Run, RunId, StopHandle};
use secret_stores::SqliteStore;

use crate::args::Common;
use crate::config::Config;
use crate::events::EventFile;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::named::Named;
use crate::output;
use crate::preflight::{self, Purpose, Ready};
use crate::progress::Progress;
use crate::reason::Reasons;
use crate::selection::Selection;
use crate::summary::{Summary, TenantSummary};
use crate::survey::{Surveyed, survey, tell_what_no_longer_matches};
use crate::wiring;

/// What to rotate, as the command line has it.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) reviewed: Option<ReviewedPlan>,
    pub(crate) max: Option<u64>,
    /// Where to write events.
    pub(crate) events: Option<PathBuf>,
}

impl Job {
    /// Does it.
    ///
    /// # Errors
    /// If the configuration cannot work, or the preflight says no. Once something was sent there is always a summary.
    pub(crate) async fn run(self, config: &Config, common: &Common) -> Result<Summary, Failure> {
        let Self {
            reviewed,
            max,
            events,
        } = self;
        let reviewed = reviewed.as_ref();
        let mut interrupt = Interrupt::listen()?;
        let tenants = wiring::tenants(config, common)?;
        let mut named = Named::new(&common.accounts);
        let prepare = async {
            let ready = preflight::check(config, tenants, Purpose::Rotate, common).await?;
            if let Some(plan) = reviewed {
                check_reviewed(plan, config, &ready)?;
            }
            let store = Arc::clone(&ready.store);
            let selection = Selection::new(reviewed, max);
            let surveyed = survey(config, common, ready, selection, &mut named).await?;
            let events = events.as_deref().map(EventFile::open).transpose()?;
            Ok((store, surveyed, events))
        };
        let (store, surveyed, mut events) = interrupt.during(prepare).await?;
        // whoever asks for some accounts only knows that the others are not rotated
        if let (Some(plan), None, []) = (reviewed, max, common.accounts.as_slice()) {
            tell_what_no_longer_matches(plan, &surveyed);
        }

        let run = RunId::new();
        let mut summary = Summary::new(run, named.missing());
        let mut selection = Selection::new(reviewed, max);
        for tenant in surveyed {
            if interrupt.is_requested() || summary.events_lost() {
                break;
            }
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
        close(store).await;
        Ok(summary.with_interrupted(interrupt.is_requested()))
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
    let mut summary = TenantSummary::new(id, name);
    match engine
        .plan_as(ready.caller.clone(), wiring::query(common))
        .await
    {
        Ok(plan) => {
            let run = engine.run_as(run, selection.narrow(plan));
            let mut follower = Follower {
                stop: run.stop_handle(),
                progress: Progress::start(name, *rotate, common),
                events,
                reasons: Reasons::default(),
                report: None,
                events_lost: false,
            };
            follower.follow(run, interrupt).await;
            selection.took(follower.reasons.rotate());
            summary = follower.sum_up(summary);
        }
        Err(error) => summary = summary.with_obstacle(Problem::new(error.to_string())),
    }
    summary.with_traffic(ready.tenant.backend.traffic())
}

/// Reads the events of one run, which is what drives it.
struct Follower<'a> {
    stop: StopHandle,
    progress: Progress,
    events: &'a mut Option<EventFile>,
    reasons: Reasons,
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
            EventKind::Decided { decision, .. } => self.reasons.add(&decision),
            EventKind::Finished { result, .. } => self.progress.finished(&result),
            EventKind::Paused { seconds } => self.progress.paused(seconds),
            EventKind::RunFinished { report } => self.report = Some(report),
            _ => {}
        }
    }

    fn sum_up(self, summary: TenantSummary) -> TenantSummary {
        self.progress.end();
        let summary = summary
            .with_reasons(self.reasons)
            .with_events_lost(self.events_lost);
        match self.report {
            Some(report) => summary.with_report(report),
            None => summary,
        }
    }
}

/// Writes out what the store still holds back, if we are its last user.
async fn close(store: Arc<SqliteStore>) {
    if let Ok(store) = Arc::try_unwrap(store) {
        store.close().await;
    }
}
