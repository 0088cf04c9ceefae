//! A random directory: few people, so that every one of them is in the way of something.

use entra_sim::Role;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use crate::model::{App, Directory, Group, Held, Person, Unit};

pub(crate) const PEOPLE: usize = 20;
const APPS: usize = 8;
const GROUPS: usize = 3;
const UNITS: usize = 3;

/// The callers that Microsoft's table and the sentences below it name.
pub(crate) const CALLERS: [&str; 11] = [
    "Authentication Administrator",
    "Entra SOC Identity Responder",
    "Global Administrator",
    "Helpdesk Administrator",
    "Partner Tier1 Support",
    "Partner Tier2 Support",
    "Password Administrator",
    "Privileged Authentication Administrator",
    "Security Administrator",
    "Security Operator",
    "User Administrator",
];

/// The roles that the table names in its rows; every other one is "any other role".
pub(crate) const ROWS: [&str; 14] = [
    "Authentication Administrator",
    "Directory Readers",
    "Global Administrator",
    "Groups Administrator",
    "Guest Inviter",
    "Helpdesk Administrator",
    "Message Center Reader",
    "Password Administrator",
    "Privileged Authentication Administrator",
    "Privileged Role Administrator",
    "Reports Reader",
    "Usage Summary Reports Reader",
    "User Administrator",
    "User Experience Success Manager",
];

const PERMISSIONS: [(&str, f64); 6] = [
    ("User-PasswordProfile.ReadWrite.All", 0.75),
    ("User.ReadWrite.All", 0.15),
    ("Directory.ReadWrite.All", 0.1),
    ("Directory.AccessAsUser.All", 0.15),
    ("User.Read.All", 0.4),
    ("Group.ReadWrite.All", 0.2),
];

/// Defined by nobody that we know.
const CUSTOM: [Uuid; 2] = [Uuid::from_u128(0xc0ffee), Uuid::from_u128(0xbeef)];

pub(crate) fn named(name: &str) -> Uuid {
    Role::named(name).unwrap().id()
}

pub(crate) fn directory(seed: u64) -> Directory {
    let rng = &mut StdRng::seed_from_u64(seed);
    let units = (0..UNITS).map(|_| Unit {
        restricted: rng.random_bool(0.4),
        members: people(rng, 1..6),
    });
    let units = units.collect();
    let groups = (0..GROUPS).map(|_| group(rng)).collect();
    let apps = (0..APPS).map(|_| App {
        roles: roles(rng, &[0.1, 0.65, 0.25], 0.9)
            .into_iter()
            // nothing activates a role for an app
            .filter(|held| !held.eligible)
            .collect(),
        permissions: permissions(rng),
    });
    let apps = apps.collect();
    let people = (0..PEOPLE).map(|_| Person {
        roles: roles(rng, &[0.35, 0.45, 0.15, 0.05], 0.75),
        permissions: permissions(rng),
    });
    let people = people.collect();
    Directory {
        people,
        apps,
        groups,
        units,
    }
}

fn group(rng: &mut StdRng) -> Group {
    let role_assignable = rng.random_bool(0.7);
    let roles = if role_assignable {
        roles(rng, &[0.4, 0.5, 0.1], 0.8)
    } else {
        Vec::new()
    };
    Group {
        role_assignable,
        members: people(rng, 0..3),
        owners: people(rng, 0..2),
        eligible_members: people(rng, 0..2),
        eligible_owners: people(rng, 0..2),
        roles,
    }
}

fn people(rng: &mut StdRng, count: std::ops::Range<usize>) -> Vec<usize> {
    let mut people = Vec::new();
    for _ in 0..rng.random_range(count) {
        let person = rng.random_range(0..PEOPLE);
        if !people.contains(&person) {
            people.push(person);
        }
    }
    people
}

/// So many roles with these probabilities, of the table with this one.
fn roles(rng: &mut StdRng, counts: &[f64], of_the_table: f64) -> Vec<Held> {
    let mut dice: f64 = rng.random();
    let mut count = 0;
    for (index, share) in counts.iter().enumerate() {
        if dice < *share {
            count = index;
            break;
        }
        dice -= share;
    }
    let mut roles: Vec<Held> = Vec::new();
    for _ in 0..count {
        let held = held(rng, of_the_table);
        // held once in each scope
        let again = |known: &Held| (known.role, known.unit) == (held.role, held.unit);
        if !roles.iter().any(again) {
            roles.push(held);
        }
    }
    roles
}

fn held(rng: &mut StdRng, of_the_table: f64) -> Held {
    let role = if rng.random_bool(of_the_table) {
        let names: &[&str] = if rng.random_bool(0.5) {
            &CALLERS
        } else {
            &ROWS
        };
        named(names.choose(rng).unwrap())
    } else if rng.random_bool(0.3) {
        *CUSTOM.choose(rng).unwrap()
    } else {
        let all: Vec<Uuid> = Role::built_in().map(|(role, _)| role.id()).collect();
        *all.choose(rng).unwrap()
    };
    let scoped = rng.random_bool(0.35) && role != Role::GLOBAL_ADMINISTRATOR.id();
    Held {
        role,
        unit: scoped.then(|| rng.random_range(0..UNITS)),
        eligible: rng.random_bool(0.2),
    }
}

fn permissions(rng: &mut StdRng) -> Vec<&'static str> {
    let mut granted = Vec::new();
    for (name, share) in PERMISSIONS {
        if rng.random_bool(share) {
            granted.push(name);
        }
    }
    granted
}
