use std::time::Duration;

use crate::{AccountKey, Problem, StoreError, VersionKey};

/// What a store can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOp {
    /// [`SecretStore::commit`](crate::SecretStore::commit).
    Commit,
    /// [`SecretStore::discard`](crate::SecretStore::discard).
    Discard,
    /// [`SecretStore::lease`](crate::SecretStore::lease).
    Lease,
    /// [`SecretStore::prune`](crate::SecretStore::prune).
    Prune,
    /// [`SecretStore::versions`](crate::SecretStore::versions) and [`SecretReader::reveal`](crate::SecretReader::reveal).
    Read,
    /// [`SecretStore::release`](crate::SecretStore::release).
    Release,
    /// [`SecretStore::stage`](crate::SecretStore::stage).
    Stage,
}

/// Which calls of a [`MemoryStore`](super::MemoryStore) fail, and how.
///
/// Without further words: the next call, which answers [`StoreError::Unavailable`] and changes nothing.
///
/// ```
/// use rotation_core::testkit::{MemoryStore, StoreFault, StoreOp};
///
/// let store = MemoryStore::new();
/// // The third commit from now on is durable, but its answer is lost.
/// store.inject(StoreFault::on(StoreOp::Commit).skip(2).answer_lost());
/// // Nothing can be staged any more.
/// store.inject(StoreFault::on(StoreOp::Stage).forever());
/// // Every read takes a second, and then succeeds.
/// let second = std::time::Duration::from_secs(1);
/// store.inject(StoreFault::on(StoreOp::Read).delayed(second).forever());
/// ```
#[derive(Clone, Debug)]
pub struct StoreFault {
    op: StoreOp,
    account: Option<AccountKey>,
    skip: usize,
    times: Option<usize>,
    delay: Option<Duration>,
    takes_effect: bool,
    error: Option<StoreError>,
}

impl StoreFault {
    /// The next `op` fails.
    #[must_use]
    pub fn on(op: StoreOp) -> Self {
        Self {
            op,
            account: None,
            skip: 0,
            times: Some(1),
            delay: None,
            takes_effect: false,
            error: None,
        }
    }

    /// Counts only calls that name a version of `account`. Reads, leases and prunes name none.
    #[must_use]
    pub fn for_account(self, account: AccountKey) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    /// Spares the first `calls` that it would strike.
    #[must_use]
    pub fn skip(self, calls: usize) -> Self {
        Self {
            skip: calls,
            ..self
        }
    }

    /// Strikes `calls` calls in a row.
    #[must_use]
    pub fn times(self, calls: usize) -> Self {
        Self {
            times: Some(calls),
            ..self
        }
    }

    /// Strikes every call from then on.
    #[must_use]
    pub fn forever(self) -> Self {
        Self {
            times: None,
            ..self
        }
    }

    /// The call takes effect all the same: only its answer is lost.
    #[must_use]
    pub fn answer_lost(self) -> Self {
        Self {
            takes_effect: true,
            ..self
        }
    }

    /// The call takes `time` first. It then does as asked, unless [`answer_lost`](Self::answer_lost) or
    /// [`with_error`](Self::with_error) says otherwise.
    #[must_use]
    pub fn delayed(self, time: Duration) -> Self {
        Self {
            delay: Some(time),
            ..self
        }
    }

    /// Answers `error` instead of [`StoreError::Unavailable`].
    #[must_use]
    pub fn with_error(self, error: StoreError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// What this call meets; counts it if it is meant.
    pub(super) fn strike(&mut self, op: StoreOp, versions: &[VersionKey]) -> Option<Struck> {
        let meant = self.op == op
            && self
                .account
                .as_ref()
                .is_none_or(|account| versions.iter().any(|key| key.account == *account));
        if !meant || self.times == Some(0) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        let only_slow = self.delay.is_some() && !self.takes_effect && self.error.is_none();
        let error = self.error.clone().unwrap_or(StoreError::Unavailable {
            problem: Problem::new(format!("the test made {op:?} fail")),
            source: None,
        });
        Some(Struck {
            delay: self.delay,
            takes_effect: self.takes_effect,
            error: (!only_slow).then_some(error),
        })
    }
}

/// What one call meets: by default, nothing.
#[derive(Default)]
pub(super) struct Struck {
    delay: Option<Duration>,
    takes_effect: bool,
    error: Option<StoreError>,
}

impl Struck {
    pub(super) async fn wait(&self) {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
    }

    /// Fails if the call is not to take effect.
    pub(super) fn before(&self) -> Result<(), StoreError> {
        match &self.error {
            Some(error) if !self.takes_effect => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Fails if the call's answer is to be lost.
    pub(super) fn after(&self) -> Result<(), StoreError> {
        self.error.clone().map_or(Ok(()), Err)
    }
}
