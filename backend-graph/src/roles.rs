use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rotation_core::{
    AssignmentState, BackendError, Holdings, RoleAssignment, RoleId, Scope, UnitId,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::Need;
use crate::client::Client;
use crate::groups::{self, RoleGroup};
use crate::page::Pages;
use crate::units;

pub(crate) const READ_ASSIGNMENTS: Need = Need {
    to: "read the role assignments",
    permission: "RoleManagement.Read.Directory",
    pim: false,
};

pub(crate) const READ_ELIGIBILITIES: Need = Need {
    to: "read the eligible roles",
    permission: "RoleEligibilitySchedule.Read.Directory",
    pim: true,
};

/// Who holds which role in a tenant, and who is in a role-assignable group: read once for all accounts, in a number
/// of requests that does not depend on theirs. Its size is that of the tenant's administrators.
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
    /// Reads all assignments, all role-assignable groups and, with `pim`, all eligibilities.
    ///
    /// # Errors
    /// [`BackendError`] if any of it cannot be read: a table with holes would take administrators for ordinary people.
    pub(crate) async fn read(client: &Arc<Client>, pim: bool) -> Result<Self, BackendError> {
        let eligible = async {
            if pim {
                rows(
                    client,
                    "roleEligibilityScheduleInstances",
                    &READ_ELIGIBILITIES,
                )
                .await
            } else {
                Ok(Vec::new())
            }
        };
        let (active, eligible, groups) = futures::try_join!(
            rows(client, "roleAssignments", &READ_ASSIGNMENTS),
            eligible,
            groups::read(client, pim),
        )?;
        // Most tenants assign no role in a unit, and then need no permission to read units.
        let scoped = active
            .iter()
            .chain(&eligible)
            .any(|row| row.unit().is_some());
        let restricted = if scoped {
            units::restrictions(client).await?
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

async fn rows(
    client: &Arc<Client>,
    kind: &str,
    need: &'static Need,
) -> Result<Vec<Row>, BackendError> {
    let path = ["roleManagement", "directory", kind];
    let query = "$select=principalId,roleDefinitionId,directoryScopeId";
    let first = client.graph.url(&path, query);
    Ok(Pages::new(Arc::clone(client), first, need).all().await?)
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

        let roles = Roles::resolve(&[given(9, "/")], &[], &[group(9)], &HashMap::new());
        assert_eq!(roles.of(id(1)), [active]);
        assert_eq!(roles.of(id(3)), std::slice::from_ref(&eligible));

        let roles = Roles::resolve(&[], &[given(9, "/")], &[group(9)], &HashMap::new());
        assert_eq!(roles.of(id(1)), std::slice::from_ref(&eligible));
        assert_eq!(roles.of(id(3)), [eligible]);
    }

    #[test]
    fn members_and_owners_of_a_group_are_marked_even_if_it_holds_no_role() {
        let roles = Roles::resolve(&[], &[], &[group(9)], &HashMap::new());
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
        let roles = Roles::resolve(&rows, &[], &[group(9)], &HashMap::new());
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
