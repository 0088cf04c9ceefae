//! One local file that keeps every version, sealed.
//!
//! The file is a log of rows that are only ever appended: a version was staged, committed, contested, discarded. What a
//! version is now follows from its account's rows ([`history`]), so that nothing needs to be found and changed, and
//! writing is as fast as the disk takes it. One thread writes ([`writer`]); everyone who asks while it makes a
//! transaction durable shares the next one. Reading ([`reading`]) sorts the log by account and folds it on the way out.
//! Only pruning ([`prune`]) removes rows: all of a previous version's, so that those left fold as before. Of a discarded
//! version it erases the password alone.
//!
//! ```text
//! stage ───────────┐                                   ┌──► versions
//! commit ──────────┼──► writer: seal ──► log ──► fold ┤
//! discard ─────────┘                                   └──► open ──► reveal
//! ```
//!
//! The log has no index on account. Whoever looks accounts up makes one for itself, beside the file ([`places`]). And the
//! writer keeps in mind what it must know of an account before it appends ([`known`]): which versions are [`pending`], and
//! what other runs committed ([`rivals`]). It follows what other processes append, and each change ([`step`]) is judged
//! with all of it inside the transaction that makes it durable.
//!
//! Before a file is written to it is vetted ([`vet`]): what is not ours, newer, or damaged is left as it is.

mod connect;
mod error;
mod file;
mod history;
mod known;
mod lease;
#[cfg(feature = "exec")]
mod ledger;
mod log;
mod pending;
mod places;
mod prune;
mod reader;
mod reading;
mod rivals;
mod schema;
mod step;
mod vet;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use rotation_core::{
    Commit, Lease, NewVersion, SecretStore, Select, StoreError, Version, VersionKey,
};

use crate::Recipients;
use crate::seal::DataKey;
use places::Finder;
use step::{Change, Keys};
use writer::Writer;

pub use reader::SqliteReader;

/// Keeps versions in one local file, sealed to public keys: whoever runs this store can read none of them.
///
/// Several handles and processes may write to one file at once. What was handed over is finished when a store is
/// dropped, in the background; [`close`](Self::close) waits for it.
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    finder: Finder,
}

impl SqliteStore {
    /// Opens the store file at `path`, or creates it (mode 0600) if there is none. What is staged through this handle can
    /// be read with the private key of any of `recipients`.
    ///
    /// An existing file is read from end to end, at some hundred megabytes a second; if it belongs to another program,
    /// is newer than this one, or is damaged, not a byte is changed. One that others may read is made private.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if the file is refused, or the place cannot be written.
    /// - [`StoreError::Unavailable`] if the file is locked or the disk full.
    pub async fn open(
        path: impl AsRef<Path> + Send,
        recipients: &Recipients,
    ) -> Result<Self, StoreError> {
        let recipients = recipients.clone();
        Self::open_with(path.as_ref(), move || {
            let (data_key, wrapped) = DataKey::generate(&recipients).map_err(error::seal)?;
            Ok(Some(Keys { data_key, wrapped }))
        })
        .await
    }

    /// Opens a file that keeps what became of every version but no password: those are kept by a program outside.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    #[cfg(any(feature = "exec", test))]
    pub(crate) async fn open_ledger(path: impl AsRef<Path> + Send) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), || Ok(None)).await
    }

    async fn open_with(
        path: &Path,
        keys: impl FnOnce() -> Result<Option<Keys>, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let named = path.to_owned();
        blocking(move || {
            let path = match file::find(&named)? {
                Some(path) => path,
                None => {
                    file::create(&named)?;
                    file::find(&named)?.ok_or_else(|| error::vanished(&named))?
                }
            };
            vet::header(&path)?;
            vet::contents(&path)?;
            file::make_private(&path)?;
            let connection = connect::read_write(&path)?;
            let writer = Writer::start(connection, path.clone(), keys()?)?;
            let finder = Finder::new(path.clone());
            Ok(Self {
                path,
                writer,
                finder,
            })
        })
        .await
    }

    /// Waits until everything handed over is done and the file is closed.
    pub async fn close(self) {
        self.finder.close().await;
        // An error means that the thread is gone already; whoever waited for an answer has heard of it.
        blocking(move || self.writer.finish()).await.ok();
    }

    async fn make(&self, change: Change) -> Result<(), StoreError> {
        self.writer.write_one(change).await.map(drop)
    }
}

#[async_trait]
impl SecretStore for SqliteStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.make(Change::Lease(lease.clone(), ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.make(Change::Release(lease.clone())).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let changes = batch.iter().cloned().map(Change::Stage).collect();
        self.writer.write(changes).await
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let changes = batch.iter().cloned().map(Change::Commit).collect();
        self.writer.write(changes).await
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        self.make(Change::Discard(version.clone())).await
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        prune::prune(&self.path, &self.writer, select.clone(), keep, None).await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        match select {
            Select::Account(account) => self.finder.versions([account]),
            Select::Accounts(accounts) => self.finder.versions(accounts),
            all => reader::versions(self.path.clone(), all),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(error::interrupted(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;
    use jiff::Timestamp;
    use rotation_core::{
        AccountId, AccountKey, Password, RunId, SecretReader, TenantId, VersionState,
    };

    use super::*;
    use crate::{Identities, keygen};

    #[tokio::test]
    async fn write_only_a_ledger_knows_every_state_and_no_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let store = SqliteStore::open_ledger(&path).await.unwrap();
        let account = AccountKey {
            tenant: TenantId::new("t"),
            account: AccountId::new("a"),
        };
        let password = Arc::new(Password::new("hunter2-hunter2".to_owned().into()));
        let at = Timestamp::UNIX_EPOCH;
        let new = NewVersion::new(account, "a@t", RunId::new(), at, password);
        let hour = Duration::from_secs(60 * 60);
        store.lease(&new.lease(), hour).await.unwrap();
        // Twice, as after a lost answer.
        for _ in 0..2 {
            store.stage(std::slice::from_ref(&new)).await[0]
                .clone()
                .unwrap();
        }
        store.commit(&[Commit::new(new.key.clone(), at)]).await[0]
            .clone()
            .unwrap();
        store.close().await;

        let identities = Identities::parse(secrecy::ExposeSecret::expose_secret(&keygen().private));
        let reader = SqliteReader::open(&path, identities.unwrap())
            .await
            .unwrap();
        let versions: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
        assert_eq!(versions[0].key, new.key);
        assert_eq!(versions[0].state, VersionState::Current);
        let revealed: Result<Vec<_>, _> = reader.reveal(Select::All).try_collect().await;
        let error = revealed.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        assert!(error.to_string().contains("kept by the program"), "{error}");
        let file = std::fs::read(&path).unwrap();
        assert!(!file.windows(7).any(|window| window == b"hunter2"));
    }
}
