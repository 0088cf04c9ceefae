//! The durable engine: plan → stage → set → verify → commit, for many accounts at once.
//!
//! [`drive`] takes planned accounts while there is room. Each is one [`rotate`] future, a straight line of steps for one
//! account. Their calls to store, backend and audit record meet in [`batch`] workers, so that one durable write serves many
//! accounts; a [`lease`] keeps other runs away from them. All of it is one future, driven by whoever reads
//! the events: nothing is spawned, a slow reader slows the run, and dropping it stops the run at any point without loss.

mod batch;
mod batching;
mod breaker;
mod canary;
mod drive;
mod feed;
mod lease;
mod pace;
mod retry;
mod rotate;
mod run;
mod serve;
mod stop;
mod trouble;
mod verify;

pub use batching::Batching;
pub use retry::RetryPolicy;
pub use run::Run;
pub use stop::StopHandle;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, future, stream};

use crate::{
    Account, AccountId, AccountQuery, AuditLog, BackendError, Caller, Clock, Drift, GenerateError,
    Generator, Known, Plan, PlanTenant, Planned, Planner, Policy, RotationBackend, RunId,
    SecretStore, Select, SkipReason, StoreError, SystemClock, TenantId,
};

/// Rotates the accounts of one tenant through a backend, and keeps their passwords in a store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use rotation_core::testkit::{MemoryBackend, MemoryStore};
/// use rotation_core::{AccountQuery, Engine, Policy, Treatment};
///
/// let backend = Arc::new(MemoryBackend::with_accounts(3));
/// let policy = Policy { unknown_age: Treatment::Rotate, ..Policy::default() };
/// let engine = Engine::new(backend, Arc::new(MemoryStore::new()), policy)?;
/// let plan = engine.plan(AccountQuery::All).await?;
/// let report = engine.run(plan).finish().await;
/// assert_eq!(report.rotated, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Engine {
    backend: Arc<dyn RotationBackend>,
    store: Arc<dyn SecretStore>,
    policy: Policy,
    generator: Generator,
    options: EngineOptions,
    clock: Arc<dyn Clock>,
    audit: Option<Arc<dyn AuditLog>>,
}

/// How the engine works, as opposed to what it is to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct EngineOptions {
    /// How many requests to the directory are under way at once; at least 1. Several times as many accounts are under
    /// way, so that the directory need not wait for the store. Fewer where many tenants share a [`RateControl`](crate::RateControl).
    pub concurrency: usize,
    /// Whether passwords share requests.
    pub batching: Batching,
    /// How long to wait for one answer of the backend before it counts as lost; no longer than half of `lease`.
    pub attempt_timeout: Duration,
    /// How long a run that died keeps other runs from the accounts it was at work on. It is renewed all the while.
    pub lease: Duration,
    /// When to try again, and when to give up.
    pub retry: RetryPolicy,
    /// How long the directory's change time may take to move, where the policy asks to verify it.
    pub verify_timeout: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            batching: Batching::default(),
            attempt_timeout: Duration::from_secs(30),
            lease: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            verify_timeout: Duration::from_secs(60),
        }
    }
}

/// How many accounts are asked for by name in one go.
const NAMED_AT_ONCE: usize = 100;

/// Why no plan could be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The directory could not be read.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// An engine with default options and the machine's clock.
    ///
    /// # Errors
    /// If no password satisfies the policy.
    pub fn new(
        backend: Arc<dyn RotationBackend>,
        store: Arc<dyn SecretStore>,
        policy: Policy,
    ) -> Result<Self, GenerateError> {
        let generator = policy.generator()?;
        let (options, clock) = (EngineOptions::default(), Arc::new(SystemClock));
        Ok(Self {
            backend,
            store,
            policy,
            generator,
            options,
            clock,
            audit: None,
        })
    }

    /// The same engine working in another way.
    #[must_use]
    pub fn with_options(self, options: EngineOptions) -> Self {
        Self { options, ..self }
    }

    /// The same engine with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same engine, which puts every decision and outcome on record before the next step depends on it.
    #[must_use]
    pub fn with_audit(self, audit: Arc<dyn AuditLog>) -> Self {
        Self {
            audit: Some(audit),
            ..self
        }
    }

    /// Decides what is to become of the accounts that `query` names. Writes nothing, neither to the directory nor to
    /// the store. Accounts that an earlier run left unsettled are due, and come first.
    ///
    /// # Errors
    /// - [`EngineError::Backend`] if the caller cannot be established. Trouble with the accounts comes in the stream.
    /// - [`EngineError::Store`] if the versions in the store cannot be read.
    pub async fn plan(&self, query: AccountQuery) -> Result<Plan<'_>, EngineError> {
        let caller = self.backend.caller().await?;
        Ok(self.plan_as(caller, query).await?)
    }

    /// The same for a caller that was established before.
    ///
    /// # Errors
    /// If the versions in the store cannot be read.
    pub async fn plan_as(
        &self,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'_>, StoreError> {
        self.plan_from(caller, query, |planner, query| {
            let settled = unsettled_of(&planner, &query);
            let first = self.settling(planner.clone(), settled.clone(), query.clone());
            let others = self
                .backend
                .accounts(query)
                .try_filter(move |account| future::ready(!settled.contains(&account.id)));
            first.chain(planner.plan(others)).boxed()
        })
        .await
    }

    /// Decides on the accounts that an earlier run left unsettled, and no others.
    ///
    /// # Errors
    /// If the versions in the store cannot be read.
    pub async fn plan_unsettled_as(
        &self,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'_>, StoreError> {
        self.plan_from(caller, query, |planner, query| {
            let settled = unsettled_of(&planner, &query);
            self.settling(planner, settled, query).boxed()
        })
        .await
    }

    async fn plan_from<'a>(
        &'a self,
        caller: Caller,
        query: AccountQuery,
        decide: impl FnOnce(
            Planner,
            AccountQuery,
        ) -> stream::BoxStream<'a, Result<Planned, BackendError>>,
    ) -> Result<Plan<'a>, StoreError> {
        let now = self.clock.now();
        let tenant = PlanTenant {
            tenant: caller.tenant.clone(),
            caller: caller.id.clone(),
        };
        let known = self.known(&tenant.tenant).await?;
        let planned_at = known.planned_at(now);
        let planner = Planner::new(self.policy.clone(), caller, now).with_known(known);
        let plan = Plan::new(tenant, planned_at, decide(planner, query));
        Ok(match self.policy.max_per_tenant {
            Some(max) => plan.within(max, SkipReason::BeyondTenantMaximum { max }),
            None => plan,
        })
    }

    /// What the store knows of the accounts of `tenant`.
    async fn known(&self, tenant: &TenantId) -> Result<Known, StoreError> {
        let select = match self.policy.drift {
            Drift::Ignore => Select::Pending(tenant.clone()),
            Drift::Report | Drift::Rotate => Select::Tenant(tenant.clone()),
        };
        let versions = self.store.versions(select);
        versions
            .try_fold(Known::default(), |mut known, version| {
                known.note(&version);
                future::ready(Ok(known))
            })
            .await
    }

    /// Decides on the `unsettled` accounts, also on those that the directory no longer has.
    fn settling(
        &self,
        planner: Planner,
        unsettled: HashSet<AccountId>,
        query: AccountQuery,
    ) -> impl Stream<Item = Result<Planned, BackendError>> + Send + use<'_> {
        let names: Vec<String> = unsettled.iter().map(AccountId::to_string).collect();
        let chunks: Vec<_> = names.chunks(NAMED_AT_ONCE).map(<[_]>::to_vec).collect();
        let found = Arc::new(Mutex::new(HashSet::new()));
        let seen = Arc::clone(&found);
        let absent = planner.clone();
        let present = stream::iter(chunks)
            .flat_map(|names| self.backend.accounts(AccountQuery::Named(names)))
            .inspect_ok(move |account| {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(account.id.clone());
            })
            // it may have given up the user name that it is asked for by, to somebody else
            .try_filter(move |account| future::ready(query.names(account)));
        let gone = stream::once(future::lazy(move |_| {
            let mut gone = absent.gone(&seen.lock().unwrap_or_else(PoisonError::into_inner));
            gone.retain(|planned| unsettled.contains(&planned.account.id));
            stream::iter(gone.into_iter().map(Ok))
        }))
        .flatten();
        planner.plan(present).chain(gone)
    }

    /// Drops all but the newest previous versions of the accounts of `tenant`, as the policy says; how many went.
    ///
    /// # Errors
    /// If the store cannot do it now.
    pub async fn prune(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let select = Select::Tenant(tenant.clone());
        self.store.prune(&select, self.policy.keep_previous).await
    }

    /// Executes `plan`, once the returned stream is read.
    pub fn run<'a>(&'a self, plan: Plan<'a>) -> Run<'a> {
        self.run_as(RunId::new(), plan)
    }

    /// The same under an id of the caller's: one run over the tenants of several engines. Never two at once for one
    /// tenant, and never the id of a run that may still live: runs are told apart by their id.
    pub fn run_as<'a>(&'a self, id: RunId, plan: Plan<'a>) -> Run<'a> {
        Run::new(self, id, plan)
    }
}

/// The unsettled accounts that `query` names by their id or the user name they had.
fn unsettled_of(planner: &Planner, query: &AccountQuery) -> HashSet<AccountId> {
    let named = planner
        .unsettled()
        .iter()
        .filter(|(id, user_name)| query.names(&Account::new((*id).clone(), user_name.as_str())));
    named.map(|(id, _)| id.clone()).collect()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.policy)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
