//! Canary and circuit breaker: how far a run may go wrong before it stops by itself.

use crate::{AccountResult, Policy, Report, StopReason};

pub(super) struct Breaker<'a>(&'a Policy);

impl<'a> Breaker<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self(policy)
    }

    /// How many more accounts may be begun, with `under_way` of them begun and not finished.
    pub(super) fn allows(&self, report: &Report, under_way: usize, most: usize) -> bool {
        let begun = report.tried() + under_way as u64;
        let canary_done = report.tried() >= self.0.canary;
        under_way < most && (canary_done || begun < self.0.canary)
    }

    /// Whether the run must stop now that `last` is in `report`.
    pub(super) fn trips(&self, report: &Report, last: &AccountResult) -> Option<StopReason> {
        let (AccountResult::Failed { problem } | AccountResult::Unsettled { problem }) = last
        else {
            return None;
        };
        let (failures, tried, problem) = (report.failures(), report.tried(), problem.clone());
        if tried <= self.0.canary {
            return Some(StopReason::Canary {
                canary: self.0.canary,
                problem,
            });
        }
        self.0
            .max_failures
            .exceeded(failures, tried)
            .then_some(StopReason::Failures {
                failures,
                tried,
                problem,
            })
    }
}
