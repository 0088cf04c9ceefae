use serde::Serialize;

use crate::{AccountId, AccountResult, Problem, RunId, StopReason};

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The run.
    pub run_id: RunId,
    /// Accounts with a new password, live and current in the store.
    pub rotated: u64,
    /// Accounts that keep their password by policy.
    pub skipped: u64,
    /// Accounts that were due, but may not be rotated by this caller.
    pub denied: u64,
    /// Accounts that keep their password because the directory refused or could not be reached.
    pub failed: u64,
    /// Accounts of which it is not known which version is live; the store has all of them.
    pub unsettled: u64,
    /// Accounts that were left to another run at work on the same store.
    pub left_to_others: u64,
    /// Accounts whose password someone else changed since we committed ours.
    pub drifted: u64,
    /// Accounts that were to be rotated, but whose turn had not come when the run stopped.
    pub not_tried: u64,
    /// How long it took.
    pub seconds: f64,
    /// How often a password was sent.
    pub requests: u64,
    /// How often the directory asked to come back later.
    pub throttled: u64,
    /// Why it ended early, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
    /// The first [`Report::MOST_PROBLEMS`] accounts that failed or stayed unsettled; the events have all.
    pub problems: Vec<AccountProblem>,
}

/// What happened to an account that was not rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AccountProblem {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub upn: String,
    /// Whether it is unsettled rather than failed.
    pub unsettled: bool,
    /// What happened.
    #[serde(flatten)]
    pub problem: Problem,
}

impl Report {
    /// A report lists no more problems than a person reads, so that it stays small however many accounts there are.
    pub const MOST_PROBLEMS: usize = 100;

    pub(crate) fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            rotated: 0,
            skipped: 0,
            denied: 0,
            failed: 0,
            unsettled: 0,
            left_to_others: 0,
            drifted: 0,
            not_tried: 0,
            seconds: 0.0,
            requests: 0,
            throttled: 0,
            stopped: None,
            problems: Vec::new(),
        }
    }

    /// How many accounts were tried, or were left unsettled by an earlier run.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.rotated + self.failures()
    }

    /// How many accounts failed or stayed unsettled.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed + self.unsettled
    }

    /// Whether everything wanted was done, by this run or by others that it left accounts to.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures() == 0 && self.denied == 0 && self.not_tried == 0 && self.stopped.is_none()
    }

    pub(crate) fn record(&mut self, account: &AccountId, upn: &str, result: &AccountResult) {
        let (unsettled, problem) = match result {
            AccountResult::Rotated { .. } => {
                self.rotated += 1;
                return;
            }
            AccountResult::LeftToOther { .. } => {
                self.left_to_others += 1;
                return;
            }
            AccountResult::NotTried => {
                self.not_tried += 1;
                return;
            }
            AccountResult::Failed { problem } => (false, problem),
            AccountResult::Unsettled { problem } => (true, problem),
        };
        let count = if unsettled {
            &mut self.unsettled
        } else {
            &mut self.failed
        };
        *count += 1;
        if self.problems.len() < Self::MOST_PROBLEMS {
            let (account, upn, problem) = (account.clone(), upn.to_owned(), problem.clone());
            self.problems.push(AccountProblem {
                account,
                upn,
                unsettled,
                problem,
            });
        }
    }
}
