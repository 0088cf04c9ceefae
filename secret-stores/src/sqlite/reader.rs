use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use rotation_core::{
    Clock, Lease, Password, SecretReader, Select, StoreError, SystemClock, Version,
};
use rusqlite::Connection;

use super::history::Entry;
use super::log::{self, Sealed, StagedRow};
use super::{blocking, connect, error, file, lease, reading, schema, vet};
use crate::Identities;
use crate::seal::{DataKey, Label, SealError};

/// Reads what a [`SqliteStore`](super::SqliteStore) wrote, also while it is being written.
///
/// Without a private key it tells which versions there are; with one of those to whose public keys they were sealed, it
/// also reveals the passwords.
pub struct SqliteReader {
    path: PathBuf,
    identities: Arc<Identities>,
}

impl SqliteReader {
    /// Opens the store file at `path`, without changing it. [`Identities::none`] suffices for [`versions`](Self::versions).
    ///
    /// The file is not read from end to end first, so that what is sound in a damaged one can still be read.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if there is no file, or it is not ours, or newer than us; [`StoreError::Unavailable`] if
    /// it cannot be read now.
    pub async fn open(
        path: impl AsRef<Path> + Send,
        identities: Identities,
    ) -> Result<Self, StoreError> {
        let named = path.as_ref().to_owned();
        let path = blocking(move || {
            let path = file::find(&named)?.ok_or_else(|| {
                error::unusable(
                    format!("there is no store at {}", named.display()),
                    "correct [store] path, or run a rotation first",
                )
            })?;
            vet::header(&path)?;
            vet::tables(&connect::read_only(&path)?, &path)?;
            Ok(path)
        })
        .await?;
        Ok(Self {
            path,
            identities: Arc::new(identities),
        })
    }

    /// The versions that `select` names, as [`SecretStore::versions`](rotation_core::SecretStore::versions) gives them.
    pub fn versions(&self, select: Select) -> BoxStream<'static, Result<Version, StoreError>> {
        versions(self.path.clone(), select)
    }

    /// Who is at work: the leases that live, each with the time until it lapses unless it is renewed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be read now, [`StoreError::Unusable`] if it is damaged.
    pub async fn leases(&self) -> Result<Vec<(Lease, Duration)>, StoreError> {
        let path = self.path.clone();
        blocking(move || {
            let connection = connect::read_only(&path)?;
            let alive = || {
                if schema::version(&connection)? < schema::FIRST_WITH_LEASES {
                    return Ok(Vec::new());
                }
                lease::alive(&connection, SystemClock.now())
            };
            alive().map_err(|error| error::sqlite(&path, error))
        })
        .await
    }
}

/// The versions in the file at `path`, without their passwords.
pub(super) fn versions(
    path: PathBuf,
    select: Select,
) -> BoxStream<'static, Result<Version, StoreError>> {
    reading::stream(path, select, |_, entry| Ok(entry.item.version(entry.state)))
}

impl SecretReader for SqliteReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let mut opener = Opener {
            path: self.path.clone(),
            identities: Arc::clone(&self.identities),
            data_keys: HashMap::new(),
        };
        reading::stream(self.path.clone(), select, move |connection, entry| {
            let password = opener.open(connection, &entry)?;
            Ok((entry.item.version(entry.state), password))
        })
    }
}

impl fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Opens sealed passwords, unwrapping each data key once.
struct Opener {
    path: PathBuf,
    identities: Arc<Identities>,
    data_keys: HashMap<i64, DataKey>,
}

impl Opener {
    fn open(
        &mut self,
        connection: &Connection,
        entry: &Entry<StagedRow>,
    ) -> Result<Password, StoreError> {
        let staged = &entry.item;
        let (version, account) = (staged.key.version, &staged.key.account);
        let Some(Sealed { data_key, bytes }) = &staged.sealed else {
            return Err(error::unusable(
                format!(
                    "the password of version {version} of account {account} is not in {}: it is kept by the program \
                     that [store] names",
                    self.path.display()
                ),
                "ask that program for it",
            ));
        };
        let data_key = match self.data_keys.entry(*data_key) {
            Occupied(known) => known.into_mut(),
            Vacant(place) => {
                place.insert(unwrap(connection, &self.path, *data_key, &self.identities)?)
            }
        };
        let label = Label::new(&staged.key, staged.run);
        data_key.open(&label, bytes).map_err(|error| {
            error::damaged(format!(
                "row {} of {}, version {version} of account {account}, does not open: {error}",
                entry.staged,
                self.path.display(),
            ))
        })
    }
}

fn unwrap(
    connection: &Connection,
    path: &Path,
    id: i64,
    identities: &Identities,
) -> Result<DataKey, StoreError> {
    if identities.is_none() {
        return Err(error::unusable(
            format!(
                "the passwords in {} cannot be read without a private key",
                path.display()
            ),
            "give the identity file that `rotation keygen` wrote",
        ));
    }
    let wrapped = log::data_key(connection, id)
        .map_err(|error| error::sqlite(path, error))?
        .ok_or_else(|| error::damaged(format!("data key {id} is missing in {}", path.display())))?;
    DataKey::unwrap(&wrapped, identities).map_err(|error| match error {
        SealError::NoMatchingKey => error::unusable(
            format!("none of the private keys given opens data key {id} of {}", path.display()),
            "give the private key of one of the recipients that were configured when it was written",
        ),
        other => error::damaged(format!("data key {id} of {} does not open: {other}", path.display())),
    })
}
