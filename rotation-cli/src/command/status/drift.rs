//! Passwords that somebody else changed after we set ours, as the directories have it.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{AccountKey, Drift, Policy, RunId, TenantId, Version};
use serde::Serialize;

use super::minute;
use crate::args::{Common, Sharded};
use crate::config::Config;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::output;
use crate::preflight::{self, Purpose};
use crate::{stored, wiring};

/// What the directories say.
#[derive(Debug)]
pub(super) struct Directories {
    /// The tenants that were asked.
    pub(super) tenants: Vec<TenantId>,
    /// When the password of an account was changed, if that was not us.
    changed: BTreeMap<AccountKey, Timestamp>,
}

/// An account whose password somebody else changed since we committed ours.
#[derive(Debug, Serialize)]
pub(super) struct Drifted {
    #[serde(flatten)]
    key: AccountKey,
    upn: String,
    committed_at: Option<Timestamp>,
    run_id: RunId,
    request_id: Option<String>,
    /// By the directory's clock.
    changed_at: Timestamp,
}

impl Directories {
    /// Signs in to the tenants, and looks at their accounts.
    ///
    /// # Errors
    /// If one does not let us in, or its accounts cannot be read.
    pub(super) async fn look(
        config: &Config,
        common: &Common,
        sharded: Sharded,
    ) -> Result<Self, Failure> {
        let mut interrupt = Interrupt::listen()?;
        let tenants = wiring::tenants(config, common, sharded)?;
        let looking = async {
            let ready = preflight::check(config, tenants, Purpose::Plan, common).await?;
            // whatever a run would make of it
            let policy = Policy {
                drift: Drift::Report,
                ..config.policy.clone()
            };
            let mut seen = Self {
                tenants: Vec::new(),
                changed: BTreeMap::new(),
            };
            for tenant in &ready.tenants {
                let store = &ready.store.store;
                let engine = tenant.tenant.engine(config, policy.clone(), store)?;
                let plan = engine.plan_as(tenant.caller.clone(), wiring::query(common));
                let mut plan = plan.await.map_err(|error| stored::failure(&error))?;
                let unreadable = |error| preflight::unreadable(&tenant.tenant.name, &error);
                while let Some(planned) = plan.try_next().await.map_err(unreadable)? {
                    let key = AccountKey {
                        tenant: tenant.caller.tenant.clone(),
                        account: planned.account.id,
                    };
                    seen.changed
                        .extend(planned.drifted.map(|changed| (key, changed)));
                }
                seen.tenants.push(tenant.caller.tenant.clone());
            }
            ready.store.close().await;
            Ok(seen)
        };
        interrupt.during(looking).await
    }

    /// What became of the account of `version`, if that is the current one and no run has replaced it meanwhile.
    pub(super) fn drift_of(&self, version: &Version) -> Option<Drifted> {
        let changed_at = *self.changed.get(&version.key.account)?;
        version.has_drifted(changed_at).then(|| Drifted {
            key: version.key.account.clone(),
            upn: version.user_name.clone(),
            committed_at: version.committed.as_ref().map(|known| known.at),
            run_id: version.run,
            request_id: version
                .committed
                .as_ref()
                .and_then(|known| known.request_id.clone()),
            changed_at,
        })
    }
}

pub(super) fn print(drifted: &[Drifted]) -> Result<(), Failure> {
    if drifted.is_empty() {
        return output::line("No drift: nobody else changed a password since we committed ours.\n");
    }
    let mut table = output::table(&[
        "drifted",
        "account",
        "changed",
        "our commit",
        "run",
        "request-id",
    ]);
    for one in drifted {
        table.add_row([
            one.upn.clone(),
            one.key.account.to_string(),
            minute(one.changed_at),
            one.committed_at.map(minute).unwrap_or_default(),
            one.run_id.to_string(),
            one.request_id.clone().unwrap_or_default(),
        ]);
    }
    output::line(&table.trim_fmt())?;
    output::line(
        "\nSomebody else changed these passwords after us, or a request of ours that was given up on arrived late. \
         `drift = \"rotate\"` in [policy] makes `rotation apply` rotate them.\n",
    )
}
