use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{AssignmentState, Holdings, RoleAssignment, RoleId, Scope, UnitId};

/// Who holds which role in a tenant, directly and through groups, and who is in a role-assignable group. Its size is that of the
/// tenant's administrators: a backend reads it once for all accounts.
#[derive(Clone, Debug, Default)]
pub struct RoleTable {
    held: HashMap<Uuid, Vec<RoleAssignment>>,
    members: HashSet<Uuid>,
    owners: HashSet<Uuid>,
}

/// A role given to somebody (<https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>,
/// <https://learn.microsoft.com/graph/api/resources/unifiedroleeligibilityscheduleinstance>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenRole {
    principal: Uuid,
    role: RoleId,
    scope: Option<String>,
}

/// A group that can hold roles, with everybody who is in it or can get into it
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/groups-concept>). No group can be its member,
/// but any group can be *eligible* for it
/// (<https://learn.microsoft.com/entra/id-governance/privileged-identity-management/concept-pim-for-groups>): whoever is in one of
/// those stands here, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..RoleGroup::default()"
)]
pub struct RoleGroup {
    /// Its object id.
    pub id: Uuid,
    /// Users and service principals.
    pub members: Vec<Uuid>,
    /// Users.
    pub owners: Vec<Uuid>,
    /// Whoever can make themselves a member.
    pub eligible_members: Vec<Uuid>,
    /// Whoever can make themselves an owner.
    pub eligible_owners: Vec<Uuid>,
}

impl RoleTable {
    /// The table of the `active` and `eligible` assignments and all role-assignable `groups`; `restricted` says of each
    /// administrative unit whether it restricts the management of its members, and is needed only where a role is
    /// [given in one](GivenRole::unit).
    #[must_use]
    pub fn resolve(
        active: &[GivenRole],
        eligible: &[GivenRole],
        groups: &[RoleGroup],
        restricted: &HashMap<Uuid, bool>,
    ) -> Self {
        let by_id: HashMap<Uuid, &RoleGroup> =
            groups.iter().map(|group| (group.id, group)).collect();
        let active = active.iter().map(|row| (row, AssignmentState::Active));
        let eligible = eligible.iter().map(|row| (row, AssignmentState::Eligible));
        let mut roles = Self::default();
        for (row, state) in active.chain(eligible) {
            let mut assignment = RoleAssignment::active(row.role).within(row.scope(restricted));
            assignment.state = state;
            roles.add(row.principal, &assignment);
            if let Some(group) = by_id.get(&row.principal) {
                roles.expand(group, assignment);
            }
        }
        for group in groups {
            roles
                .members
                .extend(group.members.iter().chain(&group.eligible_members));
            roles
                .owners
                .extend(group.owners.iter().chain(&group.eligible_owners));
        }
        roles
    }

    /// Gives the role of a group to its members; whoever must first activate the membership is only eligible.
    fn expand(&mut self, group: &RoleGroup, mut assignment: RoleAssignment) {
        for &member in &group.members {
            self.add(member, &assignment);
        }
        assignment.state = AssignmentState::Eligible;
        for &member in &group.eligible_members {
            self.add(member, &assignment);
        }
    }

    fn add(&mut self, principal: Uuid, assignment: &RoleAssignment) {
        let held = self.held.entry(principal).or_default();
        if !held.contains(assignment) {
            held.push(assignment.clone());
        }
    }

    /// The roles of a user or service principal.
    #[must_use]
    pub fn of(&self, principal: Uuid) -> &[RoleAssignment] {
        self.held.get(&principal).map_or(&[], Vec::as_slice)
    }

    /// What a user holds, apart from what only the user object and the units tell.
    #[must_use]
    pub fn holdings(&self, user: Uuid) -> Holdings {
        Holdings {
            roles: self.of(user).to_vec(),
            member_of_role_assignable_group: self.members.contains(&user),
            owner_of_role_assignable_group: self.owners.contains(&user),
            ..Holdings::default()
        }
    }
}

impl GivenRole {
    /// A role for `principal` in the scope that `directoryScopeId` says: `/` is the tenant.
    #[must_use]
    pub fn new(principal: Uuid, role: RoleId, directory_scope_id: Option<String>) -> Self {
        Self {
            principal,
            role,
            scope: directory_scope_id,
        }
    }

    /// The administrative unit in which it is given, if it is.
    #[must_use]
    pub fn unit(&self) -> Option<Uuid> {
        let scope = self.scope.as_deref()?;
        scope.strip_prefix("/administrativeUnits/")?.parse().ok()
    }

    /// `/` is the tenant. What is neither that nor a unit is one object or one application: of no use to a caller,
    /// and still a role of its holder.
    fn scope(&self, restricted: &HashMap<Uuid, bool>) -> Scope {
        match (self.scope.as_deref(), self.unit()) {
            (Some("/"), _) => Scope::Tenant,
            (_, Some(unit)) => Scope::Unit {
                id: UnitId::new(&unit.to_string()),
                // Unlisted, because just created or deleted: taken for restricted, which protects the holder more.
                restricted: restricted.get(&unit).copied().unwrap_or(true),
            },
            _ => Scope::Object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn given(principal: u128, scope: &str) -> GivenRole {
        let scope = Some(scope.to_owned());
        GivenRole::new(id(principal), RoleId::GLOBAL_ADMINISTRATOR, scope)
    }

    fn group(n: u128) -> RoleGroup {
        RoleGroup {
            id: id(n),
            members: vec![id(1)],
            owners: vec![id(2)],
            eligible_members: vec![id(3)],
            eligible_owners: vec![id(4)],
        }
    }

    #[test]
    fn a_group_gives_its_role_to_members_and_only_eligibly_to_eligible_members() {
        let active = RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR);
        let eligible = RoleAssignment::eligible(RoleId::GLOBAL_ADMINISTRATOR);

        let roles = RoleTable::resolve(&[given(9, "/")], &[], &[group(9)], &HashMap::new());
        assert_eq!(roles.of(id(1)), [active]);
        assert_eq!(roles.of(id(3)), std::slice::from_ref(&eligible));

        let roles = RoleTable::resolve(&[], &[given(9, "/")], &[group(9)], &HashMap::new());
        assert_eq!(roles.of(id(1)), std::slice::from_ref(&eligible));
        assert_eq!(roles.of(id(3)), [eligible]);
    }

    #[test]
    fn members_and_owners_of_a_group_are_marked_even_if_it_holds_no_role() {
        let roles = RoleTable::resolve(&[], &[], &[group(9)], &HashMap::new());
        for (user, member, owner) in [
            (1, true, false),
            (2, false, true),
            (3, true, false),
            (4, false, true),
            (5, false, false),
        ] {
            let holdings = roles.holdings(id(user));
            assert_eq!(holdings.member_of_role_assignable_group, member, "{user}");
            assert_eq!(holdings.owner_of_role_assignable_group, owner, "{user}");
            assert!(holdings.roles.is_empty(), "{user}");
        }
    }

    #[test]
    fn a_role_held_twice_counts_once() {
        let rows = [given(1, "/"), given(1, "/"), given(9, "/")];
        let roles = RoleTable::resolve(&rows, &[], &[group(9)], &HashMap::new());
        assert_eq!(roles.of(id(1)).len(), 1);
    }

    #[test]
    fn the_scope_is_the_tenant_a_unit_or_one_object() {
        let unit = |n, restricted| Scope::Unit {
            id: UnitId::new(&id(n).to_string()),
            restricted,
        };
        let restricted = HashMap::from([(id(1), true), (id(2), false)]);
        for (scope, expected) in [
            ("/".to_owned(), Scope::Tenant),
            (format!("/administrativeUnits/{}", id(1)), unit(1, true)),
            (format!("/administrativeUnits/{}", id(2)), unit(2, false)),
            (format!("/administrativeUnits/{}", id(3)), unit(3, true)),
            (format!("/{}", id(1)), Scope::Object),
            ("/administrativeUnits/none".to_owned(), Scope::Object),
            (String::new(), Scope::Object),
        ] {
            assert_eq!(given(1, &scope).scope(&restricted), expected, "{scope}");
        }
    }
}
