//! The one thread that writes: whatever is asked while a transaction is being made durable shares the next one.

use std::path::PathBuf;
use std::thread;

use rotation_core::{AccountKey, Problem, StoreError, VersionKey, VersionState};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error;
use super::history::History;
use super::in_flight::InFlight;
use super::log::{self, NewRow, Settlement};

/// How many jobs may wait, and how many share a transaction. Thousands would not be faster: past a hundred rows the
/// cost of reaching the disk is small beside that of the rows.
const MAX_JOBS: usize = 1024;

/// One change to make durable.
pub(super) enum Change {
    Commit(VersionKey),
    Discard(VersionKey),
    Stage(Vec<NewRow>),
}

/// What became of each change of a job, in their order.
type Answers = Vec<Result<(), StoreError>>;

struct Job {
    changes: Vec<Change>,
    reply: oneshot::Sender<Answers>,
}

/// Hands changes to the writing thread, which ends after the last clone of this is dropped and everything handed over
/// before is done.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: thread::JoinHandle<()>,
}

impl Writer {
    /// Starts the thread. `wrapped_key` is stored along with the first version that is sealed under it.
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        wrapped_key: Vec<u8>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(MAX_JOBS);
        let log = LogWriter {
            connection,
            path,
            wrapped_key,
            known: Known::default(),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || log.run(queue))
            .map_err(|error| StoreError::unavailable("cannot start a thread", error))?;
        Ok(Self { jobs, thread })
    }

    /// Makes `changes` durable and says what became of each.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Answers {
        let count = changes.len();
        let (reply, answers) = oneshot::channel();
        let sent = self.jobs.send(Job { changes, reply }).await;
        match (sent, answers.await) {
            (Ok(()), Ok(answers)) => answers,
            _ => vec![Err(error::stopped("the thread that writes the store")); count],
        }
    }

    /// Waits until everything handed over is done and the file is closed. Blocks.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        drop(self.jobs);
        self.thread
            .join()
            .map_err(|_| error::stopped("the thread that writes the store"))
    }
}

struct LogWriter {
    connection: Connection,
    path: PathBuf,
    wrapped_key: Vec<u8>,
    known: Known,
}

/// What we know of the log without reading it. Forgetting it all is always safe.
#[derive(Default)]
struct Known {
    /// Up to which row `in_flight` is right; `None` before the first transaction.
    last_seq: Option<i64>,
    in_flight: InFlight,
    /// Under which id our wrapped key is stored, once it is.
    data_key: Option<i64>,
}

impl LogWriter {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(MAX_JOBS);
        while queue.blocking_recv_many(&mut group, MAX_JOBS) > 0 {
            let answers = self.write(&group).unwrap_or_else(|error| {
                // After a failure nothing is certain but the file.
                self.known = Known::default();
                let error = error::sqlite(&self.path, error);
                group
                    .iter()
                    .map(|job| vec![Err(error.clone()); job.changes.len()])
                    .collect()
            });
            for (job, answers) in group.drain(..).zip(answers) {
                // Whoever asked may have been dropped meanwhile; what is done stays done.
                job.reply.send(answers).ok();
            }
        }
    }

    /// Makes one transaction of all jobs; the answers hold once this returns.
    fn write(&mut self, group: &[Job]) -> rusqlite::Result<Vec<Answers>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.known.catch_up(&transaction)?;
        let mut step = Step {
            transaction: &transaction,
            wrapped_key: &self.wrapped_key,
            known: &mut self.known,
        };
        let answers = group
            .iter()
            .map(|job| job.changes.iter().map(|change| step.make(change)).collect())
            .collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(answers)
    }
}

impl Known {
    /// Follows what other processes appended since our last transaction.
    fn catch_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let last_seq = log::last_seq(connection)?;
        if let Some(seen) = self.last_seq
            && seen < last_seq
        {
            let in_flight = &mut self.in_flight;
            log::settlements_after(connection, seen, |account, settlement| {
                in_flight.settle(account, settlement);
            })?;
        }
        self.last_seq = Some(last_seq);
        Ok(())
    }
}

/// One transaction under way.
struct Step<'a> {
    transaction: &'a Transaction<'a>,
    wrapped_key: &'a [u8],
    known: &'a mut Known,
}

impl Step<'_> {
    fn make(&mut self, change: &Change) -> rusqlite::Result<Result<(), StoreError>> {
        match change {
            Change::Commit(key) => self.commit(key),
            Change::Discard(key) => self.discard(key),
            Change::Stage(rows) => self.stage(rows),
        }
    }

    fn stage(&mut self, rows: &[NewRow]) -> rusqlite::Result<Result<(), StoreError>> {
        // All are looked at before any is appended: a batch that is refused leaves nothing behind.
        let mut fresh = Vec::with_capacity(rows.len());
        for row in rows {
            match log::staged_row(self.transaction, row.key.version)? {
                None => fresh.push(row),
                Some((_, account)) if account != row.key.account => {
                    return Ok(Err(StoreError::Unusable(Problem::new(format!(
                        "version {} was staged before, for account {account}",
                        row.key.version
                    )))));
                }
                Some(_) if self.look_up(&row.key)?.is_none() => {
                    return Ok(Err(StoreError::NotPending(row.key.clone())));
                }
                Some(_) => {}
            }
        }
        for row in fresh {
            let data_key = self.data_key()?;
            if let Some(seq) = log::append_staged(self.transaction, row, data_key)? {
                self.known.in_flight.stage(&row.key, seq);
                self.known.last_seq = Some(seq);
            }
        }
        Ok(Ok(()))
    }

    fn commit(&mut self, key: &VersionKey) -> rusqlite::Result<Result<(), StoreError>> {
        match self.look_up(key)? {
            Some((staged, VersionState::Pending)) => {
                self.settle(&key.account, Settlement::Committed { staged })?;
                Ok(Ok(()))
            }
            Some((_, VersionState::Current)) => Ok(Ok(())),
            Some((_, VersionState::Previous)) | None => {
                Ok(Err(StoreError::NotPending(key.clone())))
            }
        }
    }

    fn discard(&mut self, key: &VersionKey) -> rusqlite::Result<Result<(), StoreError>> {
        match self.look_up(key)? {
            Some((staged, VersionState::Pending)) => {
                self.settle(&key.account, Settlement::Discarded { staged })?;
                Ok(Ok(()))
            }
            Some((_, VersionState::Current | VersionState::Previous)) => {
                Ok(Err(StoreError::NotPending(key.clone())))
            }
            None => Ok(Ok(())),
        }
    }

    fn settle(&mut self, account: &AccountKey, settlement: Settlement) -> rusqlite::Result<()> {
        let seq = log::append_settlement(self.transaction, account, settlement)?;
        self.known.in_flight.settle(account, settlement);
        self.known.last_seq = Some(seq);
        Ok(())
    }

    /// The seq of the version's staged row and what the version is now; `None` if it was never staged or is discarded.
    ///
    /// Reads nothing for a version that this handle staged and that is still pending; otherwise the rows of the log
    /// since it was staged, for nothing before that has a bearing on it.
    fn look_up(&self, key: &VersionKey) -> rusqlite::Result<Option<(i64, VersionState)>> {
        if let Some(staged) = self.known.in_flight.staged(key) {
            return Ok(Some((staged, VersionState::Pending)));
        }
        let Some((staged, account)) = log::staged_row(self.transaction, key.version)? else {
            return Ok(None);
        };
        if account != key.account {
            return Ok(None);
        }
        let mut history = History::default();
        history.stage(staged, ());
        log::settlements_of(self.transaction, &account, staged, |settlement| {
            history.settle(settlement);
        })?;
        Ok(history.state(staged).map(|state| (staged, state)))
    }

    fn data_key(&mut self) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.data_key {
            return Ok(id);
        }
        let id = log::append_data_key(self.transaction, self.wrapped_key)?;
        self.known.data_key = Some(id);
        Ok(id)
    }
}
