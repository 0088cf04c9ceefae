//! Which accounts a run takes: all that are due or only the unsettled ones, of them those of the reviewed plan, and no
//! more than the maximum.

use rotation_core::{AccountQuery, Caller, Engine, Plan, ReviewedPlan, StoreError};

/// What the command line lets a run take, over all tenants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    /// Only what earlier runs left unsettled.
    unsettled: bool,
    reviewed: Option<&'a ReviewedPlan>,
    room: Option<u64>,
}

impl<'a> Selection<'a> {
    /// What is due: only what `reviewed` rotates, if there is one, and at most `max` accounts, if there is a maximum.
    pub(crate) fn due(reviewed: Option<&'a ReviewedPlan>, max: Option<u64>) -> Self {
        Self {
            unsettled: false,
            reviewed,
            room: max,
        }
    }

    /// What earlier runs left unsettled.
    pub(crate) fn unsettled() -> Self {
        Self {
            unsettled: true,
            reviewed: None,
            room: None,
        }
    }

    /// The next tenant's plan, in which nothing else is rotated.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) async fn plan<'p>(
        &self,
        engine: &'p Engine,
        caller: Caller,
        query: AccountQuery,
    ) -> Result<Plan<'p>, StoreError>
    where
        'a: 'p,
    {
        let mut plan = if self.unsettled {
            engine.plan_unsettled_as(caller, query).await?
        } else {
            engine.plan_as(caller, query).await?
        };
        if let Some(reviewed) = self.reviewed {
            plan = plan.only(reviewed);
        }
        if let Some(room) = self.room {
            plan = plan.at_most(room);
        }
        Ok(plan)
    }

    /// So many accounts of that tenant were taken.
    pub(crate) fn took(&mut self, accounts: u64) {
        if let Some(room) = &mut self.room {
            *room = room.saturating_sub(accounts);
        }
    }
}
