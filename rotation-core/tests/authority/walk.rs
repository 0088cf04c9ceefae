//! Every caller with every account of so many random directories.

use std::ops::Range;

use entra_sim::{Actor, Authority};
use rotation_core::{Account, Caller};

use crate::bridge;
use crate::draw::{self, PEOPLE};
use crate::model::Directory;
use crate::seed::{actor, authority, person_id};

/// So many of the people call too, besides all apps.
const CALLING: usize = 12;

/// One caller and one account, as both sides know them.
pub(crate) struct Pair<'a> {
    pub(crate) seed: u64,
    directory: &'a Directory,
    actor: &'a Actor,
    target: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) account: &'a Account,
    /// The account without anything that it is only eligible for.
    pub(crate) active: &'a Account,
}

impl Pair<'_> {
    /// What the directory says: accepted, or the words of its refusal.
    pub(crate) fn ask(&self, authority: &Authority) -> Result<(), String> {
        authority
            .set_password(self.actor, self.target)
            .map_err(|refusal| {
                let error = (refusal.status, refusal.code.as_str());
                assert_eq!(
                    error,
                    (403, "Authorization_RequestDenied"),
                    "{}",
                    self.tell()
                );
                refusal.message
            })
    }

    /// All there is to know about a disagreement.
    pub(crate) fn tell(&self) -> String {
        format!(
            "seed {}: {:?} on {:?} in {:#?}",
            self.seed, self.caller, self.account, self.directory
        )
    }
}

/// Shows `check` every pair, and the directory that judges it.
pub(crate) fn pairs(seeds: Range<u64>, mut check: impl FnMut(&Pair<'_>, &mut Authority)) {
    for seed in seeds {
        let directory = draw::directory(seed);
        let mut authority = authority(&directory);
        let accounts: Vec<_> = (0..PEOPLE)
            .map(|person| {
                let (account, active) = bridge::account(&directory, person);
                (person_id(person).to_string(), account, active)
            })
            .collect();
        for caller in directory.callers(CALLING) {
            let actor = actor(&authority, &directory, caller);
            let caller = bridge::caller(&directory, caller, actor.principal());
            for (target, account, active) in &accounts {
                let pair = Pair {
                    seed,
                    directory: &directory,
                    actor: &actor,
                    target,
                    caller: &caller,
                    account,
                    active,
                };
                check(&pair, &mut authority);
            }
        }
    }
}
