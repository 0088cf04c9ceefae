//! How often what occurred: a walk that never met a case has not tested it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rotation_core::{Account, Caller, RoleAssignment, RoleId, Scope};

use crate::beforehand::REASONS;
use crate::draw::{CALLERS, ROWS, named};

/// One rule set.
#[derive(Default)]
pub(crate) struct Tally {
    allowed: u64,
    refused: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, decided: Result<RoleId, &'static str>) {
        match decided {
            Ok(_) => self.allowed += 1,
            Err(reason) => *self.refused.entry(reason).or_default() += 1,
        }
    }

    pub(crate) fn assert_whole(&self) {
        assert!(self.allowed > 0, "nothing was ever allowed");
        for reason in REASONS {
            assert!(
                self.refused.contains_key(reason),
                "never refused for {reason}"
            );
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} allowed", self.allowed)?;
        for (reason, count) in &self.refused {
            write!(f, ", {count} {reason}")?;
        }
        Ok(())
    }
}

/// Which cells of Microsoft's table were decided by themselves: one role of the caller against one row.
#[derive(Default)]
pub(crate) struct Cells {
    met: BTreeSet<(RoleId, &'static str)>,
    scoped: BTreeSet<RoleId>,
}

impl Cells {
    pub(crate) fn add(&mut self, caller: &Caller, account: &Account, accepted: bool) {
        let held: Vec<&RoleAssignment> = caller.active_roles().collect();
        let [held] = held[..] else { return };
        if !caller.may_set_passwords() || caller.id == account.id {
            return;
        }
        match (&held.scope, row(account)) {
            (Scope::Tenant, Some(row)) => {
                self.met.insert((held.role, row));
            }
            (Scope::Unit { .. }, _) if accepted => {
                self.scoped.insert(held.role);
            }
            _ => {}
        }
    }

    /// How many, after making sure that none is missing.
    pub(crate) fn assert_whole(&self) -> usize {
        let others = ["any other", "group", "none", "scoped to a restricted unit"];
        for caller in CALLERS {
            for row in ROWS.iter().chain(&others) {
                let cell = (id(caller), *row);
                assert!(self.met.contains(&cell), "{caller} on {row} was never met");
            }
        }
        let scoped = [
            "Authentication Administrator",
            "Helpdesk Administrator",
            "Password Administrator",
            "Privileged Authentication Administrator",
            "User Administrator",
        ];
        assert_eq!(self.scoped, scoped.map(id).into(), "reach members of units");
        CALLERS.len() * (ROWS.len() + others.len())
    }
}

pub(crate) fn id(name: &str) -> RoleId {
    RoleId::new(named(name))
}

/// The row that the account stands for, if it stands for one alone.
fn row(account: &Account) -> Option<&'static str> {
    let holdings = account.holdings.as_ref()?;
    if holdings.management_restricted {
        return None;
    }
    let group = holdings.member_of_role_assignable_group || holdings.owner_of_role_assignable_group;
    match &holdings.roles[..] {
        [] if group => Some("group"),
        [] => Some("none"),
        [held] if !group => match held.scope {
            Scope::Unit {
                restricted: true, ..
            } => Some("scoped to a restricted unit"),
            _ => ROWS
                .into_iter()
                .find(|row| id(row) == held.role)
                .or(Some("any other")),
        },
        _ => None,
    }
}
