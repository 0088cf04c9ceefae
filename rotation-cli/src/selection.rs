//! Which of the accounts that are due a run takes: those of the reviewed plan, and no more than the maximum.

use futures::{Stream, StreamExt};
use rotation_core::{AccountKey, BackendError, Decision, Planned, ReviewedPlan, TenantId};

use crate::reason::Reasons;

/// What the command line lets a run take.
#[derive(Clone, Debug)]
pub(crate) struct Selection<'a> {
    reviewed: Option<&'a ReviewedPlan>,
    left: Option<u64>,
}

impl<'a> Selection<'a> {
    /// Only what `reviewed` rotates, if there is one, and at most `max` accounts, if there is a maximum.
    pub(crate) fn new(reviewed: Option<&'a ReviewedPlan>, max: Option<u64>) -> Self {
        Self {
            reviewed,
            left: max,
        }
    }

    /// Whether `planned` stays in the plan. One that is left out is counted in `reasons`.
    pub(crate) fn takes(
        &mut self,
        tenant: &TenantId,
        planned: &Planned,
        reasons: &mut Reasons,
    ) -> bool {
        if !matches!(planned.decision, Decision::Rotate { .. }) {
            return true;
        }
        let key = AccountKey {
            tenant: tenant.clone(),
            account: planned.account.id.clone(),
        };
        if self.reviewed.is_some_and(|plan| !plan.rotates(&key)) {
            reasons.add_skip("due, but not in the reviewed plan");
            return false;
        }
        match &mut self.left {
            Some(0) => {
                reasons.add_skip("due, but beyond --max: left for the next run");
                return false;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        true
    }

    /// The plan without what is left out.
    pub(crate) fn narrow<'s>(
        &'s mut self,
        tenant: TenantId,
        plan: impl Stream<Item = Result<Planned, BackendError>> + Send + 's,
        reasons: &'s std::sync::Mutex<Reasons>,
    ) -> impl Stream<Item = Result<Planned, BackendError>> + Send + 's {
        plan.filter(move |planned| {
            let takes = planned.as_ref().map_or(true, |planned| {
                let mut reasons = reasons
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                self.takes(&tenant, planned, &mut reasons)
            });
            std::future::ready(takes)
        })
    }
}

#[cfg(test)]
mod tests {
    use rotation_core::{Account, AccountId, Due, RoleId};

    use super::*;

    fn due(id: &str) -> Planned {
        let decision = Decision::Rotate {
            due: Due::UnknownAge,
            by: RoleId::USER_ADMINISTRATOR,
        };
        Planned::new(
            Account::new(AccountId::new(id), "ada@contoso.com"),
            decision,
        )
    }

    #[test]
    fn takes_no_more_than_the_maximum_and_says_how_many_are_left() {
        let (mut selection, mut reasons) = (Selection::new(None, Some(2)), Reasons::default());
        let tenant = TenantId::new("t");
        let taken = ["1", "2", "3", "4"].map(|id| selection.takes(&tenant, &due(id), &mut reasons));
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(reasons.skip(), 2);
    }
}
