//! The directory as `rotation-core` is told of it, by the words of its types: roles of groups are held by their members, and
//! by those who may become members as if eligible.

use rotation_core::{
    Account, AccountId, AssignmentState, Caller, CallerKind, Holdings, RoleAssignment, RoleId,
    Scope, TenantId, UnitId,
};
use uuid::Uuid;

use crate::model::{self, Directory, Held};
use crate::seed::{person_id, unit_id};

fn assignment(directory: &Directory, held: &Held, state: AssignmentState) -> RoleAssignment {
    let role = RoleId::new(held.role);
    let assignment = match state {
        AssignmentState::Active => RoleAssignment::active(role),
        AssignmentState::Eligible => RoleAssignment::eligible(role),
    };
    match held.unit {
        None => assignment,
        Some(unit) => assignment.within(Scope::Unit {
            id: UnitId::new(&unit_id(unit).to_string()),
            restricted: directory.units[unit].restricted,
        }),
    }
}

fn state(eligible: bool) -> AssignmentState {
    if eligible {
        AssignmentState::Eligible
    } else {
        AssignmentState::Active
    }
}

fn roles_of(directory: &Directory, person: usize) -> Vec<RoleAssignment> {
    let own = &directory.people[person].roles;
    let mut roles: Vec<RoleAssignment> = own
        .iter()
        .map(|held| assignment(directory, held, state(held.eligible)))
        .collect();
    for group in &directory.groups {
        for held in &group.roles {
            if group.members.contains(&person) {
                roles.push(assignment(directory, held, state(held.eligible)));
            }
            if group.eligible_members.contains(&person) {
                roles.push(assignment(directory, held, AssignmentState::Eligible));
            }
        }
    }
    roles
}

/// The account, and the same without anything that it is only eligible for.
pub(crate) fn account(directory: &Directory, person: usize) -> (Account, Account) {
    let mut all = Holdings::default();
    all.roles = roles_of(directory, person);
    for (index, unit) in directory.units.iter().enumerate() {
        if unit.members.contains(&person) {
            all.units.push(UnitId::new(&unit_id(index).to_string()));
            all.management_restricted |= unit.restricted;
        }
    }
    let mut active = all.clone();
    active
        .roles
        .retain(|held| held.state == AssignmentState::Active);
    for group in directory
        .groups
        .iter()
        .filter(|group| group.role_assignable)
    {
        let (member, owner) = (
            group.members.contains(&person),
            group.owners.contains(&person),
        );
        active.member_of_role_assignable_group |= member;
        active.owner_of_role_assignable_group |= owner;
        all.member_of_role_assignable_group |= member || group.eligible_members.contains(&person);
        all.owner_of_role_assignable_group |= owner || group.eligible_owners.contains(&person);
    }
    let account = |holdings| {
        let id = AccountId::new(&person_id(person).to_string());
        Account::new(id, format!("person{person}@contoso.com")).holding(holdings)
    };
    (account(all), account(active))
}

/// The caller, whose object id the directory has made up.
pub(crate) fn caller(directory: &Directory, caller: model::Caller, id: Uuid) -> Caller {
    let id = AccountId::new(&id.to_string());
    let mut told = Caller::app_only(TenantId::new("contoso"), id);
    let permissions = match caller {
        model::Caller::App(app) => {
            let app = &directory.apps[app];
            let roles = app.roles.iter();
            told.roles = roles
                .map(|held| assignment(directory, held, AssignmentState::Active))
                .collect();
            &app.permissions
        }
        model::Caller::Person(person) => {
            told.kind = CallerKind::Delegated;
            told.roles = roles_of(directory, person);
            &directory.people[person].permissions
        }
    };
    told.permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
    told
}
