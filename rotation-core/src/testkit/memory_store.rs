use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use zeroize::Zeroizing;

use super::store_fault::{StoreFault, StoreOp};
use crate::{
    AccountKey, NewVersion, Password, Problem, SecretReader, SecretStore, Select, StoreError,
    Version, VersionId, VersionKey, VersionState,
};

/// A store in memory that fails when told to, for tests.
///
/// Clones share one image, which stands for the durable medium: drop what used one clone, and go on with another, to
/// play a crash. Every write pauses once before and once after it takes effect, so that a test which drops the caller
/// at each of its pauses meets both a write that never happened and one whose answer was lost.
///
/// It is stricter than [`SecretStore`] asks: staging a version id again for another password, or after it was
/// discarded, is an error.
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
    /// For which versions, in the order asked.
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
        pause().await;
        if let Some(error) = struck.as_ref().and_then(Struck::before) {
            return Err(error);
        }
        let answer = act(&mut self.shared().image);
        pause().await;
        match struck {
            Some(struck) => Err(struck.error),
            None => Ok(answer),
        }
    }

    fn read<T: Send + 'static>(
        &self,
        select: &Select,
        item: impl Fn(&Held) -> T,
    ) -> BoxStream<'static, Result<T, StoreError>> {
        let mut shared = self.shared();
        if let Some(struck) = shared.strike(StoreOp::Read, &[]) {
            return stream::iter([Err(struck.error)]).boxed();
        }
        let items: Vec<_> = shared
            .image
            .held(select)
            .map(|held| Ok(item(held)))
            .collect();
        stream::iter(items).boxed()
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn stage(&self, batch: &[NewVersion]) -> Result<(), StoreError> {
        let keys = batch.iter().map(|new| new.key.clone());
        self.write(StoreCall::new(StoreOp::Stage, keys), |image| {
            image.stage(batch)
        })
        .await?
    }

    async fn commit(&self, batch: &[VersionKey]) -> Vec<Result<(), StoreError>> {
        let call = StoreCall::new(StoreOp::Commit, batch.iter().cloned());
        let commit = |image: &mut Image| batch.iter().map(|key| image.commit(key)).collect();
        match self.write(call, commit).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let call = StoreCall::new(StoreOp::Discard, [version.clone()]);
        self.write(call, |image| image.discard(version)).await?
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.read(&select, |held| held.version.clone())
    }
}

impl SecretReader for MemoryStore {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        self.read(&select, |held| (held.version.clone(), copy(&held.password)))
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
    fn record(&mut self, call: StoreCall) -> Option<Struck> {
        let struck = self.strike(call.op, &call.versions);
        self.calls.push(call);
        struck
    }

    fn strike(&mut self, op: StoreOp, versions: &[VersionKey]) -> Option<Struck> {
        let fault = self
            .faults
            .iter_mut()
            .find_map(|fault| fault.strikes(op, versions).then_some(&*fault))?;
        let problem = Problem::new(format!("the test made {op:?} fail"));
        Some(Struck {
            error: fault.error().unwrap_or(StoreError::Unavailable {
                problem,
                source: None,
            }),
            takes_effect: fault.takes_effect(),
        })
    }
}

/// A fault that strikes the call at hand.
struct Struck {
    error: StoreError,
    takes_effect: bool,
}

impl Struck {
    fn before(&self) -> Option<StoreError> {
        (!self.takes_effect).then(|| self.error.clone())
    }
}

/// What the medium holds.
#[derive(Default)]
struct Image {
    /// Each account's versions in the order in which they were staged.
    accounts: BTreeMap<AccountKey, Vec<Held>>,
    /// Every version ever staged, also the discarded ones.
    staged: HashMap<VersionId, AccountKey>,
}

struct Held {
    version: Version,
    password: Arc<Password>,
}

impl Image {
    fn stage(&mut self, batch: &[NewVersion]) -> Result<(), StoreError> {
        for new in batch {
            self.check_new(new)?;
        }
        for new in batch {
            let account = new.key.account.clone();
            if self
                .staged
                .insert(new.key.version, account.clone())
                .is_none()
            {
                self.accounts.entry(account).or_default().push(Held {
                    version: Version::from(new),
                    password: Arc::clone(&new.password),
                });
            }
        }
        Ok(())
    }

    fn check_new(&self, new: &NewVersion) -> Result<(), StoreError> {
        let Some(account) = self.staged.get(&new.key.version) else {
            return Ok(());
        };
        let versions = self.accounts.get(account).map_or(&[][..], Vec::as_slice);
        let held = versions
            .iter()
            .find(|held| held.version.key.version == new.key.version)
            .ok_or_else(|| StoreError::NotPending(new.key.clone()))?;
        if *account == new.key.account && held.password.expose() == new.password.expose() {
            return Ok(());
        }
        Err(StoreError::Unusable(Problem::new(format!(
            "version {} was staged before, for another account or password",
            new.key.version
        ))))
    }

    fn commit(&mut self, key: &VersionKey) -> Result<(), StoreError> {
        let not_pending = || StoreError::NotPending(key.clone());
        let versions = self
            .accounts
            .get_mut(&key.account)
            .ok_or_else(not_pending)?;
        let (position, state) = find(versions, key).ok_or_else(not_pending)?;
        match state {
            VersionState::Current => Ok(()),
            VersionState::Previous => Err(not_pending()),
            VersionState::Pending => {
                for (at, held) in versions.iter_mut().enumerate() {
                    if at == position {
                        held.version.state = VersionState::Current;
                    } else if at < position {
                        held.version.state = VersionState::Previous;
                    }
                }
                Ok(())
            }
        }
    }

    fn discard(&mut self, key: &VersionKey) -> Result<(), StoreError> {
        let Some(versions) = self.accounts.get_mut(&key.account) else {
            return Ok(());
        };
        match find(versions, key) {
            None => Ok(()),
            Some((_, VersionState::Current | VersionState::Previous)) => {
                Err(StoreError::NotPending(key.clone()))
            }
            Some((position, VersionState::Pending)) => {
                versions.remove(position);
                Ok(())
            }
        }
    }

    fn held(&self, select: &Select) -> impl Iterator<Item = &Held> {
        self.accounts
            .iter()
            .filter(|(account, _)| match select {
                Select::All => true,
                Select::Account(wanted) => *account == wanted,
                Select::Tenant(tenant) => account.tenant == *tenant,
            })
            .flat_map(|(_, versions)| versions)
    }
}

fn find(versions: &[Held], key: &VersionKey) -> Option<(usize, VersionState)> {
    let position = versions.iter().position(|held| held.version.key == *key)?;
    Some((position, versions.get(position)?.version.state))
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
    use futures::FutureExt;
    use jiff::Timestamp;

    use super::*;
    use crate::{AccountId, RunId, TenantId};

    fn version(password: &str) -> NewVersion {
        let account = AccountKey {
            tenant: TenantId::new("t"),
            account: AccountId::new("a"),
        };
        let password = Arc::new(Password::new(password.to_owned().into()));
        NewVersion::new(
            account,
            "a@t",
            RunId::new(),
            Timestamp::UNIX_EPOCH,
            password,
        )
    }

    #[tokio::test]
    async fn a_fault_strikes_the_calls_it_names_and_changes_nothing() {
        let store = MemoryStore::new();
        store.inject(StoreFault::on(StoreOp::Stage).skip(1).times(2));
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(store.stage(&[version("x")]).await.is_ok());
        }
        assert_eq!(answers, [true, false, false, true]);
        assert_eq!(store.versions_of(&version("x").key.account).len(), 2);
        assert_eq!(store.calls().len(), 4);
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_effect() {
        let store = MemoryStore::new();
        store.inject(StoreFault::on(StoreOp::Stage).answer_lost());
        let version = version("hunter2");
        let answer = store.stage(std::slice::from_ref(&version)).await;
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })));
        let state = store.state_of_password(&version.key.account, "hunter2");
        assert_eq!(state, Some(VersionState::Pending));
    }

    #[tokio::test]
    async fn a_fault_for_one_account_spares_the_others() {
        let store = MemoryStore::new();
        let version = version("x");
        let mut other = version.key.account.clone();
        other.account = AccountId::new("b");
        store.inject(StoreFault::on(StoreOp::Stage).for_account(other).forever());
        assert!(store.stage(&[version]).await.is_ok());
        store.heal();
    }

    /// One poll reaches the pause before the effect, a second one that after it.
    #[tokio::test]
    async fn a_call_can_be_dropped_before_and_after_its_effect() {
        for (polls, expected) in [(1, 0), (2, 1)] {
            let store = MemoryStore::new();
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
        let store = MemoryStore::new();
        let mut version = version("x");
        store.stage(std::slice::from_ref(&version)).await.unwrap();
        version.password = Arc::new(Password::new("y".to_owned().into()));
        let answer = store.stage(std::slice::from_ref(&version)).await;
        assert!(matches!(answer, Err(StoreError::Unusable(_))));
        store.discard(&version.key).await.unwrap();
        let answer = store.stage(std::slice::from_ref(&version)).await;
        assert!(matches!(answer, Err(StoreError::NotPending(_))));
    }

    #[tokio::test]
    async fn debug_shows_no_password() {
        let store = MemoryStore::new();
        store.stage(&[version("hunter2")]).await.unwrap();
        assert_eq!(format!("{store:?}"), "MemoryStore { .. }");
        assert!(!format!("{:?}", store.calls()).contains("hunter2"));
    }
}
