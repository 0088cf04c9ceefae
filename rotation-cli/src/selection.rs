//! Which of the accounts that are due a run takes: those of the reviewed plan, and no more than the maximum.

use futures::{Stream, StreamExt};
use rotation_core::{AccountKey, BackendError, Decision, Planned, ReviewedPlan, TenantId};

use crate::reason::Reasons;

/// What the command line lets a run take.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    reviewed: Option<&'a ReviewedPlan>,
    room: Option<u64>,
    left_out: Reasons,
}

impl<'a> Selection<'a> {
    /// Only what `reviewed` rotates, if there is one, and at most `max` accounts, if there is a maximum.
    pub(crate) fn new(reviewed: Option<&'a ReviewedPlan>, max: Option<u64>) -> Self {
        Self {
            reviewed,
            room: max,
            left_out: Reasons::default(),
        }
    }

    /// Whether `planned` stays in the plan.
    pub(crate) fn takes(&mut self, tenant: &TenantId, planned: &Planned) -> bool {
        if !matches!(planned.decision, Decision::Rotate { .. }) {
            return true;
        }
        let key = AccountKey {
            tenant: tenant.clone(),
            account: planned.account.id.clone(),
        };
        if self.reviewed.is_some_and(|plan| !plan.rotates(&key)) {
            self.left_out.add_skip("due, but not in the reviewed plan");
            return false;
        }
        match &mut self.room {
            Some(0) => {
                self.left_out
                    .add_skip("due, but beyond --max: left for the next run");
                return false;
            }
            Some(room) => *room -= 1,
            None => {}
        }
        true
    }

    /// The plan without what is left out.
    pub(crate) fn narrow<'s>(
        &'s mut self,
        tenant: TenantId,
        plan: impl Stream<Item = Result<Planned, BackendError>> + Send + 's,
    ) -> impl Stream<Item = Result<Planned, BackendError>> + Send + 's {
        plan.filter(move |planned| {
            let takes = planned
                .as_ref()
                .map_or(true, |planned| self.takes(&tenant, planned));
            std::future::ready(takes)
        })
    }

    /// What was left out since the last call, and why.
    pub(crate) fn take_left_out(&mut self) -> Reasons {
        std::mem::take(&mut self.left_out)
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
        let mut selection = Selection::new(None, Some(2));
        let tenant = TenantId::new("t");
        let taken = ["1", "2", "3", "4"].map(|id| selection.takes(&tenant, &due(id)));
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(selection.take_left_out().skip(), 2);
        assert_eq!(selection.take_left_out().skip(), 0);
    }
}
