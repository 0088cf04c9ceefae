use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::store_fault::{StoreFault, StoreOp, Struck};
use super::store_image::{Held, Image};
use crate::{
    AccountKey, Commit, Lease, NewVersion, Password, SecretReader, SecretStore, Select, StoreError,
    Version, VersionKey, VersionState,
};

/// A store in memory that fails when told to, for tests.
///
/// Clones share one image, which stands for the durable medium: drop what used one clone, and go on with another, to
/// play a crash. Every write pauses once before and once after it takes effect, so that a test which drops the caller
/// at each of its pauses meets both a write that never happened and one whose answer was lost.
///
/// Its clock, by which leases lapse, is tokio's: tests can pause it. It is stricter than [`SecretStore`] asks: staging
/// a version id again for another password or run, or after it was pruned, is an error.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

/// One write that a [`MemoryStore`] was asked for, whether or not it was made to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCall {
    /// What was asked.
    pub op: StoreOp,
    /// For which versions, in the order asked; none for leases and prunes.
    pub versions: Vec<VersionKey>,
}

impl MemoryStore {
    /// An empty store in which nothing fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes later calls fail as `fault` says. Faults given earlier strike first.
    pub fn inject(&self, fault: StoreFault) {
        self.shared().faults.push(fault);
    }

    /// Forgets every fault that has not struck yet.
    pub fn heal(&self) {
        self.shared().faults.clear();
    }

    /// Every write so far, in the order in which they were asked.
    #[must_use]
    pub fn calls(&self) -> Vec<StoreCall> {
        self.shared().calls.clone()
    }

    /// The versions of `account` now, in the order in which they were staged.
    #[must_use]
    pub fn versions_of(&self, account: &AccountKey) -> Vec<Version> {
        self.shared()
            .image
            .held(&Select::Account(account.clone()))
            .map(|held| held.version.clone())
            .collect()
    }

    /// What the version of `account` with this password is now; `None` if there is none. The question behind
    /// "durable before applied" and "never lost".
    #[must_use]
    pub fn state_of_password(&self, account: &AccountKey, password: &str) -> Option<VersionState> {
        self.shared()
            .image
            .held(&Select::Account(account.clone()))
            .find(|held| held.password.expose() == password)
            .map(|held| held.version.state)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A test that panicked elsewhere leaves the image as consistent as a crash would.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a write, lets `act` make it, and fails before or after as the faults say.
    async fn write<T>(
        &self,
        call: StoreCall,
        act: impl FnOnce(&mut Image) -> T + Send,
    ) -> Result<T, StoreError> {
        let struck = self.shared().record(call);
        struck.wait().await;
        pause().await;
        struck.before()?;
        let answer = act(&mut self.shared().image);
        pause().await;
        struck.after()?;
        Ok(answer)
    }

    fn read<T: Send + 'static>(
        &self,
        select: Select,
        item: fn(&Held) -> T,
    ) -> BoxStream<'_, Result<T, StoreError>> {
        let struck = self.shared().strike(StoreOp::Read, &[]);
        let items = async move {
            struck.wait().await;
            if let Err(error) = struck.before().and_then(|()| struck.after()) {
                return vec![Err(error)];
            }
            let shared = self.shared();
            shared
                .image
                .held(&select)
                .map(|held| Ok(item(held)))
                .collect()
        };
        items.map(stream::iter).flatten_stream().boxed()
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let call = StoreCall::new(StoreOp::Lease, []);
        self.write(call, |image| image.lease(lease, ttl, Instant::now()))
            .await?
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let call = StoreCall::new(StoreOp::Release, []);
        self.write(call, |image| image.release(lease)).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        let call = StoreCall::new(StoreOp::Stage, batch.iter().map(|new| new.key.clone()));
        let stage = |image: &mut Image| {
            let now = Instant::now();
            batch.iter().map(|new| image.stage(new, now)).collect()
        };
        match self.write(call, stage).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let keys = batch.iter().map(|commit| commit.key.clone());
        let call = StoreCall::new(StoreOp::Commit, keys);
        let commit = |image: &mut Image| batch.iter().map(|one| image.commit(one)).collect();
        match self.write(call, commit).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let call = StoreCall::new(StoreOp::Discard, [version.clone()]);
        self.write(call, |image| image.discard(version)).await?
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        let call = StoreCall::new(StoreOp::Prune, []);
        self.write(call, |image| image.prune(select, keep)).await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.read(select, |held| held.version.clone())
    }
}

impl SecretReader for MemoryStore {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        self.read(select, |held| (held.version.clone(), copy(&held.password)))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl StoreCall {
    fn new(op: StoreOp, versions: impl IntoIterator<Item = VersionKey>) -> Self {
        Self {
            op,
            versions: versions.into_iter().collect(),
        }
    }
}

#[derive(Default)]
struct Shared {
    image: Image,
    calls: Vec<StoreCall>,
    faults: Vec<StoreFault>,
}

impl Shared {
    fn record(&mut self, call: StoreCall) -> Struck {
        let struck = self.strike(call.op, &call.versions);
        self.calls.push(call);
        struck
    }

    fn strike(&mut self, op: StoreOp, versions: &[VersionKey]) -> Struck {
        self.faults
            .iter_mut()
            .find_map(|fault| fault.strike(op, versions))
            .unwrap_or_default()
    }
}

fn copy(password: &Password) -> Password {
    Password::new(Zeroizing::new(password.expose().to_owned()))
}

/// Lets the caller be dropped here.
pub(super) async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if paused {
            return Poll::Ready(());
        }
        paused = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{AccountId, RunId, TenantId};

    fn version(password: &str) -> NewVersion {
        let account = AccountKey {
            tenant: TenantId::new("t"),
            account: AccountId::new("a"),
        };
        let password = Arc::new(Password::new(password.to_owned().into()));
        let run = RunId::from_bytes([1; 16]);
        NewVersion::new(account, "a@t", run, Timestamp::UNIX_EPOCH, password)
    }

    /// A store in which the run of every [`version`] holds a lease.
    async fn leased() -> MemoryStore {
        let store = MemoryStore::new();
        let lease = version("x").lease();
        store.lease(&lease, Duration::from_secs(60)).await.unwrap();
        store
    }

    async fn stage(store: &MemoryStore, version: &NewVersion) -> Result<(), StoreError> {
        store
            .stage(std::slice::from_ref(version))
            .await
            .pop()
            .unwrap()
    }

    #[tokio::test]
    async fn a_fault_strikes_the_calls_it_names_and_changes_nothing() {
        let store = leased().await;
        store.inject(StoreFault::on(StoreOp::Stage).skip(1).times(2));
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(stage(&store, &version("x")).await.is_ok());
        }
        assert_eq!(answers, [true, false, false, true]);
        assert_eq!(store.versions_of(&version("x").key.account).len(), 2);
        assert_eq!(store.calls().len(), 5);
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_effect() {
        let store = leased().await;
        store.inject(StoreFault::on(StoreOp::Stage).answer_lost());
        let version = version("hunter2");
        let answer = stage(&store, &version).await;
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })));
        let state = store.state_of_password(&version.key.account, "hunter2");
        assert_eq!(state, Some(VersionState::Pending));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_takes_its_time_and_then_does_as_asked() {
        let store = leased().await;
        let minute = Duration::from_secs(59);
        let begun = Instant::now();
        store.inject(StoreFault::on(StoreOp::Stage).delayed(minute));
        stage(&store, &version("x")).await.unwrap();
        assert_eq!(begun.elapsed(), minute);
        store.inject(StoreFault::on(StoreOp::Stage).delayed(minute).answer_lost());
        assert!(stage(&store, &version("x")).await.is_err());
        // The lease lapsed while it waited.
        assert_eq!(store.versions_of(&version("x").key.account).len(), 1);
    }

    #[tokio::test]
    async fn a_fault_for_one_account_spares_the_others() {
        let store = leased().await;
        let version = version("x");
        let mut other = version.key.account.clone();
        other.account = AccountId::new("b");
        store.inject(StoreFault::on(StoreOp::Stage).for_account(other).forever());
        stage(&store, &version).await.unwrap();
        store.heal();
    }

    /// One poll reaches the pause before the effect, a second one that after it.
    #[tokio::test]
    async fn a_call_can_be_dropped_before_and_after_its_effect() {
        for (polls, expected) in [(1, 0), (2, 1)] {
            let store = leased().await;
            let version = version("x");
            let batch = std::slice::from_ref(&version);
            let mut call = store.stage(batch).boxed();
            for _ in 0..polls {
                assert!(futures::poll!(&mut call).is_pending());
            }
            drop(call);
            assert_eq!(store.versions_of(&version.key.account).len(), expected);
        }
    }

    #[tokio::test]
    async fn a_version_id_is_used_for_one_password_once() {
        let store = leased().await;
        let mut version = version("x");
        stage(&store, &version).await.unwrap();
        version.password = Arc::new(Password::new("y".to_owned().into()));
        let answer = stage(&store, &version).await;
        assert!(matches!(answer, Err(StoreError::Unusable(_))));
        store.discard(&version.key).await.unwrap();
        let answer = stage(&store, &version).await;
        assert!(matches!(answer, Err(StoreError::NotPending(_))));
    }

    #[tokio::test]
    async fn debug_shows_no_password() {
        let store = leased().await;
        stage(&store, &version("hunter2")).await.unwrap();
        assert_eq!(format!("{store:?}"), "MemoryStore { .. }");
        assert!(!format!("{:?}", store.calls()).contains("hunter2"));
    }
}
