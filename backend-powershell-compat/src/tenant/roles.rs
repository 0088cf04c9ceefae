use std::collections::{HashMap, HashSet};

use rotation_core::{
    AssignmentState, BackendError, Holdings, RoleAssignment, RoleId, Scope, UnitId,
};
use serde::Deserialize;
use uuid::Uuid;

use super::get::{Graph, Need};
use super::groups::{self, RoleGroup};
use super::units;

const READ_ASSIGNMENTS: Need = Need {
    to: "read the role assignments",
    permission: "RoleManagement.Read.Directory",
};

const READ_ELIGIBILITIES: Need = Need {
    to: "read the eligible roles",
    permission: "RoleEligibilitySchedule.Read.Directory",
};

/// Who holds which role in a tenant, and who is in a role-assignable group: read once for all accounts. Its size is that
/// of the tenant's administrators.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    held: HashMap<Uuid, Vec<RoleAssignment>>,
    members: HashSet<Uuid>,
    owners: HashSet<Uuid>,
}

/// A role given to somebody (<https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>,
/// <https://learn.microsoft.com/graph/api/resources/unifiedroleeligibilityscheduleinstance>). The definition id of a
/// built-in role is its template id.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    principal_id: Uuid,
    role_definition_id: Uuid,
    directory_scope_id: Option<String>,
}

impl Roles {
    /// Reads all assignments, all role-assignable groups and, with PIM, all eligibilities.
    ///
    /// # Errors
    /// [`BackendError`] if any of it cannot be read: a table with holes would take administrators for ordinary people.
    pub(crate) async fn read(graph: Graph<'_>) -> Result<Self, BackendError> {
        let active = rows(graph, "roleAssignments", &READ_ASSIGNMENTS).await?;
        let eligible = if graph.pim {
            rows(
                graph,
                "roleEligibilityScheduleInstances",
                &READ_ELIGIBILITIES,
            )
            .await?
        } else {
            Vec::new()
        };
        let groups = groups::read(graph).await?;
        // Most tenants assign no role in a unit, and then need no permission to read units.
        let mut all = active.iter().chain(&eligible);
        let restricted = if all.any(|row| row.unit().is_some()) {
            units::restrictions(graph).await?
        } else {
            HashMap::new()
        };
        Ok(Self::resolve(&active, &eligible, &groups, &restricted))
    }

    fn resolve(
        active: &[Row],
        eligible: &[Row],
        groups: &[RoleGroup],
        restricted: &HashMap<Uuid, bool>,
    ) -> Self {
        let by_id: HashMap<Uuid, &RoleGroup> =
            groups.iter().map(|group| (group.id, group)).collect();
        let active = active.iter().map(|row| (row, AssignmentState::Active));
        let eligible = eligible.iter().map(|row| (row, AssignmentState::Eligible));
        let mut roles = Self::default();
        for (row, state) in active.chain(eligible) {
            let mut assignment = RoleAssignment::active(RoleId::new(row.role_definition_id))
                .within(row.scope(restricted));
            assignment.state = state;
            roles.add(row.principal_id, &assignment);
            if let Some(group) = by_id.get(&row.principal_id) {
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
    pub(crate) fn of(&self, principal: Uuid) -> &[RoleAssignment] {
        self.held.get(&principal).map_or(&[], Vec::as_slice)
    }

    /// What a user holds, apart from what only the user object and the units tell.
    pub(crate) fn holdings(&self, user: Uuid) -> Holdings {
        let mut holdings = Holdings::default();
        holdings.roles = self.of(user).to_vec();
        holdings.member_of_role_assignable_group = self.members.contains(&user);
        holdings.owner_of_role_assignable_group = self.owners.contains(&user);
        holdings
    }
}

impl Row {
    fn unit(&self) -> Option<Uuid> {
        let scope = self.directory_scope_id.as_deref()?;
        scope.strip_prefix("/administrativeUnits/")?.parse().ok()
    }

    /// `/` is the tenant. What is neither that nor a unit is one object or one application: of no use to a caller,
    /// and still a role of its holder.
    fn scope(&self, restricted: &HashMap<Uuid, bool>) -> Scope {
        match (self.directory_scope_id.as_deref(), self.unit()) {
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

async fn rows(graph: Graph<'_>, kind: &str, need: &Need) -> Result<Vec<Row>, BackendError> {
    let path = format!(
        "roleManagement/directory/{kind}?$select=principalId,roleDefinitionId,directoryScopeId"
    );
    graph.all(&path, need).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOBAL: Uuid = Uuid::from_u128(0x62e9_0394_69f5_4237_9190_0121_7714_5e10);

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn given(principal: u128, scope: &str) -> Row {
        Row {
            principal_id: id(principal),
            role_definition_id: GLOBAL,
            directory_scope_id: Some(scope.to_owned()),
        }
    }

    #[test]
    fn a_group_gives_its_role_to_members_and_only_eligibly_to_eligible_members() {
        let group = RoleGroup {
            id: id(9),
            members: vec![id(1)],
            owners: vec![id(2)],
            eligible_members: vec![id(3)],
            eligible_owners: vec![id(4)],
        };
        let rows = [given(9, "/"), given(9, "/")];
        let roles = Roles::resolve(&rows, &[], &[group], &HashMap::new());
        let active = RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR);
        let eligible = RoleAssignment::eligible(RoleId::GLOBAL_ADMINISTRATOR);
        assert_eq!(roles.of(id(1)), [active]);
        assert_eq!(roles.of(id(3)), [eligible]);
        for (user, member, owner) in [
            (1, true, false),
            (2, false, true),
            (3, true, false),
            (4, false, true),
        ] {
            let holdings = roles.holdings(id(user));
            assert_eq!(holdings.member_of_role_assignable_group, member, "{user}");
            assert_eq!(holdings.owner_of_role_assignable_group, owner, "{user}");
        }
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
            (String::new(), Scope::Object),
        ] {
            assert_eq!(given(1, &scope).scope(&restricted), expected, "{scope}");
        }
    }
}
