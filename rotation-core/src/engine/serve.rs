//! Answers what the accounts under way ask of store, backend and audit record.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Engine;
use super::batch::Worker;
use super::lease::HeldLease;
use super::trouble::Trouble;
use crate::{Commit, Event, NewVersion, Outcome, Problem, SetPassword, StoreError};

/// How long the audit record may take for one batch of events: longer than any disk that works.
const RECORDING: Duration = Duration::from_secs(120);

/// Answers what the accounts under way ask of the store.
pub(super) async fn serve_store(
    engine: &Engine,
    stage: Worker<NewVersion, Result<(), StoreError>>,
    commit: Worker<Commit, Result<(), StoreError>>,
) {
    let store = &engine.store;
    tokio::join!(
        stage.run(|batch: Vec<NewVersion>| async move { store.stage(&batch).await }),
        commit.run(|batch: Vec<Commit>| async move { store.commit(&batch).await }),
    );
}

/// Answers what they ask of the backend, while the lease lasts.
pub(super) async fn serve_backend(
    engine: &Engine,
    lease: &HeldLease,
    set: Worker<SetPassword, Outcome>,
) {
    let backend = &engine.backend;
    let limit = engine.options.attempt_timeout.min(engine.options.lease / 2);
    set.run(|batch: Vec<SetPassword>| async move {
        let all = |outcome: fn(Problem) -> Outcome, problem| vec![outcome(problem); batch.len()];
        if !lease.lasts(limit).await {
            let problem = Problem::new("the lease was not renewed in time, so nothing was sent")
                .with_fix("look for a store that stalls, or a machine that sleeps");
            return all(Outcome::NotSent, problem);
        }
        tokio::select! {
            // first, so that what was not sent in time is never sent later, when the lease may be lost
            biased;
            () = sleep(limit) => all(Outcome::Unknown, Problem::new(format!("no answer within {limit:?}"))),
            outcomes = backend.set_passwords(&batch) => outcomes,
        }
    })
    .await;
}

/// Puts on record what is told.
pub(super) async fn serve_audit(
    engine: &Engine,
    unrecorded: &Trouble,
    events: Worker<Event, Result<(), Problem>>,
) {
    let audit = &engine.audit;
    events
        .run(|batch: Vec<Event>| async move {
            let recorded = match audit {
                Some(audit) => timeout(RECORDING, audit.append(&batch)).await,
                None => Ok(Ok(())),
            };
            let recorded = match recorded {
                Ok(recorded) => recorded.map_err(|error| Problem {
                    message: format!("the audit record cannot be written: {error}"),
                    ..error.problem()
                }),
                Err(_) => Err(Problem::new(format!(
                    "the audit record took no event within {RECORDING:?}"
                ))),
            };
            if let Err(problem) = &recorded {
                unrecorded.tell(problem.clone());
            }
            vec![recorded; batch.len()]
        })
        .await;
}
