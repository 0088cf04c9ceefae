use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};

use super::SetFault;
use super::memory_store::pause;
use crate::{
    Account, AccountId, AccountQuery, BackendError, Caller, Holdings, Outcome, Problem, Refusal,
    RefusalReason, RoleAssignment, RoleId, RotationBackend, SetPassword, TenantId,
};

/// A directory in memory, which fails when told to. Clones share it.
///
/// It accepts any password of eight characters or more, from any caller; the one it tells of is Global Administrator. Each change moves the
/// account's change time by a second on a clock of its own.
#[derive(Clone)]
pub struct MemoryBackend(Arc<Mutex<Directory>>);

struct Directory {
    caller: Caller,
    accounts: BTreeMap<AccountId, Account>,
    live: BTreeMap<AccountId, String>,
    now: Timestamp,
    faults: Vec<SetFault>,
    max_batch: usize,
    attempts: Vec<AccountId>,
}

impl MemoryBackend {
    /// A tenant without accounts.
    #[must_use]
    pub fn new() -> Self {
        let mut caller = Caller::app_only(TenantId::new("memory"), AccountId::new("caller"));
        caller.permissions = BTreeSet::from(["User-PasswordProfile.ReadWrite.All".to_owned()]);
        caller
            .roles
            .push(RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR));
        Self(Arc::new(Mutex::new(Directory {
            caller,
            accounts: BTreeMap::new(),
            live: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
            faults: Vec::new(),
            max_batch: 1,
            attempts: Vec::new(),
        })))
    }

    /// A tenant with ordinary accounts `user-1` to `user-<count>`, whose age it does not tell.
    #[must_use]
    pub fn with_accounts(count: usize) -> Self {
        let backend = Self::new();
        for number in 1..=count {
            let id = AccountId::new(&format!("user-{number}"));
            let account = Account::new(id, format!("user-{number}@memory.test"));
            backend.add(account.holding(Holdings::default()));
        }
        backend
    }

    /// Adds an account, or replaces the one with its id.
    pub fn add(&self, account: Account) {
        self.lock().accounts.insert(account.id.clone(), account);
    }

    /// Makes calls act as `caller`.
    pub fn act_as(&self, caller: Caller) {
        self.lock().caller = caller;
    }

    /// Takes up to `max_batch` passwords in one call.
    pub fn accept_batches_of(&self, max_batch: usize) {
        self.lock().max_batch = max_batch;
    }

    /// Makes calls fail; faults given earlier strike first.
    pub fn inject(&self, fault: SetFault) {
        self.lock().faults.push(fault);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The password that signs `account` in, once one was set.
    #[must_use]
    pub fn live_password(&self, account: &AccountId) -> Option<String> {
        self.lock().live.get(account).cloned()
    }

    /// The accounts of every attempt so far, in order.
    #[must_use]
    pub fn attempts(&self) -> Vec<AccountId> {
        self.lock().attempts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl Directory {
    fn set(&mut self, request: &SetPassword) -> Outcome {
        let refuse =
            |reason, message: &str| Outcome::Refused(Refusal::new(reason, Problem::new(message)));
        let Some(account) = self.accounts.get_mut(&request.account) else {
            return refuse(RefusalReason::AccountMissing, "no such account");
        };
        if request.password.expose().len() < 8 {
            return refuse(RefusalReason::Password, "shorter than 8 characters");
        }
        self.now = self
            .now
            .saturating_add(SignedDuration::from_secs(1))
            .unwrap_or(self.now);
        account.password_changed = Some(self.now);
        self.live.insert(
            request.account.clone(),
            request.password.expose().to_owned(),
        );
        Outcome::Applied { request_id: None }
    }
}

#[async_trait]
impl RotationBackend for MemoryBackend {
    async fn caller(&self) -> Result<Caller, BackendError> {
        Ok(self.lock().caller.clone())
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let directory = self.lock();
        let named = directory
            .accounts
            .values()
            .filter(|account| query.names(account));
        let accounts: Vec<_> = named.cloned().map(Ok).collect();
        stream::iter(accounts).boxed()
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        // a real request can be dropped before it leaves and before its answer arrives
        pause().await;
        let (outcome, hangs) = {
            let mut directory = self.lock();
            directory.attempts.push(request.account.clone());
            match directory
                .faults
                .iter_mut()
                .find_map(|fault| fault.strike(&request.account))
            {
                None => (directory.set(request), false),
                Some(fault) => {
                    if fault.applied {
                        directory.set(request);
                    }
                    (fault.outcome, fault.hangs)
                }
            }
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        pause().await;
        outcome
    }

    fn max_batch(&self) -> usize {
        self.lock().max_batch
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        Ok(self
            .lock()
            .accounts
            .get(account)
            .and_then(|account| account.password_changed))
    }
}
