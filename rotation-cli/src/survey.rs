//! A look at every account of every tenant before the first password is sent.
//!
//! So a directory that cannot be read to its end costs nothing, and progress knows how far it has to go. The price is
//! that accounts are listed twice.

use futures::TryStreamExt;
use rotation_core::{Decision, Engine, ReviewedPlan};

use crate::args::Common;
use crate::audit::AuditRecord;
use crate::config::Config;
use crate::exit::Failure;
use crate::named::Named;
use crate::output;
use crate::preflight::{self, ReadyTenant};
use crate::selection::Selection;
use crate::stored;
use crate::wiring;
use crate::wiring::store::OpenStore;

/// A tenant whose accounts were all looked at.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) ready: ReadyTenant,
    pub(crate) engine: Engine,
    /// How many accounts are to be rotated.
    pub(crate) rotate: u64,
}

impl Surveyed {
    /// The same, with everything that is decided and done put on record.
    pub(crate) fn recording(self, audit: &AuditRecord) -> Self {
        let engine = audit.written_by(self.engine);
        Self { engine, ..self }
    }
}

/// Looks at every account, and sets nothing.
///
/// # Errors
/// If an account cannot be read.
pub(crate) async fn survey(
    config: &Config,
    common: &Common,
    store: &OpenStore,
    tenants: Vec<ReadyTenant>,
    mut selection: Selection<'_>,
    named: &mut Named,
) -> Result<Vec<Surveyed>, Failure> {
    let mut surveyed = Vec::new();
    for tenant in tenants {
        let policy = config.policy.clone();
        let engine = tenant.tenant.engine(config, policy, &store.store)?;
        let rotate = count(&engine, &tenant, common, &selection, named).await?;
        selection.took(rotate);
        surveyed.push(Surveyed {
            ready: tenant,
            engine,
            rotate,
        });
    }
    Ok(surveyed)
}

/// Says how many accounts of a reviewed plan keep their password because they no longer match it.
pub(crate) fn tell_what_no_longer_matches(reviewed: &ReviewedPlan, surveyed: &[Surveyed]) {
    let rotate: u64 = surveyed.iter().map(|tenant| tenant.rotate).sum();
    let planned = reviewed.rotations() as u64;
    let gone = planned.saturating_sub(rotate);
    if gone > 0 {
        output::note(&format!(
            "the plan no longer fits {gone} of the {planned} accounts that it rotates: their password stays"
        ));
    }
}

async fn count(
    engine: &Engine,
    tenant: &ReadyTenant,
    common: &Common,
    selection: &Selection<'_>,
    named: &mut Named,
) -> Result<u64, Failure> {
    let unreadable = |error| preflight::unreadable(&tenant.tenant.name, &error);
    let (caller, query) = (tenant.caller.clone(), wiring::query(common));
    let plan = selection.plan(engine, caller, query).await;
    let mut plan = plan.map_err(|error| stored::failure(&error).at_preflight())?;
    let mut rotate = 0;
    while let Some(planned) = plan.try_next().await.map_err(unreadable)? {
        named.see(&planned.account);
        rotate += u64::from(matches!(planned.decision, Decision::Rotate { .. }));
    }
    Ok(rotate)
}
