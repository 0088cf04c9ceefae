//! Password rotation for directory accounts.

mod account;
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
mod report;
mod role;
mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use account::{Account, AccountKind, Holdings};
pub use backend::{AccountQuery, RotationBackend, SetPassword};
pub use caller::{Caller, CallerKind};
pub use capability::{Capability, Denial, RuleSet, capability};
pub use clock::{Clock, SystemClock};
pub use engine::{Engine, EngineError, EngineOptions, Plan, RetryPolicy, Run, StopHandle};
pub use error::{BackendError, Problem, StoreError};
pub use event::{AccountResult, Event, EventKind, OutcomeSummary, StopReason};
pub use generator::{GenerateError, Generator};
pub use id::{AccountId, AccountKey, RunId, TenantId, UnitId, VersionId};
pub use outcome::{Outcome, Refusal, RefusalReason};
pub use password::Password;
pub use plan::{
    Decision, PlanEntry, PlanError, PlanHeader, PlanTenant, PlanWriter, Planned, ReviewedPlan,
    SkipReason,
};
pub use planner::Planner;
pub use policy::{
    Age, Class, Collision, Due, Forbidden, NeverChanged, PassphrasePolicy, PassphraseRules,
    PasswordPolicy, PasswordRules, Policy, PolicyError, Rule, Selector, Tolerance, Treatment,
    Verify, forbidden_parts,
};
pub use report::{AccountProblem, Report};
pub use role::{AssignmentState, BuiltInRole, RoleAssignment, RoleId, Scope, role_named};
pub use store::{NewVersion, SecretReader, SecretStore, Select, Version, VersionKey, VersionState};
