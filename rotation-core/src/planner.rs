use jiff::{SignedDuration, Timestamp};

use crate::{
    Account, Caller, Capability, Decision, Drift, Due, Planned, Policy, SkipReason, Version,
    VersionState, capability,
};

/// Decides what is to become of each account: a pure function of policy, caller, time and what the store knows of
/// earlier runs.
#[derive(Clone, Debug)]
pub struct Planner {
    policy: Policy,
    caller: Caller,
    now: Timestamp,
}

/// What a store knows of one account, as far as it decides whether that is due. Made from its versions.
#[derive(Clone, Debug, Default)]
pub struct Known {
    unsettled: bool,
    /// The latest change time of ours.
    baseline: Option<Timestamp>,
    latest_commit: Option<Timestamp>,
}

impl Known {
    /// Takes note of one of the account's versions, in whatever order they come.
    pub fn note(&mut self, version: &Version) {
        let committed = version.committed.as_ref();
        self.latest_commit = self.latest_commit.max(committed.map(|known| known.at));
        match version.state {
            VersionState::Pending => self.unsettled = true,
            VersionState::Current => self.baseline = committed.and_then(|known| known.baseline),
            VersionState::Previous => {}
        }
    }

    /// The same, but unsettled only if it was so when the plan began: what was staged since is the work of a run that
    /// lives. It hides drift all the same.
    pub(crate) fn since(self, unsettled: bool) -> Self {
        Self {
            unsettled,
            baseline: self.baseline.filter(|_| !self.unsettled),
            ..self
        }
    }

    /// When someone else changed the password of `account` after we committed ours; `None` as far as we can tell.
    fn drifted(&self, account: &Account) -> Option<Timestamp> {
        let baseline = self.baseline?;
        account
            .password_changed
            // a change of an unsettled account is as likely our own
            .filter(|_| !self.unsettled)
            // a store need not keep more than milliseconds
            .filter(|changed| changed.as_millisecond() > baseline.as_millisecond())
    }

    /// When an account was planned of which this was known at `now`: just after its latest commit, if a clock that was
    /// ahead dated that into the future, for it did not happen since; `None` stands for the time of the plan itself.
    fn planned_at(&self, now: Timestamp) -> Option<Timestamp> {
        // the coarsest that a store may keep
        let tick = SignedDuration::from_millis(1);
        let ahead = self.latest_commit.filter(|at| *at > now)?;
        ahead.checked_add(tick).ok()
    }
}

impl Planner {
    /// A planner for what `caller` is to do by `policy` at `now`.
    #[must_use]
    pub fn new(policy: Policy, caller: Caller, now: Timestamp) -> Self {
        Self {
            policy,
            caller,
            now,
        }
    }

    /// What is to become of `account`, of which the store knows `known`: one with a pending version of an earlier run is
    /// due whatever its age, and so is one that drifted, if the policy says so.
    #[must_use]
    pub fn decide(&self, account: &Account, known: &Known) -> Decision {
        match self.due(account, known) {
            Err(why) => Decision::Skip { why },
            Ok(due) => match capability(&self.caller, account, self.policy.rules) {
                Capability::Allowed { by } => Decision::Rotate { due, by },
                Capability::Denied { because } => Decision::Deny { because },
            },
        }
    }

    /// The same as part of a plan, with what was known at `now`.
    pub(crate) fn plan(&self, account: Account, known: &Known, now: Timestamp) -> Planned {
        let decision = self.decide(&account, known);
        let drifted = self.drifted(&account, known);
        Planned {
            unsettled: known.unsettled,
            drifted,
            planned_at: known.planned_at(now),
            ..Planned::new(account, decision)
        }
    }

    fn drifted(&self, account: &Account, known: &Known) -> Option<Timestamp> {
        match self.policy.drift {
            Drift::Ignore => None,
            Drift::Report | Drift::Rotate => known.drifted(account),
        }
    }

    fn due(&self, account: &Account, known: &Known) -> Result<Due, SkipReason> {
        if account.id == self.caller.id {
            return Err(SkipReason::OwnAccount);
        }
        self.policy.selected(account)?;
        if known.unsettled {
            return Ok(Due::Unsettled);
        }
        if self.policy.drift == Drift::Rotate
            && let Some(changed) = self.drifted(account, known)
        {
            return Ok(Due::Drifted { changed });
        }
        self.policy.due(account, self.now)
    }
}
