//! One `apply` or `recover` from beginning to end: preflight, a look at every account, then one run over all tenants.

use std::path::PathBuf;

use rotation_core::{PlanTenant, ReviewedPlan, RunId};
use tokio::time::Instant;

use crate::args::{Common, Sharded};
use crate::audit::AuditRecord;
use crate::config::Config;
use crate::events::EventFile;
use crate::exit::Failure;
use crate::fleet::Fleet;
use crate::interrupt::Interrupt;
use crate::named::Named;
use crate::obstructed::Obstructed;
use crate::output;
use crate::preflight::{self, Purpose, Ready};
use crate::selection::Selection;
use crate::summary::{Summary, TenantSummary};
use crate::survey::{Surveyed, survey, tell_what_no_longer_matches};
use crate::wiring;

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
        let tenants = wiring::tenants(config, common, self.sharded);
        let tenants = interrupt.during(tenants).await?;
        if tenants.is_empty() {
            return Ok(Summary::new(run));
        }
        let named = Named::new(&common.accounts);
        let prepare = async {
            let ready = preflight::check(config, tenants, Purpose::Rotate, common).await?;
            if let Some(plan) = &self.reviewed {
                check_reviewed(plan, config, &ready)?;
            }
            let Ready {
                store,
                tenants,
                mut obstructed,
            } = ready;
            let left_out = &mut obstructed;
            let surveyed =
                survey(config, common, &store, tenants, selection, &named, left_out).await?;
            let audit = AuditRecord::open(config)?;
            let events = self.events.as_deref().map(EventFile::open).transpose()?;
            Ok((store, surveyed, obstructed, audit, events))
        };
        let (store, surveyed, obstructed, audit, events) = interrupt.during(prepare).await?;
        self.tell_what_no_longer_matches(common, &surveyed, &obstructed);

        let began = Instant::now();
        let tenants: Vec<_> = surveyed
            .into_iter()
            .map(|tenant| tenant.recording(&audit))
            .collect();
        let fleet = Fleet::new(run, &tenants, common, selection, events);
        let at_once = config.engine.tenants_at_once;
        let done = fleet.rotate(tenants, at_once, &mut interrupt).await;
        let seconds = began.elapsed().as_secs_f64();
        store.close().await;
        let left_out = obstructed.into_iter().map(TenantSummary::left_out);
        Ok(Summary::new(run)
            .with_missing(self.missing(named))
            .with_tenants(done.into_iter().chain(left_out))
            .with_seconds(seconds)
            .with_audit_head(audit.head())
            .with_interrupted(interrupt.is_requested()))
    }

    /// Says what of the reviewed plan is not done, unless only some of it was asked for.
    fn tell_what_no_longer_matches(
        &self,
        common: &Common,
        surveyed: &[Surveyed],
        obstructed: &[Obstructed],
    ) {
        if let (Some(plan), None, [], []) = (
            &self.reviewed,
            self.max,
            common.accounts.as_slice(),
            obstructed,
        ) {
            tell_what_no_longer_matches(plan, surveyed);
        }
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

/// A reviewed plan must be for this policy, these tenants and these callers. Of a tenant that is left out there is no
/// telling, and nothing is sent to it.
fn check_reviewed(plan: &ReviewedPlan, config: &Config, ready: &Ready) -> Result<(), Failure> {
    let mut tenants = ready.plan_tenants();
    let left_out = |planned: &&PlanTenant| {
        let is_ready = tenants.iter().any(|tenant| tenant.tenant == planned.tenant);
        let mut obstructed = ready.obstructed.iter();
        !is_ready && obstructed.any(|tenant| tenant.may_be(&planned.tenant))
    };
    let excused: Vec<_> = plan
        .header()
        .tenants
        .iter()
        .filter(left_out)
        .cloned()
        .collect();
    tenants.extend(excused);
    plan.check(&config.policies(), &tenants).map_err(|error| {
        Failure::preflight(miette::miette!(
            help = "make and review a new plan: rotation plan --out plan.json",
            "the plan no longer matches, so nothing was sent: {error}"
        ))
    })
}
