//! The least role that is named beforehand, against the first of the six that the directory accepts.

use rotation_core::{RuleSet, least_role};

use crate::draw::{self, PEOPLE, named};
use crate::model::{App, Caller, Held};
use crate::seed::{actor, authority, person_id};
use crate::{bridge, tally};

const LEAST_FIRST: [&str; 6] = [
    "Password Administrator",
    "Helpdesk Administrator",
    "Authentication Administrator",
    "User Administrator",
    "Privileged Authentication Administrator",
    "Global Administrator",
];

const DIRECTORIES: u64 = 1_000;

fn app(role: &str) -> App {
    App {
        roles: vec![Held {
            role: named(role),
            unit: None,
            eligible: false,
        }],
        permissions: vec!["User-PasswordProfile.ReadWrite.All"],
    }
}

#[test]
fn the_least_role_is_the_first_that_the_directory_accepts() {
    let mut times = [0_u64; LEAST_FIRST.len() + 1];
    for seed in 0..DIRECTORIES {
        let mut directory = draw::directory(seed);
        directory.apps = LEAST_FIRST.map(app).into();
        let authority = authority(&directory);
        let apps: Vec<_> = (0..LEAST_FIRST.len())
            .map(|app| actor(&authority, &directory, Caller::App(app)))
            .collect();
        for person in 0..PEOPLE {
            let holdings = bridge::account(&directory, person).0.holdings.unwrap();
            let id = person_id(person).to_string();
            let accepts = |app| authority.set_password(app, &id).is_ok();
            let first = apps.iter().position(accepts);
            let least = first.map(|app| tally::id(LEAST_FIRST[app]));
            let tell = || format!("seed {seed}, person {person}: {holdings:?}");
            let documented = least_role(&holdings, RuleSet::Documented);
            assert_eq!(documented, least, "{}", tell());

            let strict = least_role(&holdings, RuleSet::Strict);
            let strict = LEAST_FIRST
                .iter()
                .position(|role| Some(tally::id(role)) == strict);
            assert_eq!(strict.is_none(), first.is_none(), "{}", tell());
            assert!(strict.is_none_or(|app| accepts(&apps[app])), "{}", tell());
            times[first.unwrap_or(LEAST_FIRST.len())] += 1;
        }
    }
    let [.., privileged, global, none] = times;
    assert_eq!(global, 0, "reaches no more than the one before it");
    assert!(privileged > 0 && none > 0);
    println!(
        "{} accounts, the least of the capabilities that would do: {times:?} for {LEAST_FIRST:?} and none",
        DIRECTORIES * PEOPLE as u64
    );
    assert!(times[..4].iter().all(|times| *times > 0), "{times:?}");
}
