use std::collections::HashMap;

use rotation_core::{AccountKey, VersionId, VersionKey};

use super::log::Settlement;

/// The pending versions that this handle staged, so that settling them needs no reading.
///
/// An entry leaves when its version is settled or overtaken; a version that is missing here may still be pending, and
/// is looked up in the log. So forgetting is always safe, and only what is under way or unsettled takes memory.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    accounts: HashMap<AccountKey, Vec<Pending>>,
}

#[derive(Debug)]
struct Pending {
    version: VersionId,
    staged: i64,
}

impl InFlight {
    pub(super) fn stage(&mut self, key: &VersionKey, staged: i64) {
        let version = key.version;
        self.accounts
            .entry(key.account.clone())
            .or_default()
            .push(Pending { version, staged });
    }

    /// The seq of the staged row of a version that is certainly pending.
    pub(super) fn staged(&self, key: &VersionKey) -> Option<i64> {
        self.accounts
            .get(&key.account)?
            .iter()
            .find(|pending| pending.version == key.version)
            .map(|pending| pending.staged)
    }

    /// Follows what became of a version of `account`, whoever staged it.
    pub(super) fn settle(&mut self, account: &AccountKey, settlement: Settlement) {
        match settlement {
            Settlement::Committed { staged } => self.retain(account, |at| at > staged),
            Settlement::Discarded { staged } => self.retain(account, |at| at != staged),
        }
    }

    fn retain(&mut self, account: &AccountKey, keep: impl Fn(i64) -> bool) {
        if let Some(pending) = self.accounts.get_mut(account) {
            pending.retain(|pending| keep(pending.staged));
            if pending.is_empty() {
                self.accounts.remove(account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rotation_core::{AccountId, TenantId};

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
        let mut in_flight = InFlight::default();
        for (seq, key) in (1..).zip([&old, &other, &new, &newer]) {
            in_flight.stage(key, seq);
        }
        in_flight.settle(&new.account, Settlement::Committed { staged: 3 });
        let staged = [&old, &new, &newer, &other].map(|key| in_flight.staged(key));
        assert_eq!(staged, [None, None, Some(4), Some(2)]);
    }

    #[test]
    fn settled_accounts_take_no_memory() {
        let (one, two) = (key("a"), key("b"));
        let mut in_flight = InFlight::default();
        in_flight.stage(&one, 1);
        in_flight.stage(&two, 2);
        in_flight.settle(&one.account, Settlement::Committed { staged: 1 });
        in_flight.settle(&two.account, Settlement::Discarded { staged: 2 });
        assert!(in_flight.accounts.is_empty());
    }
}
