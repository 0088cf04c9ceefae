//! The directory as the simulator is told of it.

use entra_sim::{Actor, Authority, Role, Tenant, User};
use uuid::Uuid;

use crate::model::{Caller, Directory, Held};

pub(crate) fn person_id(person: usize) -> Uuid {
    Uuid::from_u128(1_000 + person as u128)
}

pub(crate) fn unit_id(unit: usize) -> Uuid {
    Uuid::from_u128(2_000 + unit as u128)
}

fn client_id(app: usize) -> Uuid {
    Uuid::from_u128(3_000 + app as u128)
}

fn upn(person: &usize) -> String {
    format!("person{person}@contoso.com")
}

fn unit(unit: usize) -> String {
    format!("unit {unit}")
}

pub(crate) fn authority(directory: &Directory) -> Authority {
    let mut tenant = Tenant::new("contoso.com");
    for (index, app) in directory.apps.iter().enumerate() {
        tenant = tenant.app(seed_app(index, app));
    }
    for (index, person) in directory.people.iter().enumerate() {
        let user = User::new(upn(&index)).id(person_id(index));
        let user = person.roles.iter().fold(user, |user, held| {
            let role = Role::from_id(held.role);
            match (held.eligible, held.unit) {
                (false, None) => user.role(role),
                (false, Some(within)) => user.unit_role(role, unit(within)),
                (true, None) => user.eligible_role(role),
                (true, Some(within)) => user.eligible_unit_role(role, unit(within)),
            }
        });
        tenant = tenant.user(user);
    }
    for (index, group) in directory.groups.iter().enumerate() {
        tenant = tenant.group(seed_group(index, group));
    }
    for (index, seeded) in directory.units.iter().enumerate() {
        let made = if seeded.restricted {
            entra_sim::Unit::restricted(unit(index))
        } else {
            entra_sim::Unit::new(unit(index))
        };
        let made = seeded
            .members
            .iter()
            .map(upn)
            .fold(made, entra_sim::Unit::member);
        tenant = tenant.unit(made.id(unit_id(index)));
    }
    Authority::new(tenant, 1).unwrap()
}

fn seed_app(index: usize, app: &crate::model::App) -> entra_sim::App {
    let seeded = entra_sim::App::new(format!("app {index}")).client_id(client_id(index));
    let seeded = app
        .permissions
        .iter()
        .fold(seeded, |seeded, name| seeded.permission(name));
    app.roles.iter().fold(seeded, |seeded, held| {
        let role = Role::from_id(held.role);
        match held.unit {
            None => seeded.role(role),
            Some(within) => seeded.unit_role(role, unit(within)),
        }
    })
}

fn seed_group(index: usize, group: &crate::model::Group) -> entra_sim::Group {
    let name = format!("group {index}");
    let seeded = if group.role_assignable {
        entra_sim::Group::role_assignable(name)
    } else {
        entra_sim::Group::new(name)
    };
    let seeded = group
        .members
        .iter()
        .map(upn)
        .fold(seeded, entra_sim::Group::member);
    let seeded = group
        .owners
        .iter()
        .map(upn)
        .fold(seeded, entra_sim::Group::owner);
    let joiners = group.eligible_members.iter().map(upn);
    let seeded = joiners.fold(seeded, entra_sim::Group::eligible_member);
    let heirs = group.eligible_owners.iter().map(upn);
    let seeded = heirs.fold(seeded, entra_sim::Group::eligible_owner);
    group.roles.iter().fold(seeded, |seeded, held: &Held| {
        let role = Role::from_id(held.role);
        match (held.eligible, held.unit) {
            (false, None) => seeded.role(role),
            (false, Some(within)) => seeded.unit_role(role, unit(within)),
            (true, None) => seeded.eligible_role(role),
            (true, Some(within)) => seeded.eligible_unit_role(role, unit(within)),
        }
    })
}

/// The caller as the simulator knows it.
pub(crate) fn actor(authority: &Authority, directory: &Directory, caller: Caller) -> Actor {
    match caller {
        Caller::App(app) => authority.app(client_id(app)).unwrap(),
        Caller::Person(person) => {
            let permissions = &directory.people[person].permissions;
            authority.user(&upn(&person), permissions).unwrap()
        }
    }
}
