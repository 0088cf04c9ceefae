use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{
    AccountKey, Commit, Lease, NewVersion, Password, Problem, RunId, Select, StoreError, Version,
    VersionId, VersionKey, VersionState,
};

/// What the medium of a [`MemoryStore`](super::MemoryStore) holds: the contract of
/// [`SecretStore`](crate::SecretStore), without waiting and failing.
#[derive(Default)]
pub(super) struct Image {
    /// Each account's versions, in the order in which they were staged but for those that a fence moved: previous
    /// ones first, then the current one, then pending ones.
    accounts: BTreeMap<AccountKey, Vec<Held>>,
    /// Every version ever staged, also those that are gone.
    staged: HashMap<VersionId, AccountKey>,
    /// When each lease lapses, or lapsed.
    leases: HashMap<Lease, Instant>,
}

/// A version with its password.
pub(super) struct Held {
    pub(super) version: Version,
    pub(super) password: Arc<Password>,
    /// Its commit met a fence: it will never become current.
    contested: bool,
}

impl Image {
    pub(super) fn lease(
        &mut self,
        lease: &Lease,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), StoreError> {
        if self.leases.contains_key(lease) && self.remaining(lease, now).is_none() {
            return Err(StoreError::LeaseLost(lease.clone()));
        }
        self.leases.insert(lease.clone(), now + ttl);
        Ok(())
    }

    pub(super) fn release(&mut self, lease: &Lease) {
        self.leases.remove(lease);
    }

    /// How long a lease that lives has left.
    fn remaining(&self, lease: &Lease, now: Instant) -> Option<Duration> {
        self.leases
            .get(lease)
            .map(|lapses| lapses.duration_since(now))
            .filter(|left| !left.is_zero())
    }

    pub(super) fn stage(&mut self, new: &NewVersion, now: Instant) -> Result<(), StoreError> {
        let lease = new.lease();
        if self.remaining(&lease, now).is_none() {
            return Err(StoreError::LeaseLost(lease));
        }
        if let Some(account) = self.staged.get(&new.key.version) {
            return self.check_staged(account, new);
        }
        self.check_free(new, now)?;
        let account = new.key.account.clone();
        self.staged.insert(new.key.version, account.clone());
        self.accounts.entry(account).or_default().push(Held {
            version: Version::from(new),
            password: Arc::clone(&new.password),
            contested: false,
        });
        Ok(())
    }

    /// Whether `new` is what was staged under its id before, for `account`.
    fn check_staged(&self, account: &AccountKey, new: &NewVersion) -> Result<(), StoreError> {
        let held = self
            .of(account)
            .iter()
            .find(|held| held.version.key.version == new.key.version)
            .ok_or_else(|| StoreError::NotPending(new.key.clone()))?;
        let same = *account == new.key.account
            && held.version.run == new.run
            && held.password.expose() == new.password.expose();
        if same {
            return Ok(());
        }
        let problem = Problem::new(format!(
            "version {} was staged before, for another account, run or password",
            new.key.version
        ));
        Err(StoreError::Unusable(
            problem.with_fix("make a fresh version for every password"),
        ))
    }

    /// Whether no other run stands in the way of `new`.
    fn check_free(&self, new: &NewVersion, now: Instant) -> Result<(), StoreError> {
        let account = &new.key.account;
        let versions = self.of(account);
        let owner = versions
            .iter()
            .rfind(|held| held.version.state == VersionState::Pending)
            .map(|held| held.version.run);
        if let Some(run) = owner.filter(|run| *run != new.run) {
            let lease = Lease { run, ..new.lease() };
            if let Some(lapses_in) = self.remaining(&lease, now) {
                return Err(StoreError::Leased {
                    account: account.clone(),
                    run,
                    lapses_in,
                });
            }
        }
        let rotated = versions.iter().map(|held| &held.version).rfind(|version| {
            let committed = version.committed.as_ref();
            version.run != new.run && committed.is_some_and(|known| known.at >= new.planned_at)
        });
        match rotated {
            None => Ok(()),
            Some(version) => Err(StoreError::RotatedSince {
                account: account.clone(),
                run: version.run,
            }),
        }
    }

    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let key = &commit.key;
        let not_pending = || StoreError::NotPending(key.clone());
        let versions = self
            .accounts
            .get_mut(&key.account)
            .ok_or_else(not_pending)?;
        let position = find(versions, key).ok_or_else(not_pending)?;
        let (before, rest) = versions.split_at_mut(position);
        let Some((held, after)) = rest.split_first_mut() else {
            return Err(not_pending());
        };
        if held.version.state == VersionState::Current {
            return Ok(());
        }
        if held.version.committed.is_some() {
            return Err(not_pending());
        }
        if held.contested {
            return Err(StoreError::Fenced(key.clone()));
        }
        if is_fenced(held.version.run, after) {
            held.contested = true;
            held.version.state = VersionState::Pending;
            rest.rotate_left(1);
            return Err(StoreError::Fenced(key.clone()));
        }
        if held.version.state == VersionState::Previous {
            return Err(not_pending());
        }
        held.version.state = VersionState::Current;
        held.version.committed = Some(commit.committed.clone());
        for older in before {
            older.version.state = VersionState::Previous;
        }
        Ok(())
    }

    pub(super) fn discard(&mut self, key: &VersionKey) -> Result<(), StoreError> {
        let Some(versions) = self.accounts.get_mut(&key.account) else {
            return Ok(());
        };
        let position = find(versions, key);
        match position.and_then(|at| Some((at, versions.get(at)?.version.state))) {
            None => Ok(()),
            Some((position, VersionState::Pending)) => {
                versions.remove(position);
                Ok(())
            }
            Some((_, VersionState::Current | VersionState::Previous)) => {
                Err(StoreError::NotPending(key.clone()))
            }
        }
    }

    /// How many versions it dropped.
    pub(super) fn prune(&mut self, select: &Select, keep: usize) -> u64 {
        let mut dropped = 0;
        for (account, versions) in &mut self.accounts {
            if !select.names(account, VersionState::Previous) {
                continue;
            }
            let previous = versions
                .iter()
                .take_while(|held| held.version.state == VersionState::Previous)
                .count();
            dropped += versions.drain(..previous.saturating_sub(keep)).len() as u64;
        }
        dropped
    }

    pub(super) fn held<'a>(
        &'a self,
        select: &'a Select,
    ) -> Box<dyn Iterator<Item = &'a Held> + 'a> {
        match select {
            Select::Account(account) => Box::new(self.of(account).iter()),
            Select::Accounts(accounts) => {
                let accounts: BTreeSet<_> = accounts.iter().collect();
                Box::new(accounts.into_iter().flat_map(|account| self.of(account)))
            }
            _ => {
                let all = self.accounts.values().flatten();
                let named = |held: &&Held| {
                    let Version { key, state, .. } = &held.version;
                    select.names(&key.account, *state)
                };
                Box::new(all.filter(named))
            }
        }
    }

    fn of(&self, account: &AccountKey) -> &[Held] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }
}

fn find(versions: &[Held], key: &VersionKey) -> Option<usize> {
    versions.iter().position(|held| held.version.key == *key)
}

/// Whether a version of `run` must not become current before those `after` it.
fn is_fenced(run: RunId, after: &[Held]) -> bool {
    after.iter().any(|held| held.version.run != run)
}
