//! Brings versions that are current in the primary into a copy.
//!
//! Another run may bring a later version of the same account at the same time. So each version is staged as if it had
//! been planned a day before it was made: a copy in which another run committed a version since then refuses it. Only
//! then is the primary asked, with the account claimed in the copy, whether ours is still current: no clock has a say in
//! that. Asking always would be simpler, but some stores read all they have to find one account.

use std::time::Duration;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use rotation_core::{
    Commit, Lease, NewVersion, Problem, SecretStore, Select, StoreError, VersionKey, VersionState,
};

use super::queue::{Copied, Current};

/// How long a lease in a copy lives: far longer than copying a batch takes, for what another run stages after it lapsed
/// fences ours.
const TTL: Duration = Duration::from_secs(300);

/// By how much the clocks of two runs may differ, or one of them jump, without a later version going unnoticed.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Copies a batch in which no account occurs twice. Sorts it, and says what became of each in that order.
pub(super) async fn copy(
    primary: &dyn SecretStore,
    store: &dyn SecretStore,
    batch: &mut [Current],
) -> Vec<Copied> {
    batch.sort_by_key(|current| (current.new.run, current.new.key.account.clone()));
    let mut copied = Vec::with_capacity(batch.len());
    for part in batch.chunk_by_mut(|one, next| one.new.lease() == next.new.lease()) {
        if let Some(lease) = part.first().map(|current| current.new.lease()) {
            copied.extend(copy_under(primary, store, &lease, part).await);
        }
    }
    copied
}

async fn copy_under(
    primary: &dyn SecretStore,
    store: &dyn SecretStore,
    lease: &Lease,
    part: &mut [Current],
) -> Vec<Copied> {
    if let Err(error) = hold(store, lease).await {
        return part.iter().map(|_| Copied::Failed(error.clone())).collect();
    }
    let mut verdicts = stage(store, part).await;
    for (current, verdict) in part.iter().zip(&mut verdicts) {
        if verdict.is_none() && current.is_contended {
            *verdict = withdraw_if_overtaken(primary, store, &current.new.key).await;
        }
    }
    let open = part.iter().zip(&mut verdicts);
    let open: Vec<_> = open.filter(|(_, verdict)| verdict.is_none()).collect();
    let commits: Vec<_> = open.iter().map(|(current, _)| current.commit()).collect();
    let answers = store.commit(&commits).await;
    for ((current, verdict), answer) in open.into_iter().zip(answers) {
        *verdict = Some(match answer {
            // It was current, and a later one is now.
            Ok(()) | Err(StoreError::NotPending(_)) => Copied::Done,
            Err(error @ StoreError::Fenced(_)) => {
                let withdrawn = withdraw_if_overtaken(primary, store, &current.new.key).await;
                withdrawn.unwrap_or(Copied::Never(error))
            }
            Err(error) => Copied::Failed(error),
        });
    }
    let copied: Vec<_> = verdicts
        .into_iter()
        .map(|verdict| verdict.unwrap_or_else(|| Copied::Failed(left_out())))
        .collect();
    // What is left pending keeps its claim, so that nobody fences it before the next try.
    if !copied.iter().any(|one| matches!(one, Copied::Failed(_))) {
        // If this fails, the lease lapses by itself.
        store.release(lease).await.ok();
    }
    copied
}

/// Begins or renews a lease, also one that lapsed: what it claimed is judged anew.
async fn hold(store: &dyn SecretStore, lease: &Lease) -> Result<(), StoreError> {
    match store.lease(lease, TTL).await {
        Err(StoreError::LeaseLost(_)) => {
            store.release(lease).await?;
            store.lease(lease, TTL).await
        }
        answer => answer,
    }
}

/// What became of each, or `None` if it is staged.
async fn stage(store: &dyn SecretStore, part: &mut [Current]) -> Vec<Option<Copied>> {
    let batch: Vec<_> = part.iter().map(Current::to_stage).collect();
    let mut answers = store.stage(&batch).await;
    answers.resize_with(part.len(), || Err(left_out()));
    for (current, answer) in part.iter_mut().zip(&mut answers) {
        if !current.is_contended && matches!(answer, Err(StoreError::RotatedSince { .. })) {
            current.is_contended = true;
            let again = store.stage(&[current.to_stage()]).await.pop();
            *answer = again.unwrap_or_else(|| Err(left_out()));
        }
    }
    let verdict = |answer| match answer {
        Ok(()) => None,
        // It was withdrawn or pruned.
        Err(StoreError::NotPending(_)) => Some(Copied::Done),
        Err(error) => Some(Copied::Failed(error)),
    };
    answers.into_iter().map(verdict).collect()
}

/// Takes a staged version back if the primary has gone on to another one; `None` if not.
async fn withdraw_if_overtaken(
    primary: &dyn SecretStore,
    store: &dyn SecretStore,
    key: &VersionKey,
) -> Option<Copied> {
    match is_current(primary, key).await {
        Ok(true) => None,
        Ok(false) => Some(match store.discard(key).await {
            Ok(()) | Err(StoreError::NotPending(_)) => Copied::Done,
            Err(error) => Copied::Failed(error),
        }),
        Err(error) => Some(Copied::Failed(error)),
    }
}

async fn is_current(primary: &dyn SecretStore, key: &VersionKey) -> Result<bool, StoreError> {
    let select = Select::Account(key.account.clone());
    primary
        .versions(select)
        .try_any(async |version| version.key == *key && version.state == VersionState::Current)
        .await
}

impl Current {
    fn to_stage(&self) -> NewVersion {
        let new = self.new.clone();
        let planned_at = if self.is_contended {
            Timestamp::MAX
        } else {
            new.staged_at.checked_sub(SKEW).unwrap_or(Timestamp::MIN)
        };
        new.with_planned_at(planned_at)
    }

    fn commit(&self) -> Commit {
        Commit {
            key: self.new.key.clone(),
            committed: self.committed.clone(),
        }
    }
}

fn left_out() -> StoreError {
    StoreError::Unavailable {
        problem: Problem::new("its answer leaves this account out"),
        source: None,
    }
}
