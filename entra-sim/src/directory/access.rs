//! Role assignments, groups and administrative units of a tenant.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::holdings::{Holdings, index};
use crate::role::Role;

/// A role given to a principal, for the whole tenant or for one administrative unit.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) id: String,
    pub(crate) principal: Uuid,
    pub(crate) role: Role,
    pub(crate) unit: Option<Uuid>,
    /// When Privileged Identity Management takes it away.
    pub(crate) ends: Option<Timestamp>,
}

impl Assignment {
    /// One without an end.
    pub(crate) fn new(principal: Uuid, role: Role, unit: Option<Uuid>) -> Self {
        let scope = unit.map_or_else(String::new, |unit| unit.simple().to_string());
        Self {
            // Unique, as a principal holds a role once per scope, and equal for equal seeds.
            id: format!("{}-{}-{scope}", role.id().simple(), principal.simple()),
            principal,
            role,
            unit,
            ends: None,
        }
    }
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
        self.holdings = index(self);
    }
}
