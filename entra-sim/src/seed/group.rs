//! A group to be created with the tenant.

use uuid::Uuid;

use super::ScopedRole;
use crate::role::Role;

/// A security group. Users are named by UPN.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) id: Option<Uuid>,
    pub(crate) display_name: String,
    pub(crate) role_assignable: bool,
    pub(crate) members: Vec<String>,
    pub(crate) owners: Vec<String>,
    pub(crate) eligible_members: Vec<String>,
    pub(crate) eligible_owners: Vec<String>,
    pub(crate) roles: Vec<ScopedRole>,
    pub(crate) eligible_roles: Vec<ScopedRole>,
}

impl Group {
    /// An ordinary security group, which can hold no role.
    pub fn new(display_name: impl Into<String>) -> Self {
        Self {
            id: None,
            display_name: display_name.into(),
            role_assignable: false,
            members: Vec::new(),
            owners: Vec::new(),
            eligible_members: Vec::new(),
            eligible_owners: Vec::new(),
            roles: Vec::new(),
            eligible_roles: Vec::new(),
        }
    }

    /// A group with `isAssignableToRole`.
    pub fn role_assignable(display_name: impl Into<String>) -> Self {
        Self {
            role_assignable: true,
            ..Self::new(display_name)
        }
    }

    /// Sets the object id, which is otherwise made up.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, upn: impl Into<String>) -> Self {
        self.members.push(upn.into());
        self
    }

    /// Adds an owner.
    #[must_use]
    pub fn owner(mut self, upn: impl Into<String>) -> Self {
        self.owners.push(upn.into());
        self
    }

    /// Makes a user eligible for membership through PIM for Groups.
    #[must_use]
    pub fn eligible_member(mut self, upn: impl Into<String>) -> Self {
        self.eligible_members.push(upn.into());
        self
    }

    /// Makes a user eligible for ownership through PIM for Groups.
    #[must_use]
    pub fn eligible_owner(mut self, upn: impl Into<String>) -> Self {
        self.eligible_owners.push(upn.into());
        self
    }

    /// Assigns a role to the group, tenant-wide. The group must be role-assignable.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push((role, None));
        self
    }

    /// Assigns a role to the group at the scope of the unit of this name. The group must be role-assignable.
    #[must_use]
    pub fn unit_role(mut self, role: Role, unit: impl Into<String>) -> Self {
        self.roles.push((role, Some(unit.into())));
        self
    }

    /// Makes the group eligible for a role through PIM. The group must be role-assignable.
    #[must_use]
    pub fn eligible_role(mut self, role: Role) -> Self {
        self.eligible_roles.push((role, None));
        self
    }

    /// Makes the group eligible for a role at the scope of the unit of this name. The group must be role-assignable.
    #[must_use]
    pub fn eligible_unit_role(mut self, role: Role, unit: impl Into<String>) -> Self {
        self.eligible_roles.push((role, Some(unit.into())));
        self
    }
}
