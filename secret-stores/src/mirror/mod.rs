//! One store that counts, and copies that follow it.
//!
//! ```text
//! stage, commit, … ──► primary ──► answer
//!                         │
//!                         └ committed ──► a queue per copy ──► follower: lease, stage, commit, release
//! ```
//!
//! Whatever a copy does, the primary's answer neither waits for it nor changes. So a copy may lag behind; how far is
//! told by [`lag`], and by [`MirrorStore::close`] for what this handle still had to copy.

mod copy;
mod follower;
mod lag;
mod queue;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::BoxStream;
use rotation_core::{
    Commit, Lease, NewVersion, SecretStore, Select, StoreError, Version, VersionId, VersionKey,
};

use follower::Follower;

pub use lag::{Lag, lag};
pub use queue::Behind;

/// How many versions are kept in mind between stage and commit: far more than are under way at once.
const STAGED: usize = 16 * 1024;

/// Does everything in a primary store, and hands what becomes current to copies, in the background.
///
/// - The primary alone decides: an account is rotated if the primary takes its versions, whatever the copies do.
/// - A copy gets each current version under its own id, with a retry of its own, and never an earlier one after a later.
///   States other than current, leases and pruning stay with the primary.
/// - Until they are copied or given up, passwords are kept in memory; at most 16 384 for each copy.
/// - What is in memory is gone after a crash, for a run cannot read passwords back: such a version reaches the copy
///   with the account's next rotation. [`lag`] names these accounts.
pub struct MirrorStore {
    primary: Arc<dyn SecretStore>,
    followers: Vec<Follower>,
    /// What was staged and not settled yet, oldest first.
    staged: Mutex<BTreeMap<VersionId, NewVersion>>,
}

/// A store that is to follow another.
#[derive(Clone)]
#[non_exhaustive]
pub struct MirrorCopy {
    /// What it is called, for people.
    pub name: String,
    /// The store.
    pub store: Arc<dyn SecretStore>,
}

impl MirrorCopy {
    /// The copy `store`, called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, store: Arc<dyn SecretStore>) -> Self {
        let name = name.into();
        Self { name, store }
    }
}

impl fmt::Debug for MirrorCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorCopy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl MirrorStore {
    /// Lets `copies` follow `primary`. Call it within a tokio runtime, on which the copying runs until this is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(primary: Arc<dyn SecretStore>, copies: Vec<MirrorCopy>) -> Self {
        let start = |copy| Follower::start(Arc::clone(&primary), copy);
        Self {
            followers: copies.into_iter().map(start).collect(),
            primary,
            staged: Mutex::default(),
        }
    }

    /// Gives the copies up to `patience` to catch up, then says of each what it still lacks, and forgets all passwords.
    /// Versions committed later are not copied.
    pub async fn close(&self, patience: Duration) -> Vec<Behind> {
        self.staged(BTreeMap::clear);
        join_all(
            self.followers
                .iter()
                .map(|follower| follower.close(patience)),
        )
        .await
    }

    fn staged<T>(&self, with: impl FnOnce(&mut BTreeMap<VersionId, NewVersion>) -> T) -> T {
        // Each change is one call, so whoever panicked left it whole.
        with(&mut self.staged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_staged(&self, new: &NewVersion) {
        self.staged(|staged| {
            staged.insert(new.key.version, new.clone());
            if staged.len() > STAGED {
                staged.pop_first();
            }
        });
    }

    /// Hands a version that became current to the copies.
    fn has_committed(&self, commit: &Commit) {
        let new = self.staged(|staged| staged.remove(&commit.key.version));
        for follower in &self.followers {
            match &new {
                Some(new) => follower.follow(new.clone(), commit.committed.clone()),
                // Staged through another handle, or too long ago: the password is not known here.
                None => follower.give_up(&commit.key.account),
            }
        }
    }
}

#[async_trait]
impl SecretStore for MirrorStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.primary.lease(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        // The run has ended: what it left pending is settled by another.
        self.staged(|staged| staged.retain(|_, new| new.lease() != *lease));
        self.primary.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let answers = self.primary.stage(batch).await;
        for (new, answer) in batch.iter().zip(&answers) {
            if answer.is_ok() {
                self.has_staged(new);
            }
        }
        answers
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let answers = self.primary.commit(batch).await;
        for (commit, answer) in batch.iter().zip(&answers) {
            match answer {
                Ok(()) => self.has_committed(commit),
                // It may be current, and will be asked for again.
                Err(StoreError::Unavailable { .. }) => {}
                Err(_) => {
                    self.staged(|staged| staged.remove(&commit.key.version));
                }
            }
        }
        answers
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        self.primary.discard(version).await?;
        self.staged(|staged| staged.remove(&version.version));
        Ok(())
    }

    /// Prunes the primary and says how many versions it dropped; then the copies, as far as they can be pruned now.
    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        let dropped = self.primary.prune(select, keep).await?;
        let followers = self.followers.iter();
        join_all(followers.map(|follower| follower.prune(select, keep))).await;
        Ok(dropped)
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.primary.versions(select)
    }
}

impl fmt::Debug for MirrorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorStore")
            .field("followers", &self.followers)
            .finish_non_exhaustive()
    }
}
