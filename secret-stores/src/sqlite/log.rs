//! The rows of the log, and every statement that reads or appends them.

use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, RunId, TenantId, Version, VersionId, VersionKey, VersionState,
};
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, params};

const EVENT_STAGED: &str = "staged";
const EVENT_COMMITTED: &str = "committed";
const EVENT_DISCARDED: &str = "discarded";

/// A staged row before it is appended.
pub(super) struct NewRow {
    pub(super) key: VersionKey,
    pub(super) run: RunId,
    pub(super) staged_at: Timestamp,
    pub(super) user_name: String,
    pub(super) sealed: Vec<u8>,
}

/// What a row says about the version staged by the row with that seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Committed { staged: i64 },
    Discarded { staged: i64 },
}

/// A whole row, but for its seq.
pub(super) struct LogRow {
    pub(super) account: AccountKey,
    pub(super) event: Event,
}

/// What a row says.
pub(super) enum Event {
    Settled(Settlement),
    Staged(StagedRow),
}

impl LogRow {
    /// Reads a row of `SELECT *`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let account = account(row)?;
        let event = match row.get_ref("event")?.as_str()? {
            EVENT_STAGED => Event::Staged(staged(row, account.clone())?),
            _ => Event::Settled(settlement(row)?),
        };
        Ok(Self { account, event })
    }
}

/// What a staged row holds besides its account.
pub(super) struct StagedRow {
    pub(super) key: VersionKey,
    pub(super) run: RunId,
    staged_at: Timestamp,
    user_name: String,
    pub(super) data_key: i64,
    pub(super) sealed: Vec<u8>,
}

impl StagedRow {
    /// The version as the trait shows it.
    pub(super) fn version(&self, state: VersionState) -> Version {
        Version::new(
            self.key.clone(),
            self.user_name.clone(),
            self.run,
            self.staged_at,
            state,
        )
    }
}

/// Appends a staged row and gives its seq; `None` if the version id is there already.
pub(super) fn append_staged(
    connection: &Connection,
    row: &NewRow,
    data_key: i64,
) -> rusqlite::Result<Option<i64>> {
    let appended = connection
        .prepare_cached(
            "INSERT INTO log (event, tenant, account, version, run, staged_at, user_name, data_key, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (version) WHERE version IS NOT NULL DO NOTHING",
        )?
        .execute(params![
            EVENT_STAGED,
            row.key.account.tenant.as_str(),
            row.key.account.account.as_str(),
            row.key.version.as_bytes(),
            row.run.as_bytes(),
            row.staged_at.to_string(),
            row.user_name,
            data_key,
            row.sealed,
        ])?;
    Ok((appended > 0).then(|| connection.last_insert_rowid()))
}

/// Appends what became of a version of `account` and gives the seq of that row.
pub(super) fn append_settlement(
    connection: &Connection,
    account: &AccountKey,
    settlement: Settlement,
) -> rusqlite::Result<i64> {
    let (event, staged) = match settlement {
        Settlement::Committed { staged } => (EVENT_COMMITTED, staged),
        Settlement::Discarded { staged } => (EVENT_DISCARDED, staged),
    };
    connection
        .prepare_cached("INSERT INTO log (event, tenant, account, staged) VALUES (?1, ?2, ?3, ?4)")?
        .insert(params![
            event,
            account.tenant.as_str(),
            account.account.as_str(),
            staged
        ])
}

/// Appends a wrapped data key and gives its id.
pub(super) fn append_data_key(connection: &Connection, wrapped: &[u8]) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("INSERT INTO data_key (wrapped) VALUES (?1)")?
        .insert([wrapped])
}

/// The wrapped data key with this id.
pub(super) fn data_key(connection: &Connection, id: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT wrapped FROM data_key WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// The seq of the last row; 0 if there is none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM log")?
        .query_row((), |row| row.get(0))
}

/// The seq of the row that staged this version id, and for which account.
pub(super) fn staged_row(
    connection: &Connection,
    version: VersionId,
) -> rusqlite::Result<Option<(i64, AccountKey)>> {
    connection
        .prepare_cached("SELECT seq, tenant, account FROM log WHERE version = ?1")?
        .query_row([version.as_bytes()], |row| {
            Ok((row.get("seq")?, account(row)?))
        })
        .optional()
}

/// Calls `each` with every settlement after the row `seq`, in their order.
pub(super) fn settlements_after(
    connection: &Connection,
    seq: i64,
    mut each: impl FnMut(&AccountKey, Settlement),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT event, tenant, account, staged FROM log
         WHERE seq > ?1 AND staged IS NOT NULL ORDER BY seq",
    )?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        each(&account(row)?, settlement(row)?);
    }
    Ok(())
}

/// Calls `each` with every settlement of `account` after the row `seq`, in their order.
pub(super) fn settlements_of(
    connection: &Connection,
    account: &AccountKey,
    seq: i64,
    mut each: impl FnMut(Settlement),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT event, staged FROM log
         WHERE seq > ?1 AND staged IS NOT NULL AND tenant = ?2 AND account = ?3 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![
        seq,
        account.tenant.as_str(),
        account.account.as_str()
    ])?;
    while let Some(row) = rows.next()? {
        each(settlement(row)?);
    }
    Ok(())
}

fn account(row: &Row<'_>) -> rusqlite::Result<AccountKey> {
    Ok(AccountKey {
        tenant: TenantId::new(row.get_ref("tenant")?.as_str()?),
        account: AccountId::new(row.get_ref("account")?.as_str()?),
    })
}

fn settlement(row: &Row<'_>) -> rusqlite::Result<Settlement> {
    let staged = row.get("staged")?;
    match row.get_ref("event")?.as_str()? {
        EVENT_COMMITTED => Ok(Settlement::Committed { staged }),
        EVENT_DISCARDED => Ok(Settlement::Discarded { staged }),
        _ => Err(FromSqlError::other(UnknownEvent).into()),
    }
}

fn staged(row: &Row<'_>, account: AccountKey) -> rusqlite::Result<StagedRow> {
    let version = VersionId::from_bytes(row.get("version")?);
    let staged_at = row.get_ref("staged_at")?.as_str()?;
    Ok(StagedRow {
        key: VersionKey { account, version },
        run: RunId::from_bytes(row.get("run")?),
        staged_at: staged_at.parse().map_err(FromSqlError::other)?,
        user_name: row.get("user_name")?,
        data_key: row.get("data_key")?,
        sealed: row.get("sealed")?,
    })
}

#[derive(Debug, thiserror::Error)]
#[error("an event that is neither staged nor committed nor discarded")]
struct UnknownEvent;
