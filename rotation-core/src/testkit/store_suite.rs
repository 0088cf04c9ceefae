//! What every [`SecretStore`] must do, whoever wrote it.

mod durability;
mod model;
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

const CASES: &[Case] = &[
    (
        "a staged version is there after opening again, with all that belongs to it",
        |trial| durability::staged(trial).boxed(),
    ),
    (
        "any printable password of up to 256 characters reads back as it is",
        |trial| durability::awkward_passwords(trial).boxed(),
    ),
    (
        "a thousand versions staged at once are all there",
        |trial| durability::large_batch(trial).boxed(),
    ),
    (
        "what was committed or discarded is so after opening again",
        |trial| durability::settled(trial).boxed(),
    ),
    ("an empty batch does nothing", |trial| {
        durability::empty_batch(trial).boxed()
    }),
    ("staging the same version again does nothing", |trial| {
        durability::staged_again(trial).boxed()
    }),
    (
        "the former current version becomes previous and stays readable",
        |trial| settling::former_current(trial).boxed(),
    ),
    (
        "a commit makes older pending versions previous and leaves later ones pending",
        |trial| settling::other_pending(trial).boxed(),
    ),
    (
        "committing the current version again does nothing",
        |trial| settling::committed_again(trial).boxed(),
    ),
    ("what was never staged cannot be committed", |trial| {
        settling::never_staged(trial).boxed()
    }),
    ("what was discarded cannot be committed", |trial| {
        settling::discarded(trial).boxed()
    }),
    ("what was overtaken cannot be committed", |trial| {
        settling::overtaken(trial).boxed()
    }),
    ("a version is committed for its own account only", |trial| {
        settling::other_account(trial).boxed()
    }),
    (
        "a discarded version is gone, and discarding it again does nothing",
        |trial| settling::discarded_again(trial).boxed(),
    ),
    (
        "current and previous versions cannot be discarded",
        |trial| settling::discard_refused(trial).boxed(),
    ),
    (
        "a batch is committed item by item and answered in its order",
        |trial| settling::batch(trial).boxed(),
    ),
    (
        "the same account id in two tenants is two accounts",
        |trial| reading::two_tenants(trial).boxed(),
    ),
    (
        "a selection gives what it names and nothing else",
        |trial| reading::selection(trial).boxed(),
    ),
    (
        "versions come account by account, in the order they were staged",
        |trial| reading::order(trial).boxed(),
    ),
    (
        "calls at the same time do not disturb each other",
        |trial| together::many_calls(trial).boxed(),
    ),
    (
        "of two versions committed at the same time, the later is current",
        |trial| together::racing_commits(trial).boxed(),
    ),
    ("two handles on one storage heed each other", |trial| {
        together::two_handles(trial).boxed()
    }),
    ("a dropped call does no harm", |trial| {
        together::dropped_call(trial).boxed()
    }),
    (
        "no password occurs in errors or in what is printed",
        |trial| settling::silent(trial).boxed(),
    ),
    ("random calls end as the model says", |trial| {
        model::random_walks(trial).boxed()
    }),
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
