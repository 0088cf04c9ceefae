use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};

use jiff::Timestamp;

use crate::{
    AccountId, AccountKey, BackendError, Decision, PlanTenant, Planned, ReviewedPlan, SkipReason,
    TenantId,
};

/// A stream of decisions on the accounts of one tenant, which [`Engine::run`](crate::Engine::run) executes as they come.
#[must_use = "a plan does nothing until it is run or read"]
pub struct Plan<'a> {
    tenant: PlanTenant,
    planned_at: Timestamp,
    decisions: BoxStream<'a, Result<Planned, BackendError>>,
    reviewed: Option<&'a ReviewedPlan>,
    maxima: Vec<Maximum>,
}

/// No more than so many accounts are rotated.
struct Maximum {
    left: u64,
    /// What is said of the others.
    beyond: SkipReason,
}

impl<'a> Plan<'a> {
    /// A plan for a tenant and its caller, to be run by an engine of that tenant only; made at `planned_at`, before the
    /// first account was read. Whoever makes decisions without a [`Planner`](crate::Planner) answers for them: the engine
    /// does not look at policy and capability again.
    pub fn new(
        tenant: PlanTenant,
        planned_at: Timestamp,
        decisions: impl Stream<Item = Result<Planned, BackendError>> + Send + 'a,
    ) -> Self {
        Self {
            tenant,
            planned_at,
            decisions: decisions.boxed(),
            reviewed: None,
            maxima: Vec::new(),
        }
    }

    /// The same, but nothing is rotated that `reviewed` does not rotate.
    pub fn only(self, reviewed: &'a ReviewedPlan) -> Self {
        Self {
            reviewed: Some(reviewed),
            ..self
        }
    }

    /// The same, but no more than `max` accounts are rotated.
    pub fn at_most(self, max: u64) -> Self {
        self.within(max, SkipReason::BeyondMaximum { max })
    }

    /// The same, but no more than `max` accounts are rotated; the others are skipped because of `beyond`. What a
    /// reviewed plan does not rotate counts to no maximum.
    pub fn within(mut self, max: u64, beyond: SkipReason) -> Self {
        self.maxima.push(Maximum { left: max, beyond });
        self
    }

    /// Why an account that is due keeps its password all the same, if it does.
    fn skips(&mut self, account: &AccountId) -> Option<SkipReason> {
        if let Some(reviewed) = self.reviewed {
            let key = AccountKey {
                tenant: self.tenant.tenant.clone(),
                account: account.clone(),
            };
            if !reviewed.rotates(&key) {
                return Some(SkipReason::NotReviewed);
            }
        }
        if let Some(reached) = self.maxima.iter().find(|maximum| maximum.left == 0) {
            return Some(reached.beyond.clone());
        }
        for maximum in &mut self.maxima {
            maximum.left -= 1;
        }
        None
    }

    /// The tenant's GUID.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant.tenant
    }

    /// The object id of the caller that it was made for.
    #[must_use]
    pub fn caller(&self) -> &AccountId {
        &self.tenant.caller
    }

    /// When it was made.
    #[must_use]
    pub fn planned_at(&self) -> Timestamp {
        self.planned_at
    }
}

impl Stream for Plan<'_> {
    type Item = Result<Planned, BackendError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next = self.decisions.poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(planned))) = &mut next
            && matches!(planned.decision, Decision::Rotate { .. })
            && let Some(why) = self.skips(&planned.account.id)
        {
            planned.decision = Decision::Skip { why };
        }
        next
    }
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::stream;

    use super::*;
    use crate::{Account, Due, RoleId};

    fn plan<'a>(accounts: u32) -> Plan<'a> {
        let tenant = PlanTenant {
            tenant: TenantId::new("11111111-2222-3333-4444-555555555555"),
            caller: AccountId::new("app"),
        };
        let rotate = |number| {
            let account = Account::new(AccountId::new(&format!("a{number}")), "");
            let (due, by) = (Due::NeverChanged, RoleId::USER_ADMINISTRATOR);
            Ok(Planned::new(account, Decision::Rotate { due, by }))
        };
        Plan::new(
            tenant,
            Timestamp::UNIX_EPOCH,
            stream::iter((0..accounts).map(rotate)),
        )
    }

    fn skipped(plan: Plan<'_>) -> Vec<Option<SkipReason>> {
        let why = |planned: Result<Planned, BackendError>| match planned.unwrap().decision {
            Decision::Skip { why } => Some(why),
            _ => None,
        };
        block_on(plan.map(why).collect())
    }

    #[test]
    fn the_smallest_maximum_counts_and_says_which_it_is() {
        let (run, tenant) = (
            SkipReason::BeyondMaximum { max: 2 },
            SkipReason::BeyondTenantMaximum { max: 1 },
        );
        let both = |first: (u64, &SkipReason), second: (u64, &SkipReason)| {
            plan(3)
                .within(first.0, first.1.clone())
                .within(second.0, second.1.clone())
        };
        for plan in [both((2, &run), (1, &tenant)), both((1, &tenant), (2, &run))] {
            let beyond = Some(tenant.clone());
            assert_eq!(skipped(plan), [None, beyond.clone(), beyond]);
        }
        assert_eq!(skipped(plan(2).at_most(2)), [None, None]);
    }
}
