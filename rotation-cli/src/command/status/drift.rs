//! Passwords that somebody else changed after we set ours, as the directories have it.

use std::collections::BTreeMap;
use std::future::ready;
use std::pin::pin;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{AccountKey, BackendError, Drift, Policy, RunId, TenantId, Version};
use serde::Serialize;

use super::minute;
use crate::args::{Common, Sharded};
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::output;
use crate::preflight::{self, Purpose, Ready, ReadyTenant};
use crate::wiring::store::OpenStore;
use crate::{stored, wiring};

/// What the directories say.
#[derive(Debug)]
pub(super) struct Directories {
    /// The tenants that were asked.
    pub(super) tenants: Vec<TenantId>,
    /// Those that could not be asked, as they are configured.
    pub(super) left_out: Vec<String>,
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
    /// If none lets us in and read its accounts, or the store cannot be read.
    pub(super) async fn look(
        config: &Config,
        common: &Common,
        sharded: Sharded,
    ) -> Result<Self, Failure> {
        let mut interrupt = Interrupt::listen()?;
        let tenants = wiring::tenants(config, common, sharded);
        let tenants = interrupt.during(tenants).await?;
        let looking = async {
            let Ready {
                store,
                tenants,
                obstructed,
            } = preflight::check(config, tenants, Purpose::Plan, common).await?;
            let mut seen = Self {
                tenants: Vec::new(),
                left_out: obstructed.into_iter().map(|tenant| tenant.name).collect(),
                changed: BTreeMap::new(),
            };
            let all = tenants.len();
            {
                let look = async |tenant: ReadyTenant| {
                    let changed = changed(config, common, &store, &tenant).await;
                    (tenant, changed)
                };
                let mut looks = pin!(in_order(tenants, config.engine.tenants_at_once, look));
                while let Some((tenant, changed)) = looks.next().await {
                    match changed? {
                        Ok(changed) => {
                            seen.tenants.push(tenant.caller.tenant);
                            seen.changed.extend(changed);
                        }
                        Err(error) => {
                            let obstructed = preflight::unreadable(&tenant, &error);
                            seen.left_out.push(obstructed.name);
                        }
                    }
                }
            }
            if seen.tenants.is_empty() && all > 0 {
                return Err(preflight::refused());
            }
            store.close().await;
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

/// When somebody else changed the passwords of one tenant's accounts.
async fn changed(
    config: &Config,
    common: &Common,
    store: &OpenStore,
    tenant: &ReadyTenant,
) -> Result<Result<BTreeMap<AccountKey, Timestamp>, BackendError>, Failure> {
    // whatever a run would make of it
    let policy = Policy {
        drift: Drift::Report,
        ..tenant.tenant.policy.clone()
    };
    let engine = tenant.tenant.engine(config, policy, &store.store)?;
    let plan = engine.plan_as(tenant.caller.clone(), wiring::query(common));
    let plan = plan.await.map_err(|error| stored::failure(&error))?;
    let changed = plan.try_fold(BTreeMap::new(), |mut changed, planned| {
        let key = AccountKey {
            tenant: tenant.caller.tenant.clone(),
            account: planned.account.id,
        };
        changed.extend(planned.drifted.map(|at| (key, at)));
        ready(Ok(changed))
    });
    Ok(changed.await)
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
