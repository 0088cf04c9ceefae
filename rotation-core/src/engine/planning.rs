//! Plans: first what an earlier run left unsettled, then whatever the directory lists, with what the store knows of it.
//!
//! Memory holds the unsettled accounts of the tenant, and of all others the few hundred that are being decided: what the
//! store knows of them is asked for as they come, while the ones before them are worked on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt, future};
use tokio::time::sleep;

use super::rotate::store_problem;
use super::{Engine, EngineError};
use crate::{
    Account, AccountId, AccountKey, AccountQuery, BackendError, Caller, Decision, Drift, Known,
    Plan, PlanTenant, Planned, Planner, Select, SkipReason, StoreError, TenantId,
};

/// How many accounts are asked for by name in one go.
const NAMED_AT_ONCE: usize = 100;

/// Of how many accounts the store is asked in one go, at most.
const KNOWN_AT_ONCE: usize = 500;

/// How many such questions are under way at once.
const LOOKUPS: usize = 2;

/// What all decisions of a plan share.
struct Planning {
    planner: Planner,
    tenant: TenantId,
    /// The accounts with a pending version when the plan began, each with its user name when that was staged.
    unsettled: HashMap<AccountId, String>,
}

impl Engine {
    /// Decides what is to become of the accounts that `query` names. Writes nothing, neither to the directory nor to
    /// the store. Accounts that an earlier run left unsettled are due, and come first.
    ///
    /// # Errors
    /// - [`EngineError::Backend`] if the caller cannot be established. Trouble with the accounts comes in the stream,
    ///   and so does trouble with what the store knows of them.
    /// - [`EngineError::Store`] if the pending versions in the store cannot be read.
    pub async fn plan(&self, query: AccountQuery) -> Result<Plan<'_>, EngineError> {
        let caller = self.backend.caller().await?;
        Ok(self.plan_as(caller, query).await?)
    }

    /// The same for a caller that was established before.
    ///
    /// # Errors
    /// If the pending versions in the store cannot be read.
    pub async fn plan_as(
        &self,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'_>, StoreError> {
        self.plan_from(caller, |planning| {
            let settled = planning.unsettled_of(&query);
            let first = self.settling(&planning, settled.clone(), query.clone());
            let others = self
                .backend
                .accounts(query)
                .try_filter(move |account| future::ready(!settled.contains(&account.id)));
            first.chain(self.decided(&planning, others.boxed())).boxed()
        })
        .await
    }

    /// Decides on the accounts that an earlier run left unsettled, and no others.
    ///
    /// # Errors
    /// If the pending versions in the store cannot be read.
    pub async fn plan_unsettled_as(
        &self,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'_>, StoreError> {
        self.plan_from(caller, |planning| {
            let settled = planning.unsettled_of(&query);
            self.settling(&planning, settled, query).boxed()
        })
        .await
    }

    async fn plan_from<'a>(
        &'a self,
        caller: Caller,
        decide: impl FnOnce(Arc<Planning>) -> BoxStream<'a, Result<Planned, BackendError>>,
    ) -> Result<Plan<'a>, StoreError> {
        let now = self.clock.now();
        let tenant = PlanTenant {
            tenant: caller.tenant.clone(),
            caller: caller.id.clone(),
        };
        let planning = Planning {
            unsettled: self.unsettled(&tenant.tenant).await?,
            planner: Planner::new(self.policy.clone(), caller, now),
            tenant: tenant.tenant.clone(),
        };
        let plan = Plan::new(tenant, now, decide(Arc::new(planning)));
        Ok(match self.policy.max_per_tenant {
            Some(max) => plan.within(max, SkipReason::BeyondTenantMaximum { max }),
            None => plan,
        })
    }

    /// The accounts of `tenant` with a pending version, each with its user name when that was staged.
    async fn unsettled(&self, tenant: &TenantId) -> Result<HashMap<AccountId, String>, StoreError> {
        let pending = self.store.versions(Select::Pending(tenant.clone()));
        pending
            .map_ok(|version| (version.key.account.account, version.user_name))
            .try_collect()
            .await
    }

    /// Decides on the `unsettled` accounts, also on those that the directory no longer has.
    fn settling<'a>(
        &'a self,
        planning: &Arc<Planning>,
        unsettled: HashSet<AccountId>,
        query: AccountQuery,
    ) -> impl Stream<Item = Result<Planned, BackendError>> + Send + use<'a> {
        let names: Vec<String> = unsettled.iter().map(AccountId::to_string).collect();
        let chunks: Vec<_> = names.chunks(NAMED_AT_ONCE).map(<[_]>::to_vec).collect();
        let found = Arc::new(Mutex::new(HashSet::new()));
        let seen = Arc::clone(&found);
        let absent = Arc::clone(planning);
        let present = stream::iter(chunks)
            .flat_map(|names| self.backend.accounts(AccountQuery::Named(names)))
            .inspect_ok(move |account| {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(account.id.clone());
            })
            // it may have given up the user name that it is asked for by, to somebody else
            .try_filter(move |account| future::ready(query.names(account)));
        let gone = stream::once(future::lazy(move |_| {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let gone: Vec<_> = unsettled
                .difference(&seen)
                .map(|id| absent.gone(id))
                .collect();
            stream::iter(gone.into_iter().map(Ok))
        }))
        .flatten();
        self.decided(planning, present.boxed()).chain(gone)
    }

    /// Decides account by account, in their order. Never waits for more accounts, to ask the store for many.
    fn decided<'a>(
        &'a self,
        planning: &Arc<Planning>,
        accounts: BoxStream<'a, Result<Account, BackendError>>,
    ) -> impl Stream<Item = Result<Planned, BackendError>> + Send + use<'a> {
        let planning = Arc::clone(planning);
        accounts
            .ready_chunks(KNOWN_AT_ONCE)
            .map(move |chunk| self.decide(Arc::clone(&planning), chunk))
            .buffered(LOOKUPS)
            .flat_map(stream::iter)
    }

    /// Decides on some accounts. What could not be read stays in its place.
    async fn decide(
        &self,
        planning: Arc<Planning>,
        chunk: Vec<Result<Account, BackendError>>,
    ) -> Vec<Result<Planned, BackendError>> {
        let accounts = chunk.iter().flatten().map(|account| account.id.clone());
        let known = match self.known(&planning.tenant, accounts.collect()).await {
            Ok(known) => known,
            Err(error) => return vec![Err(unread(&error))],
        };
        // only now: what was committed before it was looked up does not lie ahead of it
        let now = self.clock.now();
        let plan = |account: Account| {
            let unsettled = planning.unsettled.contains_key(&account.id);
            let known = known.get(&account.id).cloned().unwrap_or_default();
            planning.planner.plan(account, &known.since(unsettled), now)
        };
        chunk
            .into_iter()
            .map(|account| account.map(&plan))
            .collect()
    }

    /// What the store knows of these accounts of `tenant`, as far as the policy asks for it.
    async fn known(
        &self,
        tenant: &TenantId,
        accounts: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Known>, StoreError> {
        if self.policy.drift == Drift::Ignore || accounts.is_empty() {
            return Ok(HashMap::new());
        }
        let key = |account| AccountKey {
            tenant: tenant.clone(),
            account,
        };
        let select = Select::Accounts(accounts.into_iter().map(key).collect());
        let mut attempt = 1;
        loop {
            let versions = self.store.versions(select.clone());
            let known = versions.try_fold(HashMap::new(), async |mut known, version| {
                let of: &mut Known = known
                    .entry(version.key.account.account.clone())
                    .or_default();
                of.note(&version);
                Ok(known)
            });
            match known.await {
                Err(StoreError::Unavailable { .. }) if attempt < self.options.retry.attempts => {
                    sleep(self.options.retry.backoff(attempt)).await;
                    attempt += 1;
                }
                known => return known,
            }
        }
    }
}

impl Planning {
    /// The unsettled accounts that `query` names by their id or the user name they had.
    fn unsettled_of(&self, query: &AccountQuery) -> HashSet<AccountId> {
        let named = self.unsettled.iter().filter(|(id, user_name)| {
            query.names(&Account::new((*id).clone(), user_name.as_str()))
        });
        named.map(|(id, _)| id.clone()).collect()
    }

    /// An unsettled account that the directory lacks: it stands for itself in the plan, so that it is reported.
    fn gone(&self, id: &AccountId) -> Planned {
        let user_name = self.unsettled.get(id).map_or("", String::as_str);
        let why = SkipReason::Gone;
        let mut planned = Planned::new(Account::new(id.clone(), user_name), Decision::Skip { why });
        planned.unsettled = true;
        planned
    }
}

/// What a plan says if the store does not tell what it knows: without that, no account is decided on.
fn unread(error: &StoreError) -> BackendError {
    let what = "what the store knows of them cannot be read, so no more of them are planned";
    let problem = store_problem(what, error);
    match error {
        StoreError::Unavailable { .. } => BackendError::Unavailable(problem),
        _ => BackendError::Unexpected(problem),
    }
}
