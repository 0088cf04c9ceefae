//! One local file that keeps every version, sealed.
//!
//! The file is a log of rows that are only ever appended: a version was staged, committed, discarded. What a version is
//! now follows from its account's rows ([`history`]), so that nothing needs to be found and changed, and writing is as
//! fast as the disk takes it. One thread writes ([`writer`]); everyone who asks while it makes a transaction durable
//! shares the next one. Reading ([`reading`]) sorts the log by account and folds it on the way out.
//!
//! ```text
//! stage ──► seal ──┐                            ┌──► versions
//! commit ──────────┼──► writer ──► log ──► fold ┤
//! discard ─────────┘                            └──► open ──► reveal
//! ```
//!
//! Before a file is written to it is vetted ([`vet`]): what is not ours, newer, or damaged is left as it is.

mod connect;
mod error;
mod file;
mod history;
mod in_flight;
mod log;
mod reader;
mod reading;
mod schema;
mod vet;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use rotation_core::{NewVersion, SecretStore, Select, StoreError, Version, VersionKey};

use crate::Recipients;
use crate::seal::{DataKey, Label, SealError};
use log::NewRow;
use writer::{Change, Writer};

pub use reader::SqliteReader;

/// Keeps versions in one local file, sealed to public keys: whoever runs this store can read none of them.
///
/// Several handles and processes may write to one file at once. What was handed over is finished when a store is
/// dropped, in the background; [`close`](Self::close) waits for it.
pub struct SqliteStore {
    path: PathBuf,
    data_key: DataKey,
    writer: Writer,
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
        let named = path.as_ref().to_owned();
        let recipients = recipients.clone();
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
            let (data_key, wrapped) = DataKey::generate(&recipients).map_err(error::seal)?;
            let writer = Writer::start(connection, path.clone(), wrapped)?;
            Ok(Self {
                path,
                data_key,
                writer,
            })
        })
        .await
    }

    /// Waits until everything handed over is done and the file is closed.
    pub async fn close(self) {
        // An error means that the thread is gone already; whoever waited for an answer has heard of it.
        blocking(move || self.writer.finish()).await.ok();
    }

    fn seal(&self, new: &NewVersion) -> Result<NewRow, SealError> {
        let label = Label::new(&new.key, new.run);
        Ok(NewRow {
            key: new.key.clone(),
            run: new.run,
            staged_at: new.staged_at,
            user_name: new.user_name.clone(),
            sealed: self.data_key.seal(&label, &new.password)?,
        })
    }
}

#[async_trait]
impl SecretStore for SqliteStore {
    async fn stage(&self, batch: &[NewVersion]) -> Result<(), StoreError> {
        let rows = batch
            .iter()
            .map(|new| self.seal(new))
            .collect::<Result<_, _>>()
            .map_err(error::seal)?;
        let answers = self.writer.write(vec![Change::Stage(rows)]).await;
        answers.into_iter().collect()
    }

    async fn commit(&self, batch: &[VersionKey]) -> Vec<Result<(), StoreError>> {
        let changes = batch.iter().cloned().map(Change::Commit).collect();
        self.writer.write(changes).await
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let change = Change::Discard(version.clone());
        let answers = self.writer.write(vec![change]).await;
        answers.into_iter().collect()
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        reader::versions(self.path.clone(), select)
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
        .unwrap_or_else(|error| Err(StoreError::unavailable("the store was interrupted", error)))
}
