//! The rows of the log, and every statement that reads or appends them.

use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, Committed, NewVersion, Origin, RunId, TenantId, Version, VersionId,
    VersionKey, VersionState,
};
use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

const EVENT_STAGED: &str = "staged";
const EVENT_COMMITTED: &str = "committed";
const EVENT_CONTESTED: &str = "contested";
const EVENT_DISCARDED: &str = "discarded";

/// What following the log takes, without what makes rows large.
const BRIEF: &str = "SELECT seq, event, tenant, account, staged, run, version, committed_at, request_id, baseline FROM log";

/// What a row says about the version staged by the row with that seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Committed { staged: i64 },
    Contested { staged: i64 },
    Discarded { staged: i64 },
}

impl Settlement {
    pub(super) fn staged(self) -> i64 {
        match self {
            Self::Committed { staged }
            | Self::Contested { staged }
            | Self::Discarded { staged } => staged,
        }
    }
}

/// A row, with as much as was asked for of a staged one.
pub(super) struct LogRow<S> {
    pub(super) seq: i64,
    pub(super) account: AccountKey,
    pub(super) event: Event<S>,
}

/// What a row says.
pub(super) enum Event<S> {
    Settled(Settled),
    Staged(S),
}

/// What a settling row holds.
pub(super) struct Settled {
    pub(super) settlement: Settlement,
    /// The run that staged the version, and what is known of its commit: version 1 of the file told neither.
    pub(super) run: Option<RunId>,
    pub(super) committed: Option<Committed>,
}

/// What of a staged row it takes to follow the log.
pub(super) struct Brief {
    pub(super) version: VersionId,
    pub(super) run: RunId,
}

/// What a staged row holds besides its account.
pub(super) struct StagedRow {
    pub(super) key: VersionKey,
    pub(super) run: RunId,
    pub(super) origin: Origin,
    staged_at: Timestamp,
    user_name: String,
    pub(super) sealed: Option<Sealed>,
    /// Told by the row that commits it.
    pub(super) committed: Option<Committed>,
}

/// A sealed password, and the data key it is sealed under.
pub(super) struct Sealed {
    pub(super) data_key: i64,
    pub(super) bytes: Vec<u8>,
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
        .with_origin(self.origin.clone())
        .with_committed(self.committed.clone())
    }
}

impl LogRow<StagedRow> {
    /// Reads a row of [`schema::whole_log`](super::schema::whole_log).
    pub(super) fn read_whole(row: &Row<'_>) -> rusqlite::Result<Self> {
        Self::read(row, whole)
    }
}

impl<S> LogRow<S> {
    fn read(
        row: &Row<'_>,
        staged: impl FnOnce(&Row<'_>, &AccountKey) -> rusqlite::Result<S>,
    ) -> rusqlite::Result<Self> {
        let account = account(row)?;
        let event = match row.get_ref("event")?.as_str()? {
            EVENT_STAGED => Event::Staged(staged(row, &account)?),
            _ => Event::Settled(settled(row)?),
        };
        let seq = row.get("seq")?;
        Ok(Self {
            seq,
            account,
            event,
        })
    }
}

/// Appends a staged row and gives its seq. Without `sealed`, a program outside keeps the password.
pub(super) fn append_staged(
    connection: &Connection,
    new: &NewVersion,
    origin: i64,
    sealed: Option<&Sealed>,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO log (event, tenant, account, run, version, staged_at, user_name, origin, reason, data_key, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .insert(params![
            EVENT_STAGED,
            new.key.account.tenant.as_str(),
            new.key.account.account.as_str(),
            new.run.as_bytes(),
            new.key.version.as_bytes(),
            new.staged_at.to_string(),
            new.user_name,
            origin,
            new.origin.reason,
            sealed.map(|sealed| sealed.data_key),
            sealed.map(|sealed| sealed.bytes.as_slice()),
        ])
}

/// Appends what became of a version that `run` staged for `account`, and gives the seq of that row.
pub(super) fn append_settlement(
    connection: &Connection,
    account: &AccountKey,
    run: RunId,
    settlement: Settlement,
    committed: Option<&Committed>,
) -> rusqlite::Result<i64> {
    let event = match settlement {
        Settlement::Committed { .. } => EVENT_COMMITTED,
        Settlement::Contested { .. } => EVENT_CONTESTED,
        Settlement::Discarded { .. } => EVENT_DISCARDED,
    };
    connection
        .prepare_cached(
            "INSERT INTO log (event, tenant, account, run, staged, committed_at, request_id, baseline)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .insert(params![
            event,
            account.tenant.as_str(),
            account.account.as_str(),
            run.as_bytes(),
            settlement.staged(),
            committed.map(|known| sortable(known.at)),
            committed.and_then(|known| known.request_id.as_deref()),
            committed.and_then(|known| known.baseline).map(|at| at.to_string()),
        ])
}

/// Removes a row, and says whether it was there.
pub(super) fn remove(connection: &Connection, seq: i64) -> rusqlite::Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM log WHERE seq = ?1")?
        .execute([seq])?;
    Ok(removed > 0)
}

/// Removes the password of the version that the row staged.
pub(super) fn erase(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE log SET data_key = NULL, sealed = NULL WHERE seq = ?1")?
        .execute([seq])
        .map(drop)
}

/// Of the rows under this condition, the seq of each that staged a version discarded since whose password is still there.
pub(super) fn discarded(
    connection: &Connection,
    condition: &str,
    parameters: Vec<&str>,
) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare(&format!(
            "SELECT staged FROM (SELECT * FROM log {condition}) AS gone
             WHERE event = ?{} AND EXISTS (SELECT 1 FROM log WHERE seq = gone.staged AND sealed IS NOT NULL)",
            parameters.len() + 1
        ))?
        .query_map(
            params_from_iter(parameters.into_iter().chain([EVENT_DISCARDED])),
            |row| row.get(0),
        )?
        .collect()
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

/// The id under which the caller and the backend of `origin` are stored, from now on at least.
pub(super) fn origin_id(connection: &Connection, origin: &Origin) -> rusqlite::Result<i64> {
    let values = params![origin.caller, origin.backend];
    connection
        .prepare_cached(
            "INSERT INTO origin (caller, backend) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(values)?;
    connection
        .prepare_cached("SELECT id FROM origin WHERE caller = ?1 AND backend = ?2")?
        .query_row(values, |row| row.get(0))
}

/// The seq of the last row; 0 if there is none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM log")?
        .query_row((), |row| row.get(0))
}

/// The row that staged a version.
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) account: AccountKey,
    pub(super) run: RunId,
}

/// The row that staged this version id.
pub(super) fn staged_row(
    connection: &Connection,
    version: VersionId,
) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached("SELECT seq, tenant, account, run FROM log WHERE version = ?1")?
        .query_row([version.as_bytes()], |row| {
            Ok(Found {
                seq: row.get("seq")?,
                account: account(row)?,
                run: run(row)?,
            })
        })
        .optional()
}

/// What the staged row `seq` holds.
pub(super) fn brief_at(connection: &Connection, seq: i64) -> rusqlite::Result<Brief> {
    connection
        .prepare_cached("SELECT version, run FROM log WHERE seq = ?1")?
        .query_row([seq], brief)
}

/// Calls `each` with every row after the row `seq`, in their order.
pub(super) fn rows_after(
    connection: &Connection,
    seq: i64,
    mut each: impl FnMut(LogRow<Brief>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached(&format!("{BRIEF} WHERE seq > ?1 ORDER BY seq"))?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        each(LogRow::read(row, |row, _| brief(row))?)?;
    }
    Ok(())
}

/// Calls `each` with the seq and the account of every row after the row `seq`, in their order.
pub(super) fn accounts_after(
    connection: &Connection,
    seq: i64,
    mut each: impl FnMut(i64, &AccountKey) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT seq, tenant, account FROM log WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = statement.query([seq])?;
    while let Some(row) = rows.next()? {
        each(row.get("seq")?, &account(row)?)?;
    }
    Ok(())
}

/// Calls `each` with every row of `account` from the row `seq` on, in their order.
pub(super) fn rows_of(
    connection: &Connection,
    account: &AccountKey,
    seq: i64,
    mut each: impl FnMut(LogRow<Brief>),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "{BRIEF} WHERE seq >= ?1 AND tenant = ?2 AND account = ?3 ORDER BY seq"
    ))?;
    let mut rows = statement.query(params![
        seq,
        account.tenant.as_str(),
        account.account.as_str()
    ])?;
    while let Some(row) = rows.next()? {
        each(LogRow::read(row, |row, _| brief(row))?);
    }
    Ok(())
}

/// Calls `each` with every version committed at `since` or later: account, run and time.
pub(super) fn commits_since(
    connection: &Connection,
    since: Timestamp,
    mut each: impl FnMut(&AccountKey, RunId, Timestamp),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT tenant, account, run, committed_at FROM log WHERE committed_at >= ?1",
    )?;
    let mut rows = statement.query([sortable(since)])?;
    while let Some(row) = rows.next()? {
        let at = timestamp(row.get_ref("committed_at")?)?;
        each(&account(row)?, run(row)?, at);
    }
    Ok(())
}

/// Calls `each` with the seq of every staged row whose version was contested after the row `seq`.
pub(super) fn contested_after(
    connection: &Connection,
    seq: i64,
    mut each: impl FnMut(i64),
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT staged FROM log WHERE seq > ?1 AND event = ?2")?;
    let mut rows = statement.query(params![seq, EVENT_CONTESTED])?;
    while let Some(row) = rows.next()? {
        each(row.get("staged")?);
    }
    Ok(())
}

/// A time as text that sorts as times do, within the years 0 to 9999.
pub(super) fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// A time as any of us wrote it.
pub(super) fn timestamp(value: ValueRef<'_>) -> FromSqlResult<Timestamp> {
    value.as_str()?.parse().map_err(FromSqlError::other)
}

fn account(row: &Row<'_>) -> rusqlite::Result<AccountKey> {
    Ok(AccountKey {
        tenant: TenantId::new(row.get_ref("tenant")?.as_str()?),
        account: AccountId::new(row.get_ref("account")?.as_str()?),
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<RunId> {
    Ok(RunId::from_bytes(row.get("run")?))
}

fn brief(row: &Row<'_>) -> rusqlite::Result<Brief> {
    Ok(Brief {
        version: VersionId::from_bytes(row.get("version")?),
        run: run(row)?,
    })
}

fn settled(row: &Row<'_>) -> rusqlite::Result<Settled> {
    let staged = row.get("staged")?;
    let settlement = match row.get_ref("event")?.as_str()? {
        EVENT_COMMITTED => Settlement::Committed { staged },
        EVENT_CONTESTED => Settlement::Contested { staged },
        EVENT_DISCARDED => Settlement::Discarded { staged },
        _ => return Err(FromSqlError::other(UnknownEvent).into()),
    };
    Ok(Settled {
        settlement,
        run: row.get::<_, Option<_>>("run")?.map(RunId::from_bytes),
        committed: committed(row)?,
    })
}

fn committed(row: &Row<'_>) -> rusqlite::Result<Option<Committed>> {
    let Some(at) = optional_timestamp(row, "committed_at")? else {
        return Ok(None);
    };
    let committed = Committed::new(at)
        .with_request_id(row.get("request_id")?)
        .with_baseline(optional_timestamp(row, "baseline")?);
    Ok(Some(committed))
}

fn optional_timestamp(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        value => Ok(Some(timestamp(value)?)),
    }
}

fn whole(row: &Row<'_>, account: &AccountKey) -> rusqlite::Result<StagedRow> {
    let Brief { version, run } = brief(row)?;
    let sealed = match row.get("data_key")? {
        None => None,
        Some(data_key) => Some(Sealed {
            data_key,
            bytes: row.get("sealed")?,
        }),
    };
    Ok(StagedRow {
        key: VersionKey {
            account: account.clone(),
            version,
        },
        run,
        origin: Origin {
            caller: row.get("caller")?,
            backend: row.get("backend")?,
            reason: row.get("reason")?,
        },
        staged_at: timestamp(row.get_ref("staged_at")?)?,
        user_name: row.get("user_name")?,
        sealed,
        committed: None,
    })
}

/// What is wrong with a row that settles what was not pending.
pub(super) fn untrue(seq: i64) -> rusqlite::Error {
    FromSqlError::other(Untrue { seq }).into()
}

#[derive(Debug, thiserror::Error)]
#[error("row {seq} of the log settles what was not pending")]
struct Untrue {
    seq: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("an event that is neither staged nor committed nor contested nor discarded")]
struct UnknownEvent;
