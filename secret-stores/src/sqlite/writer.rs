//! The one thread that writes: whatever is asked while a transaction is being made durable shares the next one.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rotation_core::{Clock, StoreError, SystemClock};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error;
use super::known::Known;
use super::lease::Leases;
use super::step::{Answer, Change, Keys, Step};

/// How many jobs may wait, and how many share a transaction. Thousands would not be faster: past a hundred rows the
/// cost of reaching the disk is small beside that of the rows.
const MAX_JOBS: usize = 1024;

/// While transactions have so many changes, whoever asks is one of many, and a transaction waits a little for the others:
/// what it costs to reach the disk is then shared by more of them. A directory takes far longer to answer.
const MANY: usize = 8;
const GATHER: Duration = Duration::from_micros(1500);

/// What became of each change of a job, in their order.
type Answers = Vec<Answer>;

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
    /// Starts the thread. There are no `keys` if a program outside keeps the passwords.
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        keys: Option<Keys>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(MAX_JOBS);
        let log = LogWriter {
            connection,
            path,
            keys,
            known: Known::default(),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || log.run(queue))
            .map_err(error::no_thread)?;
        Ok(Self { jobs, thread })
    }

    /// Makes `changes` durable and says what became of each.
    pub(super) async fn write(&self, changes: Vec<Change>) -> Vec<Result<(), StoreError>> {
        let answers = self.count(changes).await;
        answers.into_iter().map(|answer| answer.map(drop)).collect()
    }

    /// Makes one change durable and says how many versions it concerned.
    pub(super) async fn write_one(&self, change: Change) -> Answer {
        self.count(vec![change]).await.into_iter().sum()
    }

    /// Makes `changes` durable and says how many versions each concerned.
    pub(super) async fn count(&self, changes: Vec<Change>) -> Answers {
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
    keys: Option<Keys>,
    known: Known,
}

impl LogWriter {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(MAX_JOBS);
        let mut changes = 0;
        while queue.blocking_recv_many(&mut group, MAX_JOBS) > 0 {
            if changes >= MANY {
                thread::sleep(GATHER);
                group.extend(std::iter::from_fn(|| queue.try_recv().ok()).take(MAX_JOBS));
            }
            changes = group.iter().map(|job| job.changes.len()).sum();
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
        if self.known.is_nothing() {
            // Outside the transaction, so that no other process waits while a long log is read.
            self.known.catch_up(&self.connection)?;
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.known.catch_up(&transaction)?;
        let mut step = Step {
            transaction: &transaction,
            keys: self.keys.as_ref(),
            known: &mut self.known,
            // Now, and not before, when another process may have held up this one.
            leases: Leases::at(&transaction, SystemClock.now()),
        };
        let answers = group
            .iter()
            .map(|job| job.changes.iter().map(|change| step.make(change)).collect())
            .collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(answers)
    }
}
