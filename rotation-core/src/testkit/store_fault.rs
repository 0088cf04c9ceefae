use crate::{AccountKey, StoreError, VersionKey};

/// What a store can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOp {
    /// [`SecretStore::commit`](crate::SecretStore::commit).
    Commit,
    /// [`SecretStore::discard`](crate::SecretStore::discard).
    Discard,
    /// [`SecretStore::versions`](crate::SecretStore::versions) and [`SecretReader::reveal`](crate::SecretReader::reveal).
    Read,
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
/// ```
#[derive(Clone, Debug)]
pub struct StoreFault {
    op: StoreOp,
    account: Option<AccountKey>,
    skip: usize,
    times: Option<usize>,
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
            takes_effect: false,
            error: None,
        }
    }

    /// Counts only calls that name a version of `account`. Reads name none.
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

    /// Answers `error` instead of [`StoreError::Unavailable`].
    #[must_use]
    pub fn with_error(self, error: StoreError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// Whether this call fails; counts it if so.
    pub(super) fn strikes(&mut self, op: StoreOp, versions: &[VersionKey]) -> bool {
        let meant = self.op == op
            && self
                .account
                .as_ref()
                .is_none_or(|account| versions.iter().any(|key| key.account == *account));
        if !meant || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }

    pub(super) fn takes_effect(&self) -> bool {
        self.takes_effect
    }

    pub(super) fn error(&self) -> Option<StoreError> {
        self.error.clone()
    }
}
