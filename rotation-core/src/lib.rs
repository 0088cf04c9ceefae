//! Password rotation for directory accounts.

mod account;
mod backend;
mod caller;
mod clock;
mod error;
mod id;
mod outcome;
mod password;
mod role;
mod store;

pub use account::{Account, AccountKind, Holdings};
pub use backend::{AccountQuery, RotationBackend, SetPassword};
pub use caller::{Caller, CallerKind};
pub use clock::{Clock, SystemClock};
pub use error::{BackendError, Problem, StoreError};
pub use id::{AccountId, AccountKey, RunId, TenantId, UnitId, VersionId};
pub use outcome::{Outcome, Refusal, RefusalReason};
pub use password::Password;
pub use role::{AssignmentState, BuiltInRole, RoleAssignment, RoleId, Scope, role_named};
pub use store::{NewVersion, SecretReader, SecretStore, Select, Version, VersionKey, VersionState};
