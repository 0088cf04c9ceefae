use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AccountKey, Password, RunId, StoreError, TenantId, VersionId};

/// Keeps the versions of every account's password. The engine only writes: it never needs to read a password back.
///
/// # Contract
/// - Whatever answered `Ok` survives a crash of this process and of the machine.
/// - A staged version stays retrievable until it is discarded, whatever is staged or committed after it. When a later
///   version of its account is committed, it and the former current version become previous.
/// - Staging the same version again and committing the current version again do nothing. The id of a discarded version
///   is not used again: staging it is [`StoreError::NotPending`].
/// - Every call answers in bounded time, with an error if need be: the engine waits for it.
/// - Concurrent calls, also from other processes on the same store, are atomic to each other.
/// - No password may reach a log, an error, a `Debug` output, a temporary file, or the medium unsealed.
///
/// The conformance suite `testkit::store_suite` checks an implementation.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Makes every version of `batch` durable as pending; all of them or, on an error, possibly none.
    async fn stage(&self, batch: &[NewVersion]) -> Result<(), StoreError>;

    /// Makes pending versions current, durably; one result for each, in the order asked. [`StoreError::NotPending`] if
    /// a version was never staged, was discarded, or a later version of its account is current.
    async fn commit(&self, batch: &[VersionKey]) -> Vec<Result<(), StoreError>>;

    /// Drops a pending version after a definite refusal. Dropping one that is not there does nothing; [`StoreError::NotPending`] if
    /// it is current or previous, which stay.
    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError>;

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
            staged_at,
            password,
        }
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
    /// When it was staged.
    pub staged_at: Timestamp,
    /// What it is now.
    pub state: VersionState,
}

impl Version {
    /// A version as a store knows it.
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
            staged_at,
            state,
        }
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

/// Which versions to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// Every account of every tenant.
    All,
    /// One account.
    Account(AccountKey),
    /// Every account of one tenant.
    Tenant(TenantId),
}
