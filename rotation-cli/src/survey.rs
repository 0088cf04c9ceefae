//! A look at every account of every tenant before the first password is sent.
//!
//! So a directory that cannot be read to its end costs nothing, and progress knows how far it has to go. The price is
//! that accounts are listed twice.

use std::future::ready;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use rotation_core::{BackendError, Decision, Engine, RateController, ReviewedPlan};

use crate::args::Common;
use crate::audit::AuditRecord;
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::Failure;
use crate::named::Named;
use crate::obstructed::Obstructed;
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
    /// How many accounts are to be rotated: this tenant's part of the maximum, if there is one.
    pub(crate) rotate: u64,
}

impl Surveyed {
    /// What says how fast this tenant may be gone through.
    pub(crate) fn rate(&self) -> Option<RateController> {
        self.ready.tenant.backend.rate().cloned()
    }

    /// The same, with everything that is decided and done put on record.
    pub(crate) fn recording(self, audit: &AuditRecord) -> Self {
        let engine = audit.written_by(self.engine);
        Self { engine, ..self }
    }
}

/// Looks at every account of all tenants, several at once, and sets nothing. Tenants whose accounts cannot be read are said
/// to be, and put to `obstructed`.
///
/// # Errors
/// If the store cannot be read, or the accounts of no tenant.
pub(crate) async fn survey(
    config: &Config,
    common: &Common,
    store: &OpenStore,
    tenants: Vec<ReadyTenant>,
    selection: Selection<'_>,
    named: &Named,
    obstructed: &mut Vec<Obstructed>,
) -> Result<Vec<Surveyed>, Failure> {
    let look = async |tenant: ReadyTenant| {
        let policy = tenant.tenant.policy.clone();
        let engine = tenant.tenant.engine(config, policy, &store.store)?;
        let due = count(&engine, &tenant, common, selection, named).await?;
        Ok::<_, Failure>((tenant, engine, due))
    };
    let mut looks = pin!(in_order(tenants, config.engine.tenants_at_once, look));
    let (mut surveyed, mut taken) = (Vec::new(), 0);
    while let Some((tenant, engine, due)) = looks.next().await.transpose()? {
        match due {
            Ok(due) => {
                let rotate = selection.part_of(due, taken);
                taken += rotate;
                surveyed.push(Surveyed {
                    ready: tenant,
                    engine,
                    rotate,
                });
            }
            Err(error) => obstructed.push(preflight::unreadable(&tenant, &error)),
        }
    }
    if surveyed.is_empty() {
        return Err(preflight::refused());
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

/// How many accounts are due in one tenant.
async fn count(
    engine: &Engine,
    tenant: &ReadyTenant,
    common: &Common,
    selection: Selection<'_>,
    named: &Named,
) -> Result<Result<u64, BackendError>, Failure> {
    let (caller, query) = (tenant.caller.clone(), wiring::query(common));
    let plan = selection.plan(engine, caller, query).await;
    let plan = plan.map_err(|error| stored::failure(&error).at_preflight())?;
    let due = plan.try_fold(0, |due, planned| {
        named.see(&planned.account);
        let rotate = matches!(planned.decision, Decision::Rotate { .. });
        ready(Ok(due + u64::from(rotate)))
    });
    Ok(due.await)
}
