//! One `apply` from beginning to end: preflight, a look at every account, then one run per tenant.
//!
//! Every account of every tenant is looked at before the first password is sent. So a directory that cannot be read to
//! its end costs nothing, and progress knows how far it has to go; the price is that accounts are listed twice.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt};
use rotation_core::{Engine, EventKind, Plan, Problem, Report, ReviewedPlan};
use secret_stores::SqliteStore;

use crate::args::Common;
use crate::config::Config;
use crate::events::EventFile;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::named::Named;
use crate::output;
use crate::preflight::{self, Purpose, Ready, ReadyTenant};
use crate::progress::Progress;
use crate::reason::Reasons;
use crate::selection::Selection;
use crate::summary::{Summary, TenantSummary};
use crate::wiring;

/// What to rotate, as the command line has it.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) reviewed: Option<ReviewedPlan>,
    pub(crate) max: Option<u64>,
    pub(crate) events: Option<EventFile>,
}

/// A tenant whose accounts were all looked at.
struct Surveyed {
    ready: ReadyTenant,
    engine: Engine,
    /// How many accounts are to be rotated.
    rotate: u64,
}

impl Job {
    /// Does it.
    ///
    /// # Errors
    /// If the configuration cannot work, or the preflight says no. Once something was sent there is always a summary.
    pub(crate) async fn run(
        mut self,
        config: &Config,
        common: &Common,
    ) -> Result<Summary, Failure> {
        let mut interrupt = Interrupt::listen()?;
        let tenants = wiring::tenants(config, common)?;
        let mut named = Named::new(&common.accounts);
        let prepare = async {
            let ready = preflight::check(config, tenants, Purpose::Rotate, common).await?;
            self.check_reviewed(config, &ready)?;
            let store = Arc::clone(&ready.store);
            let surveyed = self.survey(config, common, ready, &mut named).await?;
            Ok((store, surveyed))
        };
        let (store, surveyed) = interrupt.during(prepare).await?;

        let mut summary = Summary::default();
        summary.missing = named.missing();
        let reviewed = self.reviewed.take();
        let mut selection = Selection::new(reviewed.as_ref(), self.max);
        for tenant in surveyed {
            if interrupt.is_requested() || summary.events_lost() {
                break;
            }
            summary.add(
                self.rotate(&tenant, common, &mut selection, &mut interrupt)
                    .await,
            );
        }
        summary.interrupted = interrupt.is_requested();
        close(store).await;
        Ok(summary)
    }

    /// A reviewed plan must be for this policy, these tenants and these callers.
    fn check_reviewed(&self, config: &Config, ready: &Ready) -> Result<(), Failure> {
        let Some(plan) = &self.reviewed else {
            return Ok(());
        };
        plan.check(&config.policy.fingerprint(), &ready.plan_tenants())
            .map_err(|error| {
                Failure::preflight(miette::miette!(
                    help = "make and review a new plan: rotation plan --out plan.json",
                    "the plan no longer matches, so nothing was sent: {error}"
                ))
            })
    }

    /// Looks at every account, and sets nothing.
    async fn survey(
        &self,
        config: &Config,
        common: &Common,
        ready: Ready,
        named: &mut Named,
    ) -> Result<Vec<Surveyed>, Failure> {
        let mut selection = Selection::new(self.reviewed.as_ref(), self.max);
        let mut surveyed = Vec::new();
        for tenant in ready.tenants {
            let engine = tenant.tenant.engine(config, &ready.store)?;
            let mut reasons = Reasons::default();
            let plan = engine
                .plan_as(tenant.caller.clone(), wiring::query(common))
                .await;
            let mut plan = plan.map_err(|error| unreadable(&tenant, &error))?;
            while let Some(planned) = plan
                .try_next()
                .await
                .map_err(|error| unreadable(&tenant, &error))?
            {
                named.see(&planned.account);
                if selection.takes(&tenant.caller.tenant, &planned, &mut reasons) {
                    reasons.add(&planned.decision);
                }
            }
            drop(plan);
            surveyed.push(Surveyed {
                ready: tenant,
                engine,
                rotate: reasons.rotate(),
            });
        }
        self.tell_what_no_longer_matches(&surveyed, common);
        Ok(surveyed)
    }

    fn tell_what_no_longer_matches(&self, surveyed: &[Surveyed], common: &Common) {
        let rotate: u64 = surveyed.iter().map(|tenant| tenant.rotate).sum();
        let reviewed = self
            .reviewed
            .as_ref()
            .map_or(0, |plan| plan.rotations() as u64);
        let gone = reviewed.saturating_sub(rotate);
        if gone > 0 && self.max.is_none() && common.accounts.is_empty() {
            output::note(&format!(
                "{gone} of the {reviewed} accounts that the plan rotates no longer match it and keep their password"
            ));
        }
    }

    /// Rotates what is due in one tenant.
    async fn rotate(
        &mut self,
        tenant: &Surveyed,
        common: &Common,
        selection: &mut Selection<'_>,
        interrupt: &mut Interrupt,
    ) -> TenantSummary {
        let Surveyed {
            ready,
            engine,
            rotate,
        } = tenant;
        let caller = ready.caller.clone();
        let id = caller.tenant.clone();
        let name = &ready.tenant.name;
        let plan = match engine.plan_as(caller, wiring::query(common)).await {
            Ok(plan) => plan,
            Err(error) => {
                let traffic = ready.tenant.backend.traffic();
                return TenantSummary::new(id, name, None, Reasons::default(), traffic)
                    .with_obstacle(Problem::new(error.to_string()));
            }
        };
        let reasons = Mutex::new(Reasons::default());
        let narrowed = selection.narrow(id.clone(), plan, &reasons);
        let run = engine.run(Plan::new(id.clone(), narrowed));
        let progress = Progress::start(name, *rotate, common);
        let (report, events_lost) = self.follow(run, progress, &reasons, interrupt).await;
        let reasons = reasons.into_inner().unwrap_or_else(PoisonError::into_inner);
        let traffic = ready.tenant.backend.traffic();
        TenantSummary::new(id, name, report, reasons, traffic).with_events_lost(events_lost)
    }

    /// Drives a run to its end; its report, and whether events could not be written.
    async fn follow(
        &mut self,
        mut run: rotation_core::Run<'_>,
        mut progress: Progress,
        reasons: &Mutex<Reasons>,
        interrupt: &mut Interrupt,
    ) -> (Option<Report>, bool) {
        let stop = run.stop_handle();
        let (mut report, mut events_lost) = (None, false);
        loop {
            let event = tokio::select! {
                biased;
                () = interrupt.requested(), if !interrupt.is_requested() => {
                    stop.stop();
                    continue;
                }
                event = run.next() => event,
            };
            let Some(event) = event else { break };
            if let Some(Err(error)) = self.events.as_mut().map(|file| file.write(&event)) {
                output::note(&format!("{error}; stopping"));
                self.events = None;
                events_lost = true;
                stop.stop();
            }
            match event.kind {
                EventKind::Decided { decision, .. } => {
                    reasons
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(&decision);
                }
                EventKind::Finished { result, .. } => progress.finished(&result),
                EventKind::Paused { seconds } => progress.paused(seconds),
                EventKind::RunFinished(finished) => report = Some(finished),
                _ => {}
            }
        }
        progress.end();
        (report, events_lost)
    }
}

fn unreadable(tenant: &ReadyTenant, error: &dyn std::fmt::Display) -> Failure {
    Failure::preflight(miette::miette!(
        "the accounts of {} cannot be read, so nothing was sent: {error}",
        tenant.tenant.name
    ))
}

/// Writes out what the store still holds back, if we are its last user.
async fn close(store: Arc<SqliteStore>) {
    if let Ok(store) = Arc::try_unwrap(store) {
        store.close().await;
    }
}
