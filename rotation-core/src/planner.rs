use std::collections::HashSet;

use futures::{Stream, StreamExt};
use jiff::Timestamp;

use crate::{
    Account, AccountId, Caller, Capability, Decision, Due, Planned, Policy, SkipReason, capability,
};

/// Decides what is to become of each account: a pure function of policy, caller, time and the accounts that earlier
/// runs left unsettled.
#[derive(Clone, Debug)]
pub struct Planner {
    policy: Policy,
    caller: Caller,
    now: Timestamp,
    unsettled: HashSet<AccountId>,
}

impl Planner {
    /// A planner for what `caller` is to do by `policy` at `now`.
    #[must_use]
    pub fn new(policy: Policy, caller: Caller, now: Timestamp) -> Self {
        Self {
            policy,
            caller,
            now,
            unsettled: HashSet::new(),
        }
    }

    /// Adds the accounts with a pending version of an earlier run. They are due whatever their age.
    #[must_use]
    pub fn with_unsettled(self, unsettled: HashSet<AccountId>) -> Self {
        Self { unsettled, ..self }
    }

    /// What is to become of `account`.
    #[must_use]
    pub fn decide(&self, account: &Account) -> Decision {
        match self.due(account) {
            Err(why) => Decision::Skip { why },
            Ok(due) => match capability(&self.caller, account, self.policy.rules) {
                Capability::Allowed { by } => Decision::Rotate { due, by },
                Capability::Denied { because } => Decision::Deny { because },
            },
        }
    }

    /// Decides account by account, as they arrive.
    pub fn plan<E>(
        self,
        accounts: impl Stream<Item = Result<Account, E>>,
    ) -> impl Stream<Item = Result<Planned, E>> {
        accounts.map(move |account| {
            account.map(|account| Planned {
                decision: self.decide(&account),
                account,
            })
        })
    }

    fn due(&self, account: &Account) -> Result<Due, SkipReason> {
        if account.id == self.caller.id {
            return Err(SkipReason::OwnAccount);
        }
        self.policy.selected(account)?;
        if self.unsettled.contains(&account.id) {
            return Ok(Due::Unsettled);
        }
        self.policy.due(account, self.now)
    }
}
