use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};

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
        }
    }

    /// The same, but nothing is rotated that `reviewed` does not rotate.
    pub fn only(self, reviewed: &'a ReviewedPlan) -> Self {
        let tenant = self.tenant().clone();
        self.unless(move |account| {
            let key = AccountKey {
                tenant: tenant.clone(),
                account: account.clone(),
            };
            (!reviewed.rotates(&key)).then_some(SkipReason::NotReviewed)
        })
    }

    /// The same, but no more than `max` accounts are rotated.
    pub fn at_most(self, max: u64) -> Self {
        let mut rotations = 0;
        self.unless(move |_| {
            rotations += 1;
            (rotations > max).then_some(SkipReason::BeyondMaximum { max })
        })
    }

    /// Skips the accounts that would be rotated and for which `skip` has a reason.
    fn unless(self, mut skip: impl FnMut(&AccountId) -> Option<SkipReason> + Send + 'a) -> Self {
        let decisions = self.decisions.map_ok(move |mut planned| {
            if matches!(planned.decision, Decision::Rotate { .. })
                && let Some(why) = skip(&planned.account.id)
            {
                planned.decision = Decision::Skip { why };
            }
            planned
        });
        Self {
            decisions: decisions.boxed(),
            ..self
        }
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
        self.decisions.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
