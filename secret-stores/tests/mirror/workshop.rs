use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountId, AccountKey, Commit, NewVersion, Password, RunId, SecretReader, SecretStore, Select,
    StoreError, TenantId, VersionState,
};
use secret_stores::{MirrorCopy, MirrorStore};
use zeroize::Zeroizing;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A primary, one copy, and a run.
pub(crate) struct Workshop {
    pub(crate) primary: MemoryStore,
    pub(crate) copy: MemoryStore,
    pub(crate) run: RunId,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self {
            primary: MemoryStore::new(),
            copy: MemoryStore::new(),
            run: RunId::new(),
        }
    }

    /// A mirror through which the run holds a lease.
    pub(crate) async fn mirror(&self) -> MirrorStore {
        self.mirror_for(self.run).await
    }

    pub(crate) async fn mirror_for(&self, run: RunId) -> MirrorStore {
        let copy = MirrorCopy::new("copy", Arc::new(self.copy.clone()));
        let mirror = MirrorStore::new(Arc::new(self.primary.clone()), vec![copy]);
        let lease = version(run, 0, "x").lease();
        mirror.lease(&lease, HOUR).await.unwrap();
        mirror
    }

    /// Rotates the account, as far as the stores are concerned.
    pub(crate) async fn rotate(&self, mirror: &MirrorStore, number: usize, password: &str) {
        let new = version(self.run, number, password);
        stage(mirror, &new).await.unwrap();
        commit(mirror, &new).await.unwrap();
    }

    /// The passwords in the copy, by account.
    pub(crate) async fn copied(&self) -> Vec<(String, VersionState)> {
        passwords(&self.copy).await
    }
}

pub(crate) async fn passwords(store: &MemoryStore) -> Vec<(String, VersionState)> {
    let found: Vec<_> = store.reveal(Select::All).try_collect().await.unwrap();
    found
        .into_iter()
        .map(|(version, password)| (password.expose().to_owned(), version.state))
        .collect()
}

pub(crate) fn account(number: usize) -> AccountKey {
    AccountKey {
        tenant: TenantId::new("contoso"),
        account: AccountId::new(&format!("account-{number:05}")),
    }
}

pub(crate) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn version(run: RunId, number: usize, password: &str) -> NewVersion {
    version_at(run, number, password, second(0))
}

pub(crate) fn version_at(run: RunId, number: usize, password: &str, at: Timestamp) -> NewVersion {
    let password = Arc::new(Password::new(Zeroizing::new(password.to_owned())));
    NewVersion::new(account(number), "user@contoso.com", run, at, password)
}

pub(crate) async fn stage(store: &dyn SecretStore, new: &NewVersion) -> Result<(), StoreError> {
    let batch = std::slice::from_ref(new);
    store.stage(batch).await.pop().unwrap()
}

pub(crate) async fn commit(store: &dyn SecretStore, new: &NewVersion) -> Result<(), StoreError> {
    commit_at(store, new, new.staged_at).await
}

pub(crate) async fn commit_at(
    store: &dyn SecretStore,
    new: &NewVersion,
    at: Timestamp,
) -> Result<(), StoreError> {
    let commit = Commit::new(new.key.clone(), at);
    store.commit(&[commit]).await.pop().unwrap()
}
