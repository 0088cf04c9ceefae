use std::collections::HashMap;

use rotation_core::{AccountKey, RunId, TenantId, VersionId, VersionKey};

use super::history::{Entry, History, Standing};
use super::log::Settlement;

/// Every pending version of every run, so that most questions need no reading. Takes memory for what is pending alone.
#[derive(Debug, Default)]
pub(super) struct Pending {
    accounts: HashMap<AccountKey, History<VersionId>>,
}

impl Pending {
    pub(super) fn stage(&mut self, key: &VersionKey, run: RunId, seq: i64) {
        self.accounts
            .entry(key.account.clone())
            .or_default()
            .stage(seq, run, key.version);
    }

    /// The version is pending again, if it was not still, as the newest of its account.
    pub(super) fn contest(&mut self, key: &VersionKey, run: RunId, staged: i64, seq: i64) {
        let history = self.accounts.entry(key.account.clone()).or_default();
        if history.standing(staged).is_none() {
            history.stage(staged, run, key.version);
        }
        history.settle(seq, Settlement::Contested { staged });
    }

    /// Follows what became of a version of `account`, and says whether it was pending; if not, the row that says so has
    /// no place in a sound log.
    pub(super) fn settle(
        &mut self,
        account: &AccountKey,
        seq: i64,
        settlement: Settlement,
    ) -> bool {
        let Some(history) = self.accounts.get_mut(account) else {
            return false;
        };
        let was_pending = history.settle(seq, settlement);
        history.retain_pending();
        if history.entries().is_empty() {
            self.accounts.remove(account);
        }
        was_pending
    }

    /// `None` if the version is not pending.
    pub(super) fn standing(&self, key: &VersionKey) -> Option<Standing> {
        let history = self.accounts.get(&key.account)?;
        let entry = history
            .entries()
            .iter()
            .find(|entry| entry.item == key.version)?;
        history.standing(entry.staged)
    }

    /// The run of the newest pending version of `account`.
    pub(super) fn holder(&self, account: &AccountKey) -> Option<RunId> {
        let newest = self.accounts.get(account)?.entries().last()?;
        Some(newest.run)
    }

    /// The pending versions of `tenant`, account by account.
    pub(super) fn into_entries(self, tenant: &TenantId) -> impl Iterator<Item = Entry<VersionId>> {
        let mut accounts: Vec<_> = self.accounts.into_iter().collect();
        accounts.retain(|(account, _)| account.tenant == *tenant);
        accounts.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        accounts
            .into_iter()
            .flat_map(|(_, history)| history.into_entries())
    }
}

#[cfg(test)]
mod tests {
    use rotation_core::AccountId;

    use super::*;

    fn key(account: &str) -> VersionKey {
        VersionKey {
            account: AccountKey {
                tenant: TenantId::new("t"),
                account: AccountId::new(account),
            },
            version: VersionId::new(),
        }
    }

    #[test]
    fn a_commit_settles_what_was_staged_before_it_and_nothing_else() {
        let (old, new, newer, other) = (key("a"), key("a"), key("a"), key("b"));
        let run = RunId::new();
        let mut pending = Pending::default();
        for (seq, key) in (1..).zip([&old, &other, &new, &newer]) {
            pending.stage(key, run, seq);
        }
        pending.settle(&new.account, 5, Settlement::Committed { staged: 3 });
        let staged = [&old, &new, &newer, &other]
            .map(|key| pending.standing(key).map(|standing| standing.staged));
        assert_eq!(staged, [None, None, Some(4), Some(2)]);
    }

    #[test]
    fn settled_accounts_take_no_memory() {
        let (one, two, run) = (key("a"), key("b"), RunId::new());
        let mut pending = Pending::default();
        pending.stage(&one, run, 1);
        pending.stage(&two, run, 2);
        pending.settle(&one.account, 3, Settlement::Committed { staged: 1 });
        pending.settle(&two.account, 4, Settlement::Discarded { staged: 2 });
        assert!(pending.accounts.is_empty());
    }

    #[test]
    fn a_contested_version_is_pending_again_and_holds_its_account() {
        let (old, new) = (key("a"), key("a"));
        let (run, other) = (RunId::new(), RunId::new());
        let mut pending = Pending::default();
        pending.stage(&old, run, 1);
        pending.stage(&new, other, 2);
        pending.settle(&new.account, 3, Settlement::Committed { staged: 2 });
        assert_eq!(pending.holder(&old.account), None);
        pending.contest(&old, run, 1, 4);
        assert_eq!(pending.holder(&old.account), Some(run));
        assert_eq!(pending.standing(&old).unwrap().staged, 1);
    }
}
