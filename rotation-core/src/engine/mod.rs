//! The durable engine: plan → stage → set → verify → commit, for many accounts at once.
//!
//! [`drive`] takes planned accounts while there is room. Each is one [`rotate`] future, a straight line of steps for one
//! account. Their calls to store and backend meet in three [`batch`] workers, so that one durable write serves many
//! accounts. All of it is one future, driven by whoever reads
//! the events: nothing is spawned, a slow reader slows the run, and dropping it stops the run at any point without loss.

mod batch;
mod breaker;
mod drive;
mod feed;
mod gate;
mod retry;
mod rotate;
mod run;
mod stop;

pub use retry::RetryPolicy;
pub use run::Run;
pub use stop::StopHandle;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;

use crate::{
    AccountId, AccountQuery, BackendError, Caller, Clock, GenerateError, Generator, Plan, Planner,
    Policy, RotationBackend, RunId, SecretStore, Select, StoreError, SystemClock, TenantId,
    VersionState,
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
}

/// How the engine works, as opposed to what it is to do.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct EngineOptions {
    /// How many requests to the directory are under way at once; at least 1. Several times as many accounts are under
    /// way, so that the directory need not wait for the store.
    pub concurrency: usize,
    /// How long to wait for one answer of the backend before it counts as lost.
    pub attempt_timeout: Duration,
    /// When to try again, and when to give up.
    pub retry: RetryPolicy,
    /// How long the directory's change time may take to move, where the policy asks to verify it.
    pub verify_timeout: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            attempt_timeout: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            verify_timeout: Duration::from_secs(60),
        }
    }
}

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

    /// Decides what is to become of the accounts that `query` names. Writes nothing, neither to the directory nor to
    /// the store. Accounts that an earlier run left unsettled are due.
    ///
    /// # Errors
    /// - [`EngineError::Backend`] if the caller cannot be established. Trouble with the accounts comes in the stream.
    /// - [`EngineError::Store`] if the pending versions cannot be read.
    pub async fn plan(&self, query: AccountQuery) -> Result<Plan<'_>, EngineError> {
        let caller = self.backend.caller().await?;
        Ok(self.plan_as(caller, query).await?)
    }

    /// The same for a caller that was established before.
    ///
    /// # Errors
    /// If the pending versions cannot be read.
    pub async fn plan_as(
        &self,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'_>, StoreError> {
        let tenant = caller.tenant.clone();
        let unsettled = self.unsettled(&tenant).await?;
        let planner =
            Planner::new(self.policy.clone(), caller, self.clock.now()).with_unsettled(unsettled);
        Ok(Plan::new(
            tenant,
            planner.plan(self.backend.accounts(query)),
        ))
    }

    /// The accounts of `tenant` with a pending version.
    async fn unsettled(&self, tenant: &TenantId) -> Result<HashSet<AccountId>, StoreError> {
        let pending = self
            .store
            .versions(Select::Tenant(tenant.clone()))
            .try_filter_map(|version| async move {
                Ok((version.state == VersionState::Pending).then_some(version.key.account.account))
            });
        pending.try_collect().await
    }

    /// Executes `plan`, once the returned stream is read.
    pub fn run<'a>(&'a self, plan: Plan<'a>) -> Run<'a> {
        self.run_as(RunId::new(), plan)
    }

    /// The same under an id of the caller's: one run over the tenants of several engines.
    pub fn run_as<'a>(&'a self, id: RunId, plan: Plan<'a>) -> Run<'a> {
        Run::new(self, id, plan)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.policy)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
