//! A store file in a directory of its own, with its keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, NewVersion, Password, RunId, SecretReader, SecretStore, Select,
    StoreError, TenantId, Version,
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
        let directory = tempfile::tempdir().unwrap();
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
        store.stage(std::slice::from_ref(&version)).await.unwrap();
        store.commit(std::slice::from_ref(&version.key)).await[0]
            .clone()
            .unwrap();
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

pub(crate) fn version_of(account: &AccountKey, password: &str) -> NewVersion {
    NewVersion::new(
        account.clone(),
        "adele@contoso.com",
        RunId::new(),
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
