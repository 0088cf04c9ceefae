use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};

use super::SetFault;
use super::memory_store::pause;
use super::set_fault::When;
use crate::{
    Account, AccountId, AccountQuery, BackendError, Caller, Holdings, Outcome, Password, Problem,
    Refusal, RefusalReason, RoleAssignment, RoleId, RotationBackend, SetPassword, SignIn, TenantId,
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
    /// After how many reads a change time shows.
    lag: usize,
    /// The change times that do not show yet, each with the reads it takes.
    unseen: BTreeMap<AccountId, VecDeque<(Timestamp, usize)>>,
    /// Requests under way.
    late: Vec<SetPassword>,
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
            lag: 0,
            unseen: BTreeMap::new(),
            late: Vec::new(),
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

    /// Lets each later change of a password show in the account's change time only after it was read `reads` times
    /// more: one's own change is seen late, as in a directory that replicates.
    pub fn show_changes_after(&self, reads: usize) {
        self.lock().lag = reads;
    }

    /// Someone else changes the password of `account`.
    pub fn change_elsewhere(&self, account: &AccountId) {
        let mut directory = self.lock();
        let password = format!("changed elsewhere at {}", directory.now);
        directory.change(account, password);
    }

    /// Applies the requests that [`SetFault::applied_late`] left under way, in the order in which they were made.
    pub fn deliver_late(&self) {
        let mut directory = self.lock();
        for request in std::mem::take(&mut directory.late) {
            directory.set(&request);
        }
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
        if !self.accounts.contains_key(&request.account) {
            return refuse(RefusalReason::AccountMissing, "no such account");
        }
        if request.password.expose().len() < 8 {
            return refuse(RefusalReason::Password, "shorter than 8 characters");
        }
        self.change(&request.account, request.password.expose().to_owned());
        Outcome::Applied {
            request_id: Some(format!("request-{}", self.attempts.len())),
            answered_at: Some(self.now),
        }
    }

    fn change(&mut self, account: &AccountId, password: String) {
        let second = SignedDuration::from_secs(1);
        self.now = self.now.saturating_add(second).unwrap_or(self.now);
        let change = (self.now, self.lag);
        let unseen = self.unseen.entry(account.clone()).or_default();
        unseen.push_back(change);
        self.live.insert(account.clone(), password);
    }

    /// One read of `account`, which brings its changes closer to showing.
    fn read(&mut self, id: &AccountId) -> Option<Account> {
        let account = self.accounts.get_mut(id)?;
        let unseen = self.unseen.entry(id.clone()).or_default();
        while let Some((changed, 0)) = unseen.front() {
            account.password_changed = Some(*changed);
            unseen.pop_front();
        }
        for (_, reads) in unseen {
            *reads = reads.saturating_sub(1);
        }
        Some(account.clone())
    }
}

#[async_trait]
impl RotationBackend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        Ok(self.lock().caller.clone())
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let mut directory = self.lock();
        let named = directory.accounts.values();
        let ids: Vec<_> = named
            .filter(|account| query.names(account))
            .map(|account| account.id.clone())
            .collect();
        let accounts: Vec<_> = ids.iter().filter_map(|id| directory.read(id)).collect();
        stream::iter(accounts).map(Ok).boxed()
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
                    match fault.applied {
                        Some(When::AtOnce) => drop(directory.set(request)),
                        Some(When::Late) => directory.late.push(request.clone()),
                        None => {}
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
        pause().await;
        let account = self.lock().read(account);
        pause().await;
        Ok(account.and_then(|account| account.password_changed))
    }

    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        pause().await;
        let right = self
            .live_password(&account.id)
            .is_some_and(|live| live == password.expose());
        pause().await;
        if right { SignIn::Right } else { SignIn::Wrong }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn account() -> AccountId {
        AccountId::new("user-1")
    }

    fn request(password: &str) -> SetPassword {
        SetPassword::new(account(), Password::new(password.to_owned().into()).into())
    }

    #[tokio::test]
    async fn a_change_shows_after_as_many_reads_as_it_lags() {
        let backend = MemoryBackend::with_accounts(1);
        backend.show_changes_after(2);
        backend.set_password(&request("password-1")).await;
        assert_eq!(backend.password_changed(&account()).await.unwrap(), None);
        let listed: Vec<_> = backend
            .accounts(AccountQuery::All)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed[0].password_changed, None);
        let seen = backend.password_changed(&account()).await.unwrap();
        assert_eq!(seen, Some(Timestamp::from_second(1).unwrap()));
    }

    #[tokio::test]
    async fn a_late_request_is_applied_when_it_arrives() {
        let backend = MemoryBackend::with_accounts(1);
        backend.inject(SetFault::applied_late());
        let outcome = backend.set_password(&request("password-1")).await;
        assert!(outcome.is_ambiguous());
        assert_eq!(backend.live_password(&account()), None);
        backend.set_password(&request("password-2")).await;
        backend.deliver_late();
        backend.deliver_late();
        let live = backend.live_password(&account());
        assert_eq!(live.as_deref(), Some("password-1"));
    }

    #[tokio::test]
    async fn a_change_elsewhere_moves_the_change_time_and_the_password() {
        let backend = MemoryBackend::with_accounts(1);
        backend.set_password(&request("password-1")).await;
        let before = backend.password_changed(&account()).await.unwrap();
        backend.change_elsewhere(&account());
        assert!(backend.password_changed(&account()).await.unwrap() > before);
        assert_ne!(
            backend.live_password(&account()).as_deref(),
            Some("password-1")
        );
    }
}
