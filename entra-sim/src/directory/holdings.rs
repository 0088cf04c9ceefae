//! Who holds what: assignments, groups and units, seen from their holders.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Access, Assignment, GroupRecord, UnitRecord};
use crate::role::Role;

/// A role in somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) role: Role,
    pub(crate) unit: Option<Uuid>,
    /// The unit is a restricted management one.
    pub(crate) restricted: bool,
}

/// Everything that one principal holds, directly or through groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) active: Vec<Grant>,
    pub(crate) eligible: Vec<Grant>,
    /// Member or owner of a role-assignable group.
    pub(crate) in_role_assignable_group: bool,
    /// Could become member or owner of one through PIM for Groups.
    pub(crate) eligible_for_role_assignable_group: bool,
    /// Administrative units that have the principal as a member.
    pub(crate) units: Vec<Uuid>,
    /// Those of them that are restricted management ones.
    pub(crate) restricted_units: Vec<Uuid>,
}

/// The holdings of everybody who holds anything or is in any unit.
pub(super) fn index(access: &Access) -> HashMap<Uuid, Holdings> {
    let mut index = Index::default();
    index.add_units(&access.units);
    index.add_groups(&access.groups);
    let groups: HashMap<Uuid, &GroupRecord> = access.groups.iter().map(|g| (g.id, g)).collect();
    for assignment in &access.assignments {
        let group = groups.get(&assignment.principal);
        index.add_active(assignment, group.copied());
    }
    for eligibility in &access.eligibilities {
        let group = groups.get(&eligibility.principal);
        index.add_eligible(eligibility, group.copied());
    }
    index.holdings
}

#[derive(Default)]
struct Index {
    holdings: HashMap<Uuid, Holdings>,
    restricted_units: HashSet<Uuid>,
}

impl Index {
    fn of(&mut self, principal: Uuid) -> &mut Holdings {
        self.holdings.entry(principal).or_default()
    }

    fn grant(&self, assignment: &Assignment) -> Grant {
        let restricted = |unit| self.restricted_units.contains(&unit);
        Grant {
            role: assignment.role,
            unit: assignment.unit,
            restricted: assignment.unit.is_some_and(restricted),
        }
    }

    fn add_units(&mut self, units: &[UnitRecord]) {
        for unit in units {
            for member in &unit.members {
                self.of(*member).units.push(unit.id);
            }
            if unit.restricted {
                self.restricted_units.insert(unit.id);
                for member in &unit.members {
                    self.of(*member).restricted_units.push(unit.id);
                }
            }
        }
    }

    fn add_groups(&mut self, groups: &[GroupRecord]) {
        for group in groups.iter().filter(|group| group.role_assignable) {
            for holder in group.members.iter().chain(&group.owners) {
                self.of(*holder).in_role_assignable_group = true;
            }
            for candidate in group.eligible_members.iter().chain(&group.eligible_owners) {
                self.of(*candidate).eligible_for_role_assignable_group = true;
            }
        }
    }

    fn add_active(&mut self, assignment: &Assignment, group: Option<&GroupRecord>) {
        let grant = self.grant(assignment);
        for holder in holders(assignment, group) {
            self.of(*holder).active.push(grant);
        }
        // Whoever may join the group may come by its roles.
        for candidate in group.iter().flat_map(|group| &group.eligible_members) {
            self.of(*candidate).eligible.push(grant);
        }
    }

    fn add_eligible(&mut self, eligibility: &Assignment, group: Option<&GroupRecord>) {
        let grant = self.grant(eligibility);
        let candidates = group.map_or(&[][..], |group| &group.eligible_members);
        for holder in holders(eligibility, group).iter().chain(candidates) {
            self.of(*holder).eligible.push(grant);
        }
    }
}

/// Who gets what is assigned: the principal, or its members if it is a group.
fn holders<'a>(assignment: &'a Assignment, group: Option<&'a GroupRecord>) -> &'a [Uuid] {
    match group {
        Some(group) => &group.members,
        None => std::slice::from_ref(&assignment.principal),
    }
}
