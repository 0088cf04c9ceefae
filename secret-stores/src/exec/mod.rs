//! A password manager that we do not know: the user's own program keeps the passwords, and a file of ours remembers
//! what became of them.
//!
//! ```text
//! stage ───► ledger: may it? ──► program: keep it ──► ledger: pending
//! commit ──► ledger: may it? ──► program: current ──► ledger: current
//! discard, prune ──► ledger: gone ──► program: drop it
//! ```
//!
//! So what the ledger shows, the program has: a crash between the two leaves a version too many in the program, never
//! one too few. Whatever was interrupted is done again, and does no harm: the program knows a version by its id.
//!
//! The program is one process that takes many requests ([`protocol`]), one [`session`] after another: when it ends,
//! hangs or talks nonsense, everyone who waits for it is told so, and the next call starts it again ([`program`]).

mod config;
mod handed;
mod program;
mod protocol;
mod reader;
mod session;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join;
use futures::stream::BoxStream;
use rotation_core::{
    Commit, Lease, NewVersion, SecretStore, Select, StoreError, Version, VersionKey,
};
use tokio::sync::{Mutex, mpsc};

use crate::SqliteStore;
use program::Program;
use protocol::Request;

pub use config::ExecConfig;
pub use reader::ExecReader;

/// How many versions the program is told to forget at once.
const FORGOTTEN: usize = 64;

/// Hands every version to a program of the user's own, which keeps the passwords; a local file, its ledger, keeps
/// states, leases and history. How the program is talked to stands in `docs/exec-store.md`.
///
/// Passwords go to the program through its standard input alone. Several handles and processes may share one ledger,
/// each with a process of the program of its own.
pub struct ExecStore {
    ledger: SqliteStore,
    program: Program,
    /// Held while versions are settled, so that the program hears of two commits of one account in their order.
    settling: Mutex<()>,
}

impl ExecStore {
    /// Opens the ledger, or creates it (mode 0600) if there is none, and starts the program.
    ///
    /// # Errors
    /// - [`StoreError::Unusable`] if the program cannot be started or does not follow the protocol, or the ledger is
    ///   refused as by [`SqliteStore::open`].
    /// - [`StoreError::Unavailable`] if the program ends or does not answer in time, or the ledger is locked.
    pub async fn open(config: ExecConfig) -> Result<Self, StoreError> {
        let program = Program::new(config);
        program.session().await?;
        Ok(Self {
            ledger: SqliteStore::open_ledger(&program.config().ledger).await?,
            program,
            settling: Mutex::new(()),
        })
    }

    /// Waits until everything handed over is done, the program has ended and the ledger is closed.
    pub async fn close(self) {
        self.program.close().await;
        self.ledger.close().await;
    }

    /// Commits versions of accounts that occur once.
    async fn settle(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let keys: Vec<_> = batch.iter().map(|commit| commit.key.clone()).collect();
        let mut answers = Answers(self.ledger.is_current(&keys).await);
        let open = answers.open(batch);
        let requests: Vec<_> = open.iter().map(|open| Request::Commit(&open.key)).collect();
        answers.fill(false, self.program.tell(&requests).await);
        let open = answers.open(batch);
        answers.fill(true, self.ledger.commit(&open).await);
        answers.into_results()
    }

    /// Lets the program forget what is `gone`. When it fails to, this ends, and with it the pruning of the ledger.
    async fn forget(&self, mut gone: mpsc::Receiver<VersionKey>) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        while gone.recv_many(&mut keys, FORGOTTEN).await > 0 {
            let requests: Vec<_> = keys.iter().map(Request::Forget).collect();
            let answers = self.program.tell(&requests).await;
            answers.into_iter().collect::<Result<(), _>>()?;
            keys.clear();
        }
        Ok(())
    }
}

#[async_trait]
impl SecretStore for ExecStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.ledger.lease(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.ledger.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let mut answers = Answers(self.ledger.is_staged(batch).await);
        let open = answers.open(batch);
        let requests: Vec<_> = open.iter().map(Request::Stage).collect();
        answers.fill(false, self.program.tell(&requests).await);
        let open = answers.open(batch);
        let kept = self.ledger.stage(&open).await;
        let refused: Vec<_> = open
            .iter()
            .zip(&kept)
            .filter(|(_, answer)| is_refusal(answer))
            .map(|(new, _)| Request::Discard(&new.key))
            .collect();
        // Another run came first, so nobody will ask for these; if the program fails to drop them, it keeps too many.
        self.program.tell(&refused).await;
        answers.fill(true, kept);
        answers.into_results()
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let _turn = self.settling.lock().await;
        let mut answers = Vec::with_capacity(batch.len());
        for part in apart(batch) {
            answers.extend(self.settle(part).await);
        }
        answers
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let _turn = self.settling.lock().await;
        self.ledger.discard(version).await?;
        let answers = self.program.tell(&[Request::Discard(version)]).await;
        answers.into_iter().collect()
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        let (told, gone) = mpsc::channel(FORGOTTEN);
        let prune = self.ledger.prune_telling(select, keep, told);
        let (pruned, forgotten) = join(prune, self.forget(gone)).await;
        forgotten.and(pruned)
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.ledger.versions(select)
    }
}

impl fmt::Debug for ExecStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecStore")
            .field("program", &self.program.config().program)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// What is known of each item of a batch: `Ok(false)` if it is open.
struct Answers(Vec<Result<bool, StoreError>>);

impl Answers {
    /// The items that are open.
    fn open<T: Clone>(&self, batch: &[T]) -> Vec<T> {
        batch
            .iter()
            .zip(&self.0)
            .filter(|(_, answer)| matches!(answer, Ok(false)))
            .map(|(item, _)| item.clone())
            .collect()
    }

    /// Puts in what became of the items that were open, whether or not they are done with.
    fn fill(&mut self, is_done: bool, results: Vec<Result<(), StoreError>>) {
        let open = self
            .0
            .iter_mut()
            .filter(|answer| matches!(answer, Ok(false)));
        for (answer, result) in open.zip(results) {
            *answer = result.map(|()| is_done);
        }
    }

    fn into_results(self) -> Vec<Result<(), StoreError>> {
        self.0.into_iter().map(|answer| answer.map(drop)).collect()
    }
}

/// Whether the ledger certainly does not have what it was asked to take.
fn is_refusal(answer: &Result<(), StoreError>) -> bool {
    matches!(
        answer,
        Err(StoreError::LeaseLost(_)
            | StoreError::Leased { .. }
            | StoreError::NotPending(_)
            | StoreError::RotatedSince { .. })
    )
}

/// The batch in parts, in none of which an account occurs twice.
fn apart(batch: &[Commit]) -> impl Iterator<Item = &[Commit]> {
    let mut seen = HashSet::new();
    batch.chunk_by(move |one, next| {
        seen.insert(one.key.account.clone());
        let is_new = !seen.contains(&next.key.account);
        if !is_new {
            seen.clear();
        }
        is_new
    })
}
