use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AccountKey, Password, RunId, StoreError, TenantId, VersionId};

/// Keeps the versions of every account's password. The engine only writes: it never needs to read a password back.
///
/// # Contract
/// - Whatever answered `Ok` survives a crash of this process and of the machine.
/// - A staged version stays retrievable until it is discarded or pruned, whatever is staged or committed after it. When a
///   later version of its account is committed, it and the former current version become previous.
/// - Staging the same version again and committing the current version again do nothing. The id of a version is used
///   once: staging it again after it was discarded is [`StoreError::NotPending`], staging it for another account
///   [`StoreError::Unusable`].
/// - An account belongs to the run that staged its newest pending version for as long as the [`Lease`] of that run lives.
///   Once it lapsed or was released, any other run may stage; its version is the fence that the earlier run's commit
///   does not pass.
/// - Every call answers in bounded time, with an error if need be: the engine waits for it.
/// - Concurrent calls, also from other processes on the same store, are atomic to each other.
/// - No password may reach a log, an error, a `Debug` output, a temporary file, or the medium unsealed.
///
/// The conformance suite `testkit::store_suite` checks an implementation.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Begins a lease, or lets it live for `ttl` from now, by the store's own clock. [`StoreError::LeaseLost`] if it
    /// lapsed meanwhile: other runs may have taken over its accounts, so its run must not go on.
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError>;

    /// Ends a lease: what its run left pending is free for other runs at once. Ending one that is not there does nothing.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Makes versions durable as pending; one result for each, in the order asked. Each account occurs once in a batch.
    /// - [`StoreError::LeaseLost`] if the lease of the version's run does not live.
    /// - [`StoreError::Leased`] if the account belongs to another run.
    /// - [`StoreError::RotatedSince`] if another run committed a version of the account at or after the version's
    ///   [`planned_at`](NewVersion::planned_at): what this run knows of the account is out of date.
    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>>;

    /// Makes pending versions current, durably; one result for each, in the order asked. It needs no living lease.
    /// - [`StoreError::NotPending`] if a version was never staged, was discarded, was current before, or was overtaken
    ///   by a later version of its own run.
    /// - [`StoreError::Fenced`] if it was never current and a version of another run, not discarded, comes after it.
    ///   Which of them is live is then not known, so the store makes this one pending (again) as the newest of its
    ///   account, to stay so until a version staged after that is committed: the other run's commit does not pass it
    ///   either, and the next run settles the account. Asked again, it answers the same and changes nothing.
    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>>;

    /// Drops a pending version after a definite refusal. Dropping one that is not there does nothing; [`StoreError::NotPending`] if
    /// it is current or previous, which stay.
    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError>;

    /// Drops the previous versions of each account that `select` names, but for the `keep` newest, and says how many.
    /// Their passwords are gone from the medium, as far as it lets us.
    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError>;

    /// The versions that `select` names, without their passwords: account by account, each account's in the order in
    /// which they were staged. Ends after the first error.
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>>;
}

/// Reads passwords back, given the key to do so: for `reveal` and for tests, never for the engine.
pub trait SecretReader: Send + Sync {
    /// The versions that `select` names, as [`SecretStore::versions`] orders them, each with its password.
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>>;
}

/// Names one version of one account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a pair by nature")]
pub struct VersionKey {
    /// Whose password.
    pub account: AccountKey,
    /// Which of them.
    pub version: VersionId,
}

/// What a run holds in a store while it works on a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a pair by nature")]
pub struct Lease {
    /// The tenant.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
}

/// Where a version comes from, for people who look back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct Origin {
    /// The caller that set it.
    pub caller: String,
    /// The backend that it was set through.
    pub backend: String,
    /// Why the account was due.
    pub reason: String,
}

/// A version to be staged. Clones share the password's one buffer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewVersion {
    /// Account and version.
    pub key: VersionKey,
    /// The account's user name at this time, for people.
    pub user_name: String,
    /// The run that made it.
    pub run: RunId,
    /// Where it comes from.
    pub origin: Origin,
    /// When the account was found to be due; by default, when the version was made.
    pub planned_at: Timestamp,
    /// When it was made.
    pub staged_at: Timestamp,
    /// The password.
    pub password: Arc<Password>,
}

impl NewVersion {
    /// A fresh version of `account`.
    #[must_use]
    pub fn new(
        account: AccountKey,
        user_name: &str,
        run: RunId,
        staged_at: Timestamp,
        password: Arc<Password>,
    ) -> Self {
        let key = VersionKey {
            account,
            version: VersionId::new(),
        };
        Self {
            key,
            user_name: user_name.to_owned(),
            run,
            origin: Origin::default(),
            planned_at: staged_at,
            staged_at,
            password,
        }
    }

    /// The same version, coming from `origin`.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same version of an account that was found to be due at `planned_at`.
    #[must_use]
    pub fn with_planned_at(self, planned_at: Timestamp) -> Self {
        Self { planned_at, ..self }
    }

    /// The lease that staging it takes.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease {
            tenant: self.key.account.tenant.clone(),
            run: self.run,
        }
    }
}

/// A version to be made current.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a pair by nature")]
pub struct Commit {
    /// Account and version.
    pub key: VersionKey,
    /// What is to be remembered of it.
    pub committed: Committed,
}

impl Commit {
    /// Makes `key` current, as of `at`.
    #[must_use]
    pub fn new(key: VersionKey, at: Timestamp) -> Self {
        Self {
            key,
            committed: Committed::new(at),
        }
    }
}

/// What is known of a version that became current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Committed {
    /// When.
    pub at: Timestamp,
    /// The server's id of the request that set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The directory's change time for our set is no later than this, by the directory's clock; a later one is drift.
    /// `None` if the directory did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Timestamp>,
}

impl Committed {
    /// Committed at this time.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            request_id: None,
            baseline: None,
        }
    }

    /// The same, set by this request.
    #[must_use]
    pub fn with_request_id(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }

    /// The same, with a change time no later than `baseline`.
    #[must_use]
    pub fn with_baseline(self, baseline: Option<Timestamp>) -> Self {
        Self { baseline, ..self }
    }
}

/// A version in a store, without its password. Serialises, for stores that keep it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// Account and version.
    pub key: VersionKey,
    /// The account's user name when it was staged.
    pub user_name: String,
    /// The run that made it.
    pub run: RunId,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// When it was staged.
    pub staged_at: Timestamp,
    /// What it is now.
    pub state: VersionState,
    /// What is known of its commit; `None` if it was never current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Committed>,
}

impl Version {
    /// A version as a store knows it, of no known origin and never current.
    #[must_use]
    pub fn new(
        key: VersionKey,
        user_name: String,
        run: RunId,
        staged_at: Timestamp,
        state: VersionState,
    ) -> Self {
        Self {
            key,
            user_name,
            run,
            origin: Origin::default(),
            staged_at,
            state,
            committed: None,
        }
    }

    /// The same version, coming from `origin`.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same version, committed like this.
    #[must_use]
    pub fn with_committed(self, committed: Option<Committed>) -> Self {
        Self { committed, ..self }
    }

    /// Whether the directory's change time `changed` says that someone else changed the password since this version
    /// became current.
    #[must_use]
    pub fn has_drifted(&self, changed: Timestamp) -> bool {
        let baseline = self.committed.as_ref().and_then(|known| known.baseline);
        // a store need not keep more than milliseconds
        let later = |by: Timestamp| changed.as_millisecond() > by.as_millisecond();
        self.state == VersionState::Current && baseline.is_some_and(later)
    }
}

impl From<&NewVersion> for Version {
    /// What a version is once it is staged.
    fn from(new: &NewVersion) -> Self {
        Self::new(
            new.key.clone(),
            new.user_name.clone(),
            new.run,
            new.staged_at,
            VersionState::Pending,
        )
        .with_origin(new.origin.clone())
    }
}

/// What a version is to its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    clippy::exhaustive_enums,
    reason = "a fourth state would break every promise built on these three"
)]
pub enum VersionState {
    /// Durable, and possibly live in the directory.
    Pending,
    /// Live in the directory, as far as we know.
    Current,
    /// Replaced by a later version.
    Previous,
}

/// Which versions to read or prune.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// Every account of every tenant.
    All,
    /// One account.
    Account(AccountKey),
    /// These accounts, of one tenant or of several; about a thousand at most. Naming one twice is naming it once.
    ///
    /// An engine asks for the accounts of a plan in this way, so finding some hundreds must not take looking through all.
    Accounts(Vec<AccountKey>),
    /// Every account of one tenant.
    Tenant(TenantId),
    /// The pending versions of one tenant, and no others.
    Pending(TenantId),
}

impl Select {
    /// Whether it names a version of `account` that is `state` now: for stores that look through all they have.
    #[must_use]
    pub fn names(&self, account: &AccountKey, state: VersionState) -> bool {
        match self {
            Self::All => true,
            Self::Account(one) => account == one,
            Self::Accounts(some) => some.contains(account),
            Self::Tenant(tenant) => account.tenant == *tenant,
            Self::Pending(tenant) => account.tenant == *tenant && state == VersionState::Pending,
        }
    }
}
