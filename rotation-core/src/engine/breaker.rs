//! Canary and circuit breaker: how far a run may go wrong before it stops by itself.

use crate::{AccountResult, Policy, StopReason};

/// So many accounts may be under way at once before any went well: a full batch.
const UNPROVED: usize = 20;

pub(super) struct Breaker<'a> {
    policy: &'a Policy,
    tried: u64,
    failures: u64,
    in_a_row: u64,
}

impl<'a> Breaker<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            tried: 0,
            failures: 0,
            in_a_row: 0,
        }
    }

    /// How many more accounts may be begun, with `under_way` of them begun and not finished.
    pub(super) fn allows(&self, under_way: usize, most: usize) -> bool {
        let begun = self.tried + under_way as u64;
        let canary_done = self.tried >= self.policy.canary;
        // what is under way when things go wrong fails as a whole: but for the first few never more than twice what went well
        let went_well = self.tried - self.failures;
        let proved = usize::try_from(2 * went_well).unwrap_or(usize::MAX);
        let most = most.min(proved.max(UNPROVED));
        under_way < most && (canary_done || begun < self.policy.canary)
    }

    /// Whether the next account to be begun is one of the first.
    pub(super) fn is_canary(&self, under_way: usize) -> bool {
        self.tried + (under_way as u64) < self.policy.canary
    }

    /// Counts an account that was begun and ended; the reason to stop, if that is one.
    pub(super) fn count(&mut self, ended: &AccountResult) -> Option<StopReason> {
        let problem = match ended {
            AccountResult::Failed { problem } | AccountResult::Unsettled { problem } => problem,
            AccountResult::Rotated { .. } => {
                self.tried += 1;
                self.in_a_row = 0;
                return None;
            }
            AccountResult::LeftToOther { .. } | AccountResult::NotTried => return None,
        };
        self.tried += 1;
        self.failures += 1;
        self.in_a_row += 1;
        let problem = problem.clone();
        if self.tried <= self.policy.canary {
            let canary = self.policy.canary;
            return Some(StopReason::Canary { canary, problem });
        }
        if self.in_a_row > self.policy.max_consecutive_failures {
            let failures = self.in_a_row;
            return Some(StopReason::ConsecutiveFailures { failures, problem });
        }
        let (failures, tried) = (self.failures, self.tried);
        self.policy
            .max_failures
            .exceeded(failures, tried)
            .then_some(StopReason::Failures {
                failures,
                tried,
                problem,
            })
    }
}
