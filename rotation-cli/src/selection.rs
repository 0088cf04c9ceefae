//! Which accounts a run takes: all that are due or only the unsettled ones, of them those of the reviewed plan, and no
//! more than the maximum.

use rotation_core::{AccountQuery, Caller, Engine, Plan, ReviewedPlan, SkipReason, StoreError};

/// What the command line lets a run take, over all tenants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    /// Only what earlier runs left unsettled.
    unsettled: bool,
    reviewed: Option<&'a ReviewedPlan>,
    max: Option<u64>,
}

impl<'a> Selection<'a> {
    /// What is due: only what `reviewed` rotates, if there is one, and at most `max` accounts, if there is a maximum.
    pub(crate) fn due(reviewed: Option<&'a ReviewedPlan>, max: Option<u64>) -> Self {
        Self {
            unsettled: false,
            reviewed,
            max,
        }
    }

    /// What earlier runs left unsettled.
    pub(crate) fn unsettled() -> Self {
        Self {
            unsettled: true,
            reviewed: None,
            max: None,
        }
    }

    /// One tenant's plan, in which nothing else is rotated, whatever the other tenants take.
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
        Ok(plan)
    }

    /// `plan` with no more accounts rotated than are this tenant's part of the maximum.
    pub(crate) fn part<'p>(&self, plan: Plan<'p>, part: u64) -> Plan<'p> {
        match self.max {
            Some(max) => plan.within(part, SkipReason::BeyondMaximum { max }),
            None => plan,
        }
    }

    /// How many of `due` accounts of the next tenant are its part of the maximum, with `taken` of it taken before.
    pub(crate) fn part_of(&self, due: u64, taken: u64) -> u64 {
        match self.max {
            Some(max) => due.min(max.saturating_sub(taken)),
            None => due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_is_shared_out_to_the_last_account() {
        let parts = |max, due: &[u64]| {
            let selection = Selection::due(None, max);
            let share = |taken: &mut u64, due: &u64| {
                let part = selection.part_of(*due, *taken);
                *taken += part;
                Some(part)
            };
            due.iter().scan(0, share).collect::<Vec<_>>()
        };
        assert_eq!(parts(None, &[3, 0, 5]), [3, 0, 5]);
        assert_eq!(parts(Some(0), &[3, 0, 5]), [0, 0, 0]);
        assert_eq!(parts(Some(4), &[3, 0, 5]), [3, 0, 1]);
        assert_eq!(parts(Some(100), &[3, 0, 5]), [3, 0, 5]);
    }
}
