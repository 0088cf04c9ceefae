//! Streams versions out of the log, account by account.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use rotation_core::{AccountKey, Select, StoreError, TenantId};
use rusqlite::{Connection, Row, params_from_iter};
use tokio::sync::mpsc;

use super::history::{Entry, History};
use super::known::Known;
use super::log::{Event, LogRow, StagedRow};
use super::{connect, error, schema};

/// How many versions travel at once: waking whoever reads costs more than reading a version.
const CHUNK: usize = 128;

/// How many chunks may wait for whoever reads the stream.
const BUFFER: usize = 4;

/// The versions that `select` names, each as `item` makes it of the stored one; read by a thread and a connection of
/// their own. Ends after the first error.
pub(super) fn stream<T: Send + 'static>(
    path: PathBuf,
    select: Select,
    mut item: impl FnMut(&Connection, Entry<StagedRow>) -> Result<T, StoreError> + Send + 'static,
) -> BoxStream<'static, Result<T, StoreError>> {
    let (sender, receiver) = mpsc::channel(BUFFER);
    let read = move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        let scanned = connect::read_only(&path).and_then(|connection| {
            scan(&connection, &path, &select, |entry| {
                chunk.push(item(&connection, entry)?);
                if chunk.len() < CHUNK {
                    return Ok(Continue(()));
                }
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                // Whoever reads may have heard enough.
                Ok(match sender.blocking_send(Ok(full)) {
                    Ok(()) => Continue(()),
                    Err(_) => Break(()),
                })
            })
        });
        sender.blocking_send(Ok(chunk)).ok();
        if let Err(error) = scanned {
            sender.blocking_send(Err(error)).ok();
        }
    };
    match thread::Builder::new()
        .name("store-reader".to_owned())
        .spawn(read)
    {
        Ok(thread) => received(receiver, thread)
            .map_ok(|chunk| stream::iter(chunk.into_iter().map(Ok)))
            .try_flatten()
            .boxed(),
        Err(error) => stream::iter([Err(error::no_thread(error))]).boxed(),
    }
}

/// What the thread sends; an error if it ends by a panic, for then something is missing.
fn received<T: Send + 'static>(
    receiver: mpsc::Receiver<Result<T, StoreError>>,
    thread: JoinHandle<()>,
) -> impl Stream<Item = Result<T, StoreError>> + Send {
    stream::unfold(
        (receiver, Some(thread)),
        async |(mut receiver, mut thread)| match receiver.recv().await {
            Some(item) => Some((item, (receiver, thread))),
            None => thread.take()?.join().err().map(|_| {
                let error = error::stopped("the thread that reads the store");
                (Err(error), (receiver, None))
            }),
        },
    )
}

/// Calls `each` with the versions that `select` names, until it breaks off.
fn scan(
    connection: &Connection,
    path: &Path,
    select: &Select,
    each: impl FnMut(Entry<StagedRow>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let sqlite = |error| error::sqlite(path, error);
    // So that all that is read is of one moment.
    let snapshot = connection.unchecked_transaction().map_err(sqlite)?;
    let version = schema::version(&snapshot).map_err(sqlite)?;
    match select {
        Select::Pending(tenant) if version == schema::latest() => {
            scan_pending(&snapshot, path, tenant, each)
        }
        _ => scan_sorted(&snapshot, path, select, version, each),
    }
}

/// Finds the pending versions by following the log, which needs no sorting: there are few, and every run asks for them.
fn scan_pending(
    snapshot: &Connection,
    path: &Path,
    tenant: &TenantId,
    mut each: impl FnMut(Entry<StagedRow>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let sqlite = |error| error::sqlite(path, error);
    let mut known = Known::default();
    known.catch_up(snapshot).map_err(sqlite)?;
    let log = schema::whole_log(schema::latest());
    let mut statement = snapshot
        .prepare(&format!("{log} WHERE seq = ?1"))
        .map_err(sqlite)?;
    for entry in known.pending.into_entries(tenant) {
        let row = statement
            .query_row([entry.staged], LogRow::read_whole)
            .map_err(|error| damaged(path, entry.staged, &error.to_string()))?;
        if let Event::Staged(staged) = row.event
            && each(entry.with(staged))?.is_break()
        {
            break;
        }
    }
    Ok(())
}

/// Sorts the log by account, and folds each account's rows.
fn scan_sorted(
    snapshot: &Connection,
    path: &Path,
    select: &Select,
    version: i32,
    mut each: impl FnMut(Entry<StagedRow>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let sqlite = |error| error::sqlite(path, error);
    let (filter, parameters) = condition(select)?;
    let log = schema::whole_log(version);
    // Where SQLite sorts in a temporary file, the passwords are sealed in there too.
    let mut statement = snapshot
        .prepare(&format!("{log} {filter} ORDER BY tenant, account, seq"))
        .map_err(sqlite)?;
    let mut rows = statement
        .query(params_from_iter(parameters))
        .map_err(sqlite)?;
    let mut hand_over = |history: History<StagedRow>| -> Result<ControlFlow<()>, StoreError> {
        for entry in history.into_entries() {
            if select.names(&entry.item.key.account, entry.state) && each(entry)?.is_break() {
                return Ok(Break(()));
            }
        }
        Ok(Continue(()))
    };
    let mut fold = Fold::default();
    while let Some(row) = rows.next().map_err(sqlite)? {
        if hand_over(fold.push(path, self::row(path, row)?)?)?.is_break() {
            return Ok(());
        }
    }
    hand_over(fold.finish()).map(drop)
}

/// Which rows of the log are about what `select` names.
pub(super) fn condition(select: &Select) -> Result<(Cow<'static, str>, Vec<&str>), StoreError> {
    match select {
        Select::All => Ok((Cow::Borrowed(""), Vec::new())),
        Select::Account(account) => Ok(any_of(std::slice::from_ref(account))),
        Select::Accounts(accounts) => Ok(any_of(accounts)),
        Select::Tenant(tenant) | Select::Pending(tenant) => {
            Ok((Cow::Borrowed("WHERE tenant = ?1"), vec![tenant.as_str()]))
        }
        other => Err(error::unusable(
            format!("this store does not know how to select {other:?}"),
            "use a newer version of it",
        )),
    }
}

fn any_of(accounts: &[AccountKey]) -> (Cow<'static, str>, Vec<&str>) {
    let mut parameters = Vec::with_capacity(2 * accounts.len());
    for account in accounts {
        parameters.extend([account.tenant.as_str(), account.account.as_str()]);
    }
    let condition = match accounts {
        [] => Cow::Borrowed("WHERE false"),
        _ => {
            let pairs = vec!["(?, ?)"; accounts.len()].join(", ");
            Cow::Owned(format!("WHERE (tenant, account) IN (VALUES {pairs})"))
        }
    };
    (condition, parameters)
}

/// A row of the log as it is; an error that names it if it is damaged.
pub(super) fn row(path: &Path, row: &Row<'_>) -> Result<LogRow<StagedRow>, StoreError> {
    let seq: i64 = row.get("seq").map_err(|error| error::sqlite(path, error))?;
    LogRow::read_whole(row).map_err(|error| damaged(path, seq, &error.to_string()))
}

/// The account whose rows are being read.
#[derive(Default)]
pub(super) struct Fold {
    account: Option<AccountKey>,
    history: History<StagedRow>,
}

impl Fold {
    /// Takes the next row, and gives the former account's versions if it is the first row of another.
    pub(super) fn push(
        &mut self,
        path: &Path,
        row: LogRow<StagedRow>,
    ) -> Result<History<StagedRow>, StoreError> {
        let LogRow {
            seq,
            account,
            event,
        } = row;
        let former = if self.account.as_ref() == Some(&account) {
            History::default()
        } else {
            self.account = Some(account);
            std::mem::take(&mut self.history)
        };
        match event {
            Event::Staged(staged) => self.history.stage(seq, staged.run, staged),
            Event::Settled(settled) => {
                if !self.history.settle(seq, settled.settlement) {
                    return Err(damaged(path, seq, "it settles what was not pending"));
                }
                if let Some(entry) = self.history.entry_mut(settled.settlement.staged()) {
                    entry.item.committed = settled.committed;
                }
            }
        }
        Ok(former)
    }

    pub(super) fn finish(self) -> History<StagedRow> {
        self.history
    }
}

fn damaged(path: &Path, seq: i64, what: &str) -> StoreError {
    error::damaged(format!(
        "row {seq} of {} is damaged: {what}",
        path.display()
    ))
}
