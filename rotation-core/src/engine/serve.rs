//! Answers what the accounts under way ask of store, backend and audit record.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Engine;
use super::batch::{Portion, Worker};
use super::batching::Chooser;
use super::lease::HeldLease;
use super::pace::Pace;
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
    let all = engine.accounts_under_way();
    tokio::join!(
        stage.run(all, |batch: Vec<NewVersion>| async move {
            store.stage(&batch).await
        }),
        commit.run(all, |batch: Vec<Commit>| async move {
            store.commit(&batch).await
        }),
    );
}

/// Answers what they ask of the backend, while the lease lasts. There is no outcome if the directory asked to be left
/// alone while they waited here: then they wait for another turn.
pub(super) async fn serve_backend(
    engine: &Engine,
    pace: &Pace,
    lease: &HeldLease,
    set: Worker<SetPassword, Option<Outcome>>,
) {
    let backend = &engine.backend;
    let limit = engine.options.attempt_timeout.min(lease.ttl() / 2);
    let chooser = &Chooser::new(engine.options.batching, backend.max_batch().max(1));
    let requests = Requests {
        chooser,
        pace,
        most: engine.requests(),
    };
    set.run(requests, |batch: Vec<SetPassword>| async move {
        let all = |outcome| vec![outcome; batch.len()];
        if !lease.lasts(limit).await {
            let problem = Problem::new("the lease was not renewed in time, so nothing was sent")
                .with_fix("look for a store that stalls, or a machine that sleeps");
            return all(Some(Outcome::NotSent(problem)));
        }
        if pace.is_paused() {
            return all(None);
        }
        let _under_way = pace.controller().leaves();
        let began = Instant::now();
        let outcomes = tokio::select! {
            // first, so that what was not sent in time is never sent later, when the lease may be lost
            biased;
            () = sleep(limit) => {
                let problem = Problem::new(format!("no answer within {limit:?}"));
                all(Some(Outcome::Unknown(problem)))
            }
            outcomes = backend.set_passwords(&batch) => outcomes.into_iter().map(Some).collect(),
        };
        chooser.took(batch.len(), began.elapsed());
        outcomes
    })
    .await;
}

/// So many passwords in each request and so many requests at once.
struct Requests<'a> {
    chooser: &'a Chooser,
    pace: &'a Pace,
    most: usize,
}

impl Portion for Requests<'_> {
    fn items(&self) -> usize {
        self.chooser.next()
    }

    fn batches(&self) -> usize {
        self.pace.controller().requests_at_once().min(self.most)
    }
}

/// Puts on record what is told.
pub(super) async fn serve_audit(
    engine: &Engine,
    unrecorded: &Trouble,
    events: Worker<Event, Result<(), Problem>>,
) {
    let audit = &engine.audit;
    events
        .run(
            engine.accounts_under_way(),
            |batch: Vec<Event>| async move {
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
            },
        )
        .await;
}
