//! One database for many runners, every version sealed.
//!
//! Each call is one transaction, sent to the server as a whole ([`session`]): it locks the rows of its accounts, always
//! in the same order, and a second statement, which thereby sees all that was done to them before, decides and writes
//! for the whole batch at once. The rules are those statements, in `sql/`. No transaction ever waits for its client, so
//! whoever finds an account locked waits for no more than a write of the server.
//!
//! Whoever stages first writes down which leases have lapsed, under the lock that a renewal takes too: no lease that
//! another run took accounts over from comes back to life.
//!
//! ```text
//! stage ──► seal ──┐
//! commit ──────────┼──► BEGIN · lock accounts · decide and write · COMMIT
//! discard ─────────┘
//! ```
//!
//! Reading ([`reader`]) streams over a connection of its own.

mod config;
mod error;
mod reader;
mod schema;
mod session;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::{
    Commit, Lease, NewVersion, Origin, Problem, RunId, SecretStore, Select, StoreError, Version,
    VersionKey,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::Recipients;
use crate::seal::{DataKey, Label};
use error::Place;
use reader::Named;
use session::{Sessions, Step};

pub use config::{PostgresConfig, PostgresTls};
pub use reader::PostgresReader;

const CLAIM: &str = include_str!("sql/claim.sql");
const LOCK: &str = include_str!("sql/lock.sql");
const LAPSE: &str = include_str!("sql/lapse.sql");
const STAGE: &str = include_str!("sql/stage.sql");
const COMMIT: &str = include_str!("sql/commit.sql");
const DISCARD: &str = include_str!("sql/discard.sql");
const LEASE: &str = include_str!("sql/lease.sql");
const RELEASE: &str = "DELETE FROM lease WHERE tenant = $1 AND run = $2";
const CROWDED: &str = include_str!("sql/crowded.sql");
const LOCK_IDS: &str = "SELECT count(*) FROM (SELECT id FROM account WHERE id = ANY ($1) ORDER BY id FOR UPDATE) AS locked";
const PRUNE: &str = include_str!("sql/prune.sql");
const NEW_DATA_KEY: &str = "INSERT INTO data_key (wrapped) VALUES ($1) RETURNING id";

/// What is known of a version once it is staged, as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    user_name: String,
    at: Timestamp,
    origin: Origin,
}

impl From<&NewVersion> for Staged {
    fn from(new: &NewVersion) -> Self {
        Self {
            user_name: new.user_name.clone(),
            at: new.staged_at,
            origin: new.origin.clone(),
        }
    }
}

/// Longer than anyone waits; a server counts no further than this.
const LONGEST_LEASE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Keeps versions in a Postgres database, sealed to public keys: whoever runs this store can read none of them.
///
/// Made for many runners at once, on as many machines. Leases are judged by the server's clock.
///
/// The role needs `CREATE` on the database when the store is opened for the first time or after an upgrade, and
/// `SELECT, INSERT, UPDATE, DELETE` on the tables of the schema after that. Connect to the server itself or through a
/// pooler of sessions: one that pools transactions loses the settings that writing safely depends on.
pub struct PostgresStore {
    sessions: Sessions,
    data_key: DataKey,
    wrapped: Vec<u8>,
    /// The row of the data key, written before the first version that is sealed with it.
    data_key_id: OnceCell<i64>,
}

impl PostgresStore {
    /// Opens the store, and creates or upgrades its tables if need be. What is staged through this handle can be read
    /// with the private key of any of `recipients`.
    ///
    /// If the schema belongs to another program, is newer than this one, or is not as we left it, nothing is changed.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if a person must act: the configuration, the password, missing privileges, a schema
    ///   that is refused, a server that does not write durably.
    /// - [`StoreError::Unavailable`] if the server cannot be reached or is not ready.
    pub async fn open(config: PostgresConfig, recipients: &Recipients) -> Result<Self, StoreError> {
        let sessions = Sessions::new(&config, true)?;
        sessions.bounded(schema::prepare(&sessions)).await?;
        let (data_key, wrapped) = DataKey::generate(recipients).map_err(error::unsealed)?;
        Ok(Self {
            sessions,
            data_key,
            wrapped,
            data_key_id: OnceCell::new(),
        })
    }

    /// Closes every connection. Whatever was answered is durable without it.
    pub async fn close(self) {
        self.sessions.close();
    }

    fn place(&self) -> &Place {
        self.sessions.place()
    }

    async fn data_key_id(&self) -> Result<i64, StoreError> {
        let write = || async {
            let rows = self
                .sessions
                .write(&[Step(NEW_DATA_KEY, &[&self.wrapped])])
                .await?;
            single(self.place(), &rows)?
                .try_get(0)
                .map_err(|error| self.place().failed(error))
        };
        self.data_key_id.get_or_try_init(write).await.copied()
    }

    /// Stages versions of which no two are of the same account.
    async fn stage_together(
        &self,
        batch: &[NewVersion],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let sealed = batch
            .iter()
            .map(|new| {
                self.data_key
                    .seal(&Label::new(&new.key, new.run), &new.password)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(error::unsealed)?;
        let data_key = self.data_key_id().await?;
        let (tenants, objects) = accounts(batch.iter().map(|new| &new.key));
        let versions: Vec<_> = batch.iter().map(|new| version_id(&new.key)).collect();
        let runs: Vec<_> = batch.iter().map(|new| run_id(new.run)).collect();
        let planned: Vec<_> = batch.iter().map(|new| new.planned_at).collect();
        let staged: Vec<_> = batch.iter().map(|new| Json(Staged::from(new))).collect();
        let rows = self
            .sessions
            .write(&[
                Step(CLAIM, &[&tenants, &objects]),
                Step(LOCK, &[&tenants, &objects]),
                Step(LAPSE, &[&tenants, &objects, &runs]),
                Step(
                    STAGE,
                    &[
                        &tenants, &objects, &versions, &runs, &planned, &staged, &sealed, &data_key,
                    ],
                ),
            ])
            .await?;
        self.answers(batch, &rows, staged_answer)
    }

    /// Commits versions of which no two are of the same account.
    async fn commit_together(
        &self,
        batch: &[Commit],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let (tenants, objects) = accounts(batch.iter().map(|commit| &commit.key));
        let versions: Vec<_> = batch.iter().map(|commit| version_id(&commit.key)).collect();
        let times: Vec<_> = batch.iter().map(|commit| commit.committed.at).collect();
        let committed: Vec<_> = batch.iter().map(|commit| Json(&commit.committed)).collect();
        let rows = self
            .sessions
            .write(&[
                Step(LOCK, &[&tenants, &objects]),
                Step(COMMIT, &[&tenants, &objects, &versions, &times, &committed]),
            ])
            .await?;
        self.answers(batch, &rows, |commit, row| {
            committed_answer(&commit.key, row)
        })
    }

    /// What each row says of the item at its place.
    fn answers<T>(
        &self,
        batch: &[T],
        rows: &[Row],
        answer: impl Fn(&T, &Row) -> Result<Result<(), StoreError>, tokio_postgres::Error>,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if rows.len() != batch.len() {
            let found = format!("{} answers to a batch of {}", rows.len(), batch.len());
            return Err(self.place().damaged(&found));
        }
        batch
            .iter()
            .zip(rows)
            .map(|(item, row)| answer(item, row).map_err(|error| self.place().failed(error)))
            .collect()
    }

    /// Prunes the accounts after the one with the id `after`, of those selected, and says how many versions are gone and
    /// which account was the last; `None` once there are no more.
    async fn prune_some(
        &self,
        named: &Named,
        keep: i64,
        after: i64,
    ) -> Result<Option<(u64, i64)>, StoreError> {
        let rows = self
            .sessions
            .write(&[Step(
                CROWDED,
                &[&named.tenants, &named.object_ids, &after, &keep],
            )])
            .await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<i64>, _>>()
            .map_err(|error| self.place().failed(error))?;
        let Some(last) = ids.last().copied() else {
            return Ok(None);
        };
        let rows = self
            .sessions
            .write(&[Step(LOCK_IDS, &[&ids]), Step(PRUNE, &[&ids, &keep])])
            .await?;
        let dropped: i64 = single(self.place(), &rows)?
            .try_get(0)
            .map_err(|error| self.place().failed(error))?;
        Ok(Some((dropped.unsigned_abs(), last)))
    }
}

#[async_trait]
impl SecretStore for PostgresStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let seconds = ttl.min(LONGEST_LEASE).as_secs_f64();
        let rows = self
            .sessions
            .write(&[Step(
                LEASE,
                &[&lease.tenant.as_str(), &run_id(lease.run), &seconds],
            )])
            .await?;
        match rows.first() {
            Some(_) => Ok(()),
            None => Err(StoreError::LeaseLost(lease.clone())),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.sessions
            .write(&[Step(RELEASE, &[&lease.tenant.as_str(), &run_id(lease.run)])])
            .await?;
        Ok(())
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let mut answers = Vec::with_capacity(batch.len());
        for round in rounds(batch, |new| &new.key) {
            answers.extend(each(round, self.stage_together(round).await));
        }
        answers
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let mut answers = Vec::with_capacity(batch.len());
        for round in rounds(batch, |commit| &commit.key) {
            answers.extend(each(round, self.commit_together(round).await));
        }
        answers
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let (tenants, objects) = accounts([version]);
        let rows = self
            .sessions
            .write(&[
                Step(LOCK, &[&tenants, &objects]),
                Step(
                    DISCARD,
                    &[
                        &version.account.tenant.as_str(),
                        &version.account.account.as_str(),
                        &version_id(version),
                    ],
                ),
            ])
            .await?;
        let state: Option<&str> = match rows.first() {
            Some(row) => Some(row.try_get(0).map_err(|error| self.place().failed(error))?),
            None => None,
        };
        match state {
            None | Some("pending" | "discarded") => Ok(()),
            Some(_) => Err(StoreError::NotPending(version.clone())),
        }
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        let named = Named::new(self.place(), select)?;
        if named.state.is_some() {
            // Pending versions alone: none of them is previous.
            return Ok(0);
        }
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let (mut total, mut after) = (0, 0);
        while let Some((dropped, last)) = self.prune_some(&named, keep, after).await? {
            total += dropped;
            after = last;
        }
        Ok(total)
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        reader::versions(&self.sessions, select)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", self.place())
            .finish_non_exhaustive()
    }
}

/// Parts of `batch`, in its order, in each of which every account and every version occurs once: what a single statement
/// cannot see of itself, the next transaction sees.
fn rounds<T>(batch: &[T], key: impl Fn(&T) -> &VersionKey) -> Vec<&[T]> {
    let mut rounds = Vec::new();
    let mut rest = batch;
    while !rest.is_empty() {
        let (mut accounts, mut versions) = (HashSet::new(), HashSet::new());
        let repeats = |item| {
            let VersionKey { account, version } = key(item);
            !accounts.insert(account) || !versions.insert(*version)
        };
        let end = rest.iter().position(repeats).unwrap_or(rest.len());
        let (round, later) = rest.split_at(end);
        rounds.push(round);
        rest = later;
    }
    rounds
}

/// The answers of a round, or its failure for each of its items.
fn each<T>(
    round: &[T],
    answers: Result<Vec<Result<(), StoreError>>, StoreError>,
) -> Vec<Result<(), StoreError>> {
    answers.unwrap_or_else(|error| vec![Err(error); round.len()])
}

fn staged_answer(
    new: &NewVersion,
    row: &Row,
) -> Result<Result<(), StoreError>, tokio_postgres::Error> {
    let account = || new.key.account.clone();
    let other_run = || {
        let run: Uuid = row.try_get("other_run")?;
        Ok::<_, tokio_postgres::Error>(RunId::from_bytes(run.into_bytes()))
    };
    Ok(match row.try_get("answer")? {
        "staged" | "known" => Ok(()),
        "lease-lost" => Err(StoreError::LeaseLost(new.lease())),
        "not-pending" => Err(StoreError::NotPending(new.key.clone())),
        "leased" => {
            let lapses_in: f64 = row.try_get("lapses_in")?;
            Err(StoreError::Leased {
                account: account(),
                run: other_run()?,
                lapses_in: Duration::try_from_secs_f64(lapses_in).unwrap_or_default(),
            })
        }
        "rotated-since" => Err(StoreError::RotatedSince {
            account: account(),
            run: other_run()?,
        }),
        _ => {
            let problem = Problem::new(format!(
                "version {} was staged before, for another account or run",
                new.key.version
            ));
            Err(StoreError::Unusable(
                problem.with_fix("make a fresh version for every password"),
            ))
        }
    })
}

fn committed_answer(
    key: &VersionKey,
    row: &Row,
) -> Result<Result<(), StoreError>, tokio_postgres::Error> {
    Ok(match row.try_get("answer")? {
        "committed" | "current" => Ok(()),
        "fenced" | "contested" => Err(StoreError::Fenced(key.clone())),
        _ => Err(StoreError::NotPending(key.clone())),
    })
}

/// The one row of a statement that gives one.
fn single<'a>(place: &Place, rows: &'a [Row]) -> Result<&'a Row, StoreError> {
    rows.first()
        .ok_or_else(|| place.damaged("no answer from a statement that always gives one"))
}

fn accounts<'a>(keys: impl IntoIterator<Item = &'a VersionKey>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.into_iter()
        .map(|key| (key.account.tenant.as_str(), key.account.account.as_str()))
        .unzip()
}

fn version_id(key: &VersionKey) -> Uuid {
    Uuid::from_bytes(*key.version.as_bytes())
}

fn run_id(run: RunId) -> Uuid {
    Uuid::from_bytes(*run.as_bytes())
}

#[cfg(test)]
mod tests {
    use rotation_core::{AccountId, AccountKey, TenantId, VersionId};

    use super::*;

    fn key(account: &str, version: VersionId) -> VersionKey {
        VersionKey {
            account: AccountKey {
                tenant: TenantId::new("t"),
                account: AccountId::new(account),
            },
            version,
        }
    }

    #[test]
    fn rounds_keep_the_order_and_repeat_nothing() {
        let [one, two, three] = [VersionId::new(), VersionId::new(), VersionId::new()];
        let batch = [
            key("a", one),
            key("b", two),
            key("a", three),
            key("a", three),
            key("c", three),
        ];
        let lengths: Vec<_> = rounds(&batch, |key| key)
            .iter()
            .map(|round| round.len())
            .collect();
        assert_eq!(lengths, [2, 1, 1, 1]);
        assert_eq!(rounds(&batch, |key| key).concat(), batch);
        assert!(rounds(&batch[..0], |key| key).is_empty());
    }
}
