//! Which of the accounts that are due a run takes: those of the reviewed plan, and no more than the maximum.

use rotation_core::{Plan, ReviewedPlan};

/// What the command line lets a run take, over all tenants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    reviewed: Option<&'a ReviewedPlan>,
    room: Option<u64>,
}

impl<'a> Selection<'a> {
    /// Only what `reviewed` rotates, if there is one, and at most `max` accounts, if there is a maximum.
    pub(crate) fn new(reviewed: Option<&'a ReviewedPlan>, max: Option<u64>) -> Self {
        Self {
            reviewed,
            room: max,
        }
    }

    /// The next tenant's plan, in which nothing else is rotated.
    pub(crate) fn narrow<'p>(&self, plan: Plan<'p>) -> Plan<'p>
    where
        'a: 'p,
    {
        let plan = match self.reviewed {
            Some(reviewed) => plan.only(reviewed),
            None => plan,
        };
        match self.room {
            Some(room) => plan.at_most(room),
            None => plan,
        }
    }

    /// So many accounts of that tenant were taken.
    pub(crate) fn took(&mut self, accounts: u64) {
        if let Some(room) = &mut self.room {
            *room = room.saturating_sub(accounts);
        }
    }
}
