//! A store file in a directory of its own, with its keys.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, Commit, NewVersion, Password, RunId, SecretReader, SecretStore, Select,
    StoreError, TenantId, Version, VersionId, VersionKey, VersionState,
};
use secrecy::ExposeSecret;
use secret_stores::{Identities, KeyPair, Recipients, SqliteReader, SqliteStore, keygen};
use tempfile::TempDir;

pub(crate) struct Workshop {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) keys: KeyPair,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self::in_directory(&env::temp_dir())
    }

    /// In a directory within this one: for a process that makes a store where another one wants it.
    pub(crate) fn in_directory(parent: &Path) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        Self {
            path: directory.path().join("rotation.db"),
            directory,
            keys: keygen(),
        }
    }

    pub(crate) fn recipients(&self) -> Recipients {
        Recipients::parse([&self.keys.public]).unwrap()
    }

    pub(crate) fn identities(&self) -> Identities {
        Identities::parse(self.keys.private.expose_secret()).unwrap()
    }

    pub(crate) async fn open(&self) -> SqliteStore {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path, &self.recipients()).await
    }

    pub(crate) async fn reader(&self) -> SqliteReader {
        SqliteReader::open(&self.path, self.identities())
            .await
            .unwrap()
    }

    /// A store with one committed version in it, closed.
    pub(crate) async fn with_one_version(self) -> (Self, NewVersion) {
        let store = self.open().await;
        let version = version("hunter2-hunter2");
        stage(&store, &version).await.unwrap();
        commit(&store, &version.key).await.unwrap();
        store.close().await;
        (self, version)
    }

    pub(crate) async fn reveal(&self) -> Result<Vec<(Version, Password)>, StoreError> {
        self.reader().await.reveal(Select::All).try_collect().await
    }

    /// SQLite itself, as any tool would open the file.
    pub(crate) fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }
}

/// Longer than any test takes.
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// A time after every version of these tests was staged.
pub(crate) const LATER: Timestamp = Timestamp::constant(1_700_000_001, 0);

/// Stages versions under a lease each, all of which must go well.
pub(crate) async fn stage_all(store: &SqliteStore, versions: &[NewVersion]) {
    for version in versions {
        store.lease(&version.lease(), HOUR).await.unwrap();
    }
    for answer in store.stage(versions).await {
        answer.unwrap();
    }
}

/// Stages a version under a lease that its run holds from then on.
pub(crate) async fn stage(store: &SqliteStore, version: &NewVersion) -> Result<(), StoreError> {
    store.lease(&version.lease(), HOUR).await?;
    stage_leased(store, version).await
}

/// Stages a version under whatever lease its run holds.
pub(crate) async fn stage_leased(
    store: &SqliteStore,
    version: &NewVersion,
) -> Result<(), StoreError> {
    store.stage(std::slice::from_ref(version)).await.remove(0)
}

pub(crate) async fn commit(store: &SqliteStore, key: &VersionKey) -> Result<(), StoreError> {
    store
        .commit(&[Commit::new(key.clone(), LATER)])
        .await
        .remove(0)
}

/// The states of an account's versions, in their order.
pub(crate) async fn states(
    store: &SqliteStore,
    account: &AccountKey,
) -> Vec<(VersionId, VersionState)> {
    store
        .versions(Select::Account(account.clone()))
        .map_ok(|version| (version.key.version, version.state))
        .try_collect()
        .await
        .unwrap()
}

/// A version of a fresh account.
pub(crate) fn version(password: &str) -> NewVersion {
    version_of(&account(), password)
}

pub(crate) fn account() -> AccountKey {
    AccountKey {
        tenant: TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47"),
        account: AccountId::new(&RunId::new().to_string()),
    }
}

/// A version of a run of its own.
pub(crate) fn version_of(account: &AccountKey, password: &str) -> NewVersion {
    version_by(RunId::new(), account, password)
}

pub(crate) fn version_by(run: RunId, account: &AccountKey, password: &str) -> NewVersion {
    NewVersion::new(
        account.clone(),
        "adele@contoso.com",
        run,
        Timestamp::constant(1_700_000_000, 123_456_789),
        Arc::new(Password::new(password.to_owned().into())),
    )
}

/// Every file in the directory with its bytes, by name.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

pub(crate) fn occurs(needle: &str, bytes: &[u8]) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

/// Says aloud that `test` is passed by, for this machine does not let us run `what`; fails if it must not be.
pub(crate) fn skip(test: &str, what: &str) {
    let required = env::var_os("ROTATION_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(!required, "cannot run {what}");
    // Past the harness, which keeps what tests that pass print.
    let note = format!("skipped: {test}, for this machine does not let us run {what}\n");
    std::io::stderr().write_all(note.as_bytes()).unwrap();
}
