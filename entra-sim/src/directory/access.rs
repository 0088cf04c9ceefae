//! Who holds what: role assignments, groups and administrative units, with an index by holder.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::role::Role;

/// A role given to a principal, for the whole tenant or for one administrative unit.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) principal: Uuid,
    pub(crate) role: Role,
    pub(crate) unit: Option<Uuid>,
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct GroupRecord {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) role_assignable: bool,
    pub(crate) members: Vec<Uuid>,
    pub(crate) owners: Vec<Uuid>,
    pub(crate) eligible_members: Vec<Uuid>,
    pub(crate) eligible_owners: Vec<Uuid>,
}

/// An administrative unit.
#[derive(Clone, Debug)]
pub(crate) struct UnitRecord {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) restricted: bool,
    pub(crate) members: Vec<Uuid>,
}

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

/// Roles, groups and units of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) eligibilities: Vec<Assignment>,
    pub(crate) groups: Vec<GroupRecord>,
    pub(crate) units: Vec<UnitRecord>,
    holdings: HashMap<Uuid, Holdings>,
}

impl Access {
    /// What `principal` holds; `None` for the many who hold nothing and are in no unit.
    pub(crate) fn holdings(&self, principal: Uuid) -> Option<&Holdings> {
        self.holdings.get(&principal)
    }

    /// Brings the index up to date, so that a PATCH looks up two entries and walks no list.
    pub(crate) fn index(&mut self) {
        let mut index: HashMap<Uuid, Holdings> = HashMap::new();
        let restricted: HashSet<Uuid> = self
            .units
            .iter()
            .filter(|unit| unit.restricted)
            .map(|unit| unit.id)
            .collect();
        for unit in &self.units {
            for member in &unit.members {
                let holdings = index.entry(*member).or_default();
                holdings.units.push(unit.id);
                if unit.restricted {
                    holdings.restricted_units.push(unit.id);
                }
            }
        }
        let groups: HashMap<Uuid, &GroupRecord> =
            self.groups.iter().map(|group| (group.id, group)).collect();
        let grant = |assignment: &Assignment| Grant {
            role: assignment.role,
            unit: assignment.unit,
            restricted: assignment
                .unit
                .is_some_and(|unit| restricted.contains(&unit)),
        };
        for assignment in &self.assignments {
            let group = groups.get(&assignment.principal);
            for holder in holders(assignment.principal, group.copied()) {
                index
                    .entry(holder)
                    .or_default()
                    .active
                    .push(grant(assignment));
            }
            // Whoever may join the group may come by its roles.
            for candidate in group.iter().flat_map(|group| &group.eligible_members) {
                index
                    .entry(*candidate)
                    .or_default()
                    .eligible
                    .push(grant(assignment));
            }
        }
        for eligibility in &self.eligibilities {
            let group = groups.get(&eligibility.principal).copied();
            for holder in holders(eligibility.principal, group) {
                index
                    .entry(holder)
                    .or_default()
                    .eligible
                    .push(grant(eligibility));
            }
        }
        for group in self.groups.iter().filter(|group| group.role_assignable) {
            for holder in group.members.iter().chain(&group.owners) {
                index.entry(*holder).or_default().in_role_assignable_group = true;
            }
            for candidate in group.eligible_members.iter().chain(&group.eligible_owners) {
                index
                    .entry(*candidate)
                    .or_default()
                    .eligible_for_role_assignable_group = true;
            }
        }
        self.holdings = index;
    }
}

/// Who gets what is given to `principal`: itself, or the members if it is a group.
fn holders(principal: Uuid, group: Option<&GroupRecord>) -> Vec<Uuid> {
    group.map_or_else(|| vec![principal], |group| group.members.clone())
}
