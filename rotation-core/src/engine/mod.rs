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
mod planning;
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

use std::sync::Arc;
use std::time::Duration;

use crate::{
    AuditLog, BackendError, Clock, GenerateError, Generator, Plan, Policy, RotationBackend, RunId,
    SecretStore, Select, StoreError, SystemClock, TenantId,
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

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("policy", &self.policy)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
