//! Finds the versions of some accounts, by where their rows are.
//!
//! The log has no index on account, because writing one durably would cost more than all else. So whoever looks accounts
//! up makes one beside it: in a temporary file that SQLite removes by itself, filled when the first account is looked up
//! and followed up from then on. In it are hashes of accounts and numbers of rows, and nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rotation_core::{AccountKey, StoreError, Version};
use rusqlite::Connection;
use tokio::sync::Mutex;

use super::history::History;
use super::log::{self, StagedRow};
use super::reading::{self, Fold};
use super::{blocking, connect, error, schema};

/// How many places are kept in memory before they go to the temporary file together, sorted: one by one, each of them
/// would be written to another page.
const RECENT: usize = 64 * 1024;

/// Looks accounts up, one lookup at a time.
pub(super) struct Finder {
    path: PathBuf,
    /// `None` before the first lookup, and after one that failed.
    places: Arc<Mutex<Option<Places>>>,
}

impl Finder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            places: Arc::default(),
        }
    }

    /// The versions of `accounts`, without their passwords, as they are when the stream is first polled.
    pub(super) fn versions(
        &self,
        accounts: impl IntoIterator<Item = AccountKey>,
    ) -> BoxStream<'static, Result<Version, StoreError>> {
        let (path, places) = (self.path.clone(), Arc::clone(&self.places));
        let accounts: BTreeSet<_> = accounts.into_iter().collect();
        let found = async move {
            // Waits here rather than on one of the threads that may block, which are for all.
            let mut places = places.lock_owned().await;
            blocking(move || {
                let mut at = match places.take() {
                    Some(at) => at,
                    None => Places::open(&path)?,
                };
                let found = at.find(&path, &accounts)?;
                *places = Some(at);
                Ok(stream::iter(found.into_iter().map(Ok)))
            })
            .await
        };
        stream::once(found).try_flatten().boxed()
    }

    /// Waits for the lookup under way, and closes the file.
    pub(super) async fn close(&self) {
        drop(self.places.lock().await.take());
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder").finish_non_exhaustive()
    }
}

/// Where the rows of every account are, up to some row.
struct Places {
    connection: Connection,
    hasher: RandomState,
    /// Up to which row.
    last_seq: i64,
    /// The hash of the account and the row, of those rows that are not in the temporary file yet.
    recent: BTreeSet<(i64, i64)>,
}

impl Places {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect::read_only(path)?;
        let prepare = "PRAGMA temp_store = FILE;
             CREATE TEMP TABLE place (account INTEGER, seq INTEGER, PRIMARY KEY (account, seq)) WITHOUT ROWID";
        connection
            .execute_batch(prepare)
            .map_err(|error| error::sqlite(path, error))?;
        Ok(Self {
            connection,
            hasher: RandomState::new(),
            last_seq: 0,
            recent: BTreeSet::new(),
        })
    }

    fn find(
        &mut self,
        path: &Path,
        accounts: &BTreeSet<AccountKey>,
    ) -> Result<Vec<Version>, StoreError> {
        let sqlite = |error| error::sqlite(path, error);
        // So that all that is read is of one moment.
        self.connection.execute_batch("BEGIN").map_err(sqlite)?;
        self.catch_up().map_err(sqlite)?;
        let mut versions = Vec::new();
        for account in accounts {
            let history = self.history(path, account)?.into_entries();
            versions.extend(history.map(|entry| entry.item.version(entry.state)));
        }
        self.connection.execute_batch("COMMIT").map_err(sqlite)?;
        Ok(versions)
    }

    /// Follows what was appended since, by whomever.
    fn catch_up(&mut self) -> rusqlite::Result<()> {
        let Self {
            connection,
            hasher,
            last_seq,
            recent,
        } = self;
        log::accounts_after(connection, *last_seq, |seq, account| {
            recent.insert((hash(hasher, account), seq));
            *last_seq = seq;
            if recent.len() < RECENT {
                return Ok(());
            }
            let mut insert = connection.prepare_cached("INSERT INTO temp.place VALUES (?1, ?2)")?;
            for place in std::mem::take(recent) {
                insert.execute(<[i64; 2]>::from(place))?;
            }
            Ok(())
        })
    }

    /// The versions of one account, folded from its rows.
    fn history(&self, path: &Path, account: &AccountKey) -> Result<History<StagedRow>, StoreError> {
        let sqlite = |error| error::sqlite(path, error);
        let key = hash(&self.hasher, account);
        let mut rows = self.filed(key).map_err(sqlite)?;
        let recent = self.recent.range((key, i64::MIN)..=(key, i64::MAX));
        rows.extend(recent.map(|(_, seq)| *seq));
        let log = schema::whole_log(schema::latest());
        let mut row_at = self
            .connection
            .prepare_cached(&format!("{log} WHERE seq = ?1"))
            .map_err(sqlite)?;
        let mut fold = Fold::default();
        for seq in rows {
            let mut row = row_at.query([seq]).map_err(sqlite)?;
            // It may have been pruned.
            if let Some(row) = row.next().map_err(sqlite)? {
                let row = reading::row(path, row)?;
                // Two accounts may have one hash.
                if row.account == *account {
                    fold.push(path, row)?;
                }
            }
        }
        Ok(fold.finish())
    }

    /// The rows in the temporary file that are of accounts with this hash, in their order.
    fn filed(&self, key: i64) -> rusqlite::Result<Vec<i64>> {
        self.connection
            .prepare_cached("SELECT seq FROM temp.place WHERE account = ?1 ORDER BY seq")?
            .query_map([key], |row| row.get(0))?
            .collect()
    }
}

fn hash(hasher: &RandomState, account: &AccountKey) -> i64 {
    hasher.hash_one(account).cast_signed()
}
