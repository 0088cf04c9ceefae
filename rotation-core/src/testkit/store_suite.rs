//! What every [`SecretStore`] must do, whoever wrote it.

mod durability;
mod fencing;
mod history;
mod leasing;
mod model;
mod pruning;
mod reading;
mod settling;
mod together;
mod trial;

use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;

use self::trial::{Trial, Verdict};
use super::Violation;
use crate::{SecretReader, SecretStore};

/// What the suite needs to know of a store.
///
/// The suite makes up tenants of its own, so a storage that holds other things already will do.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// Opens the storage, each time the same one. What was opened before may still be in use.
    async fn open(&self) -> Box<dyn SecretStore>;

    /// Opens a reader of that storage, with the key it takes.
    async fn reader(&self) -> Box<dyn SecretReader>;

    /// Whatever the implementation prints, in which no password may occur: the `Debug` output of the store and of its
    /// reader, logs, the bytes on the medium.
    async fn printed(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Lets `time` pass by the store's clock, so that a lease lapses.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A case: what must be so, and the trial of it.
type Case = (
    &'static str,
    for<'a> fn(Trial<'a>) -> BoxFuture<'a, Verdict>,
);

macro_rules! cases {
    ($($sentence:literal => $trial:path,)*) => {
        &[$(($sentence, |trial| $trial(trial).boxed())),*]
    };
}

const CASES: &[Case] = cases![
    // What is answered with success is durable.
    "a staged version is there after opening again, with all that belongs to it" => durability::staged,
    "any printable password of up to 256 characters reads back as it is" => durability::awkward_passwords,
    "a thousand versions staged at once are all there" => durability::large_batch,
    "what was committed or discarded is so after opening again" => durability::settled,
    "an empty batch does nothing" => durability::empty_batch,
    "staging the same version again does nothing" => durability::staged_again,

    // Pending, current, previous.
    "the former current version becomes previous and stays readable" => settling::former_current,
    "a commit makes older pending versions previous and leaves later ones pending" => settling::other_pending,
    "committing the current version again does nothing" => settling::committed_again,
    "what was never staged cannot be committed, and trying it changes nothing" => settling::never_staged,
    "what was discarded cannot be committed" => settling::discarded,
    "what a later version of its run overtook cannot be committed" => settling::overtaken,
    "a version is committed for its own account only" => settling::other_account,
    "a discarded version is gone, and discarding it again does nothing" => settling::discarded_again,
    "current and previous versions cannot be discarded" => settling::discard_refused,
    "a batch is committed item by item and answered in its order" => settling::batch,
    "the id of a version is not used for another account, nor again after a discard" => settling::used_id,

    // Leases.
    "without a lease in its tenant a run stages nothing" => leasing::never_leased,
    "under a lapsed lease nothing is staged" => leasing::lapsed,
    "a lapsed lease cannot be renewed" => leasing::lapsed_for_good,
    "a renewed lease lives on" => leasing::renewed,
    "under a released lease nothing is staged, and it may begin again" => leasing::released,
    "releasing a lease that is not there does nothing" => leasing::released_again,
    "releasing a lease leaves those of other runs and tenants alone" => leasing::released_alone,
    "an account belongs to the run of its newest pending version while its lease lives" => leasing::owned,
    "a lapsed lease frees its accounts" => leasing::freed_by_lapse,
    "a released lease frees its accounts at once" => leasing::freed_by_release,
    "an account with nothing pending is free" => leasing::freed_by_settling,
    "what became of a version staged again is answered before what other runs do" => leasing::staged_again,
    "a batch is staged item by item and answered in its order" => leasing::batch,
    "what another run rotated since it was planned is not staged" => leasing::rotated_meanwhile,
    "one's own rotations and those before the plan do not hinder" => leasing::rotated_before,
    "a commit needs no living lease" => leasing::commit_after_lapse,

    // Fences.
    "a commit does not pass a pending version of another run, and both stay pending" => fencing::pending,
    "a commit does not pass the current version of another run, and its own is pending beside it" => fencing::current,
    "any later version of another run is a fence, with own ones before and after it" => fencing::anywhere,
    "a discarded version is no fence" => fencing::discarded,
    "a version that met a fence never becomes current" => fencing::again,
    "a version that met a fence is one for the other run" => fencing::both,
    "a later version of a third run settles where two runs met" => fencing::settled,
    "a later version of one of them settles where two runs met" => fencing::settled_by_one_of_them,
    "a version that met a fence can be discarded, and is none any more" => fencing::given_up,
    "a version that was current once meets no fence" => fencing::once_current,

    // History.
    "the history of a version is kept as it is" => history::kept,
    "committing again keeps the history of the first time" => history::first_kept,
    "pruning keeps the newest previous versions" => pruning::newest_kept,
    "pruning keeps what is pending or current" => pruning::only_previous,
    "pruning keeps versions that were never current like those that were" => pruning::overtaken,
    "pruning counts for each account, and touches none but those named" => pruning::each_account,

    // Reading.
    "the same account id in two tenants is two accounts" => reading::two_tenants,
    "a selection gives what it names and nothing else" => reading::selection,
    "some accounts are given as one is, whatever the order in which they are named" => reading::accounts,
    "a thousand accounts are found at once" => reading::many_accounts,
    "the pending versions of a tenant are found without any others" => reading::pending,
    "versions come account by account, in the order they were staged" => reading::order,

    // Many at once.
    "calls at the same time do not disturb each other" => together::many_calls,
    "of two versions committed at the same time, the later is current" => together::racing_commits,
    "two handles on one storage heed each other" => together::two_handles,
    "of two runs that stage an account at the same time, one gets it" => together::two_runs,
    "a dropped call does no harm" => together::dropped_call,
    "no password occurs in errors or in what is printed" => settling::silent,
    "random calls of two runs end as the model says" => model::random_walks,
];

/// Runs every case; the promises that are not kept.
pub async fn store_suite(harness: &dyn StoreHarness) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (case, run) in CASES {
        let verdict = match Trial::begin(harness).await {
            Ok(trial) => run(trial).await,
            Err(found) => Err(found),
        };
        if let Err(found) = verdict {
            violations.push(Violation::new(case, found));
        }
    }
    violations
}
