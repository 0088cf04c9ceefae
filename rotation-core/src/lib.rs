//! Rotates the passwords of directory accounts, in bulk, and never loses one.
//!
//! This crate is the domain and the engine: policies, capability, password generation, and the durable sequence of
//! stage, set, verify and commit. It knows no HTTP, SQL or processes; those come as a [`RotationBackend`] (Microsoft
//! Graph in the crate `backend-graph`, or yours) and a [`SecretStore`] (SQLite in the crate `secret-stores`, or yours).
//! Three types to learn: [`Engine`], [`Policy`] and a backend.
//!
//! ```text
//! backend.accounts() → planner (policy, capability) → Plan → generator
//!                    → store.stage → backend.set_password → verify → store.commit → report
//! ```
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use futures::StreamExt;
//! use rotation_core::testkit::{MemoryBackend, MemoryStore};
//! use rotation_core::{AccountQuery, Engine, EventKind, Policy, Treatment};
//!
//! // In earnest: backend_graph::GraphBackend and secret_stores::SqliteStore.
//! let (backend, store) = (MemoryBackend::with_accounts(100), MemoryStore::new());
//! let policy = Policy { unknown_age: Treatment::Rotate, ..Policy::default() };
//!
//! let engine = Engine::new(Arc::new(backend), Arc::new(store), policy)?;
//! let mut run = engine.run(engine.plan(AccountQuery::All).await?);
//! while let Some(event) = run.next().await {
//!     if let EventKind::RunFinished { report } = event.kind {
//!         assert_eq!(report.rotated, 100);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! What is promised, and how each promise is kept, stands in the README and ARCHITECTURE of the project.

mod account;
mod audit;
mod backend;
mod caller;
mod capability;
mod clock;
mod engine;
mod error;
mod event;
mod generator;
mod id;
mod outcome;
mod password;
mod plan;
mod planner;
mod policy;
mod rate;
mod report;
mod role;
mod role_table;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use account::{Account, AccountKind, Holdings};
pub use audit::{
    AuditBreak, AuditError, AuditFile, AuditFilter, AuditLog, AuditReader, AuditRecord,
    AuditSummary,
};
pub use backend::{AccountQuery, RotationBackend, SetPassword, SignIn};
pub use caller::{Caller, CallerKind};
pub use capability::{
    Capability, Denial, Explanation, RoleVerdict, RuleSet, Verdict, capability, explain, least_role,
};
pub use clock::{Clock, SystemClock};
pub use engine::{Batching, Engine, EngineError, EngineOptions, RetryPolicy, Run, StopHandle};
pub use error::{BackendError, Problem, StoreError};
pub use event::{AccountResult, Event, EventKind, OutcomeSummary, StopReason};
pub use generator::{GenerateError, Generator};
pub use id::{AccountId, AccountKey, RunId, TenantId, UnitId, VersionId};
pub use outcome::{Outcome, Refusal, RefusalReason};
pub use password::Password;
pub use plan::{
    Decision, Plan, PlanEntry, PlanError, PlanHeader, PlanTenant, PlanWriter, Planned,
    ReviewedPlan, SkipReason,
};
pub use planner::{Known, Planner};
pub use policy::{
    Age, Class, Collision, Drift, Due, Forbidden, NeverChanged, PassphrasePolicy, PassphraseRules,
    PasswordPolicy, PasswordRules, Policy, PolicyError, Rule, Selector, Tolerance, Treatment,
    Verify, forbidden_parts,
};
pub use rate::{
    Heard, Quota, QuotaScope, Quotas, RateControl, RateController, RateState, RequestKind, Turn,
};
pub use report::{AccountProblem, Report};
pub use role::{AssignmentState, BuiltInRole, RoleAssignment, RoleId, Scope, role_named};
pub use role_table::{GivenRole, RoleGroup, RoleTable};
pub use store::{
    Commit, Committed, Lease, NewVersion, Origin, SecretReader, SecretStore, Select, Version,
    VersionKey, VersionState,
};
