use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::{
    Account, AccountId, Caller, Capability, Decision, Drift, Due, Planned, Policy, SkipReason,
    Version, VersionState, capability,
};

/// Decides what is to become of each account: a pure function of policy, caller, time and what the store knows of
/// earlier runs.
#[derive(Clone, Debug)]
pub struct Planner {
    policy: Policy,
    caller: Caller,
    now: Timestamp,
    known: Arc<Known>,
}

/// What a store knows of the accounts of one tenant, as far as it decides what is due. Made from its versions.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The accounts with a pending version, each with its user name when that was staged.
    pub(crate) unsettled: HashMap<AccountId, String>,
    /// By a hash of the object id, because there may be a million of them: the latest change time of ours, in milliseconds.
    baselines: HashMap<u64, i64>,
    latest_commit: Option<Timestamp>,
}

impl Known {
    /// Takes note of a version, in whatever order they come.
    pub fn note(&mut self, version: &Version) {
        let account = &version.key.account.account;
        let committed_at = version.committed.as_ref().map(|known| known.at);
        self.latest_commit = self.latest_commit.max(committed_at);
        match version.state {
            VersionState::Pending => {
                self.unsettled
                    .insert(account.clone(), version.user_name.clone());
            }
            VersionState::Current => {
                let committed = version.committed.as_ref();
                if let Some(baseline) = committed.and_then(|known| known.baseline) {
                    self.baselines
                        .insert(hash(account), baseline.as_millisecond());
                }
            }
            VersionState::Previous => {}
        }
    }

    /// The time of a plan made at `now` with what is known. Later than every commit that is known, also than those that
    /// a clock dated into the future: none of them happened since.
    pub(crate) fn planned_at(&self, now: Timestamp) -> Timestamp {
        // the coarsest that a store may keep
        let tick = SignedDuration::from_millis(1);
        let after = self.latest_commit.and_then(|at| at.checked_add(tick).ok());
        after.map_or(now, |after| after.max(now))
    }

    /// When someone else changed the password of `account` after we committed ours; `None` as far as we can tell.
    fn drifted(&self, account: &Account) -> Option<Timestamp> {
        let baseline = *self.baselines.get(&hash(&account.id))?;
        account
            .password_changed
            .filter(|changed| changed.as_millisecond() > baseline)
    }
}

fn hash(account: &AccountId) -> u64 {
    let digest = Sha256::digest(account.as_str());
    let head = digest.iter().take(8);
    head.fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

impl Planner {
    /// A planner for what `caller` is to do by `policy` at `now`.
    #[must_use]
    pub fn new(policy: Policy, caller: Caller, now: Timestamp) -> Self {
        Self {
            policy,
            caller,
            now,
            known: Arc::default(),
        }
    }

    /// Adds what the store knows: accounts with a pending version of an earlier run are due whatever their age, and
    /// drift is told.
    #[must_use]
    pub fn with_known(self, known: Known) -> Self {
        let known = Arc::new(known);
        Self { known, ..self }
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

    /// The same, with what the store knows of the account.
    #[must_use]
    pub fn plan_one(&self, account: Account) -> Planned {
        let mut planned = Planned::new(
            account,
            Decision::Skip {
                why: SkipReason::Gone,
            },
        );
        planned.decision = self.decide(&planned.account);
        planned.unsettled = self.known.unsettled.contains_key(&planned.account.id);
        planned.drifted = self.drifted(&planned.account);
        planned
    }

    /// Decides account by account, as they arrive.
    pub fn plan<E>(
        self,
        accounts: impl Stream<Item = Result<Account, E>>,
    ) -> impl Stream<Item = Result<Planned, E>> {
        accounts.map(move |account| account.map(|account| self.plan_one(account)))
    }

    /// The accounts that an earlier run left unsettled.
    pub(crate) fn unsettled(&self) -> &HashMap<AccountId, String> {
        &self.known.unsettled
    }

    /// The unsettled accounts that `found` lacks: each stands for itself in the plan, so that it is reported.
    pub(crate) fn gone(&self, found: &HashSet<AccountId>) -> Vec<Planned> {
        let gone = self
            .known
            .unsettled
            .iter()
            .filter(|(id, _)| !found.contains(*id));
        gone.map(|(id, user_name)| {
            let account = Account::new(id.clone(), user_name);
            let mut planned = Planned::new(
                account,
                Decision::Skip {
                    why: SkipReason::Gone,
                },
            );
            planned.unsettled = true;
            planned
        })
        .collect()
    }

    fn drifted(&self, account: &Account) -> Option<Timestamp> {
        // a change of an unsettled account is as likely our own
        if self.known.unsettled.contains_key(&account.id) {
            return None;
        }
        match self.policy.drift {
            Drift::Ignore => None,
            Drift::Report | Drift::Rotate => self.known.drifted(account),
        }
    }

    fn due(&self, account: &Account) -> Result<Due, SkipReason> {
        if account.id == self.caller.id {
            return Err(SkipReason::OwnAccount);
        }
        self.policy.selected(account)?;
        if self.known.unsettled.contains_key(&account.id) {
            return Ok(Due::Unsettled);
        }
        if self.policy.drift == Drift::Rotate
            && let Some(changed) = self.drifted(account)
        {
            return Ok(Due::Drifted { changed });
        }
        self.policy.due(account, self.now)
    }
}
