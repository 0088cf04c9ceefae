//! One account: stage → set → verify → commit, whatever happens in between.
//!
//! Every `await` here is a point at which the future may be dropped. At each of them the password that is live in the
//! directory is in the store, because a version is staged before it is sent, and leaves the store only after the
//! directory certainly did not take it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::batch::Batcher;
use super::feed::{Events, Tally};
use super::lease::HeldLease;
use super::pace::Pace;
use super::stop::StopHandle;
use super::verify::{Look, Verified};
use super::{Engine, EngineOptions};
use crate::{
    AccountId, AccountKey, AccountKind, AccountResult, Commit, Committed, EventKind, NewVersion,
    Origin, Outcome, Planned, Problem, Refusal, RefusalReason, RunId, Select, SetPassword,
    StoreError, TenantId, Turn, Version, VersionKey, VersionState,
};

/// What all accounts of a run share.
pub(super) struct Shared<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: RunId,
    pub(super) tenant: TenantId,
    pub(super) caller: AccountId,
    pub(super) planned_at: Timestamp,
    pub(super) stage: Batcher<NewVersion, Result<(), StoreError>>,
    pub(super) set: Batcher<SetPassword, Option<Outcome>>,
    pub(super) commit: Batcher<Commit, Result<(), StoreError>>,
    pub(super) lease: HeldLease,
    pub(super) pace: Pace,
    pub(super) stop: StopHandle,
    pub(super) events: Events,
    pub(super) tally: Tally,
}

/// How an account ended, this time.
pub(super) enum Ended {
    /// For good.
    With(AccountResult),
    /// Another run that may be dead has it: worth another try once that one's lease lapses.
    Leased { by: RunId, lapses_in: Duration },
}

/// How the attempts to set one version ended.
enum Attempts {
    Applied(Applied),
    Refused(Refusal),
    /// No definite answer within the retry budget.
    GaveUp(Problem),
    /// The run stops, and nothing was sent.
    NotTried,
}

/// What the directory said with its yes.
struct Applied {
    request_id: Option<String>,
    answered_at: Option<Timestamp>,
}

/// What the store says of an account now, as opposed to when the plan was made.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) drifted: bool,
    pub(super) unsettled: bool,
}

/// Why a version was not staged.
enum NotStaged {
    Leased { by: RunId, lapses_in: Duration },
    LeaseLost,
    Problem(Problem),
    RotatedSince { by: RunId },
}

/// The directory's change time may be read from another machine's clock than the one that dated its answer, and both are
/// in whole seconds.
const DATE_SLACK: SignedDuration = SignedDuration::from_secs(5);

impl Shared<'_> {
    /// Gives the planned account a new password, in its `turn` if it has one. What the directory says to a `canary` is
    /// verified whatever the policy says, as far as the directory tells change times.
    pub(super) async fn rotate(
        &self,
        planned: &Planned,
        mut turn: Option<Turn>,
        canary: bool,
    ) -> Ended {
        let look = Look::at(self.engine.policy.verify, canary);
        let mut refusals = 0;
        let mut left_pending = false;
        let mut last_refusal = None;
        let end = |unsettled, problem| Ended::With(ended(unsettled, problem));
        loop {
            let account = &planned.account;
            let staged = async {
                let version = self.stage(planned).await?;
                match self.change_time(account, look).await {
                    Ok(before) => Ok((before, version)),
                    Err(problem) => {
                        self.discard_unless(false, &version.key).await;
                        Err(NotStaged::Problem(problem))
                    }
                }
            };
            let staged = staged.await;
            if staged.is_err()
                && let Some(turn) = turn.take()
            {
                turn.unused();
            }
            let (before, version) = match staged {
                Ok(staged) => staged,
                Err(NotStaged::Problem(problem)) => return end(left_pending, problem),
                Err(other) if left_pending => return end(true, taken_over(&other)),
                Err(NotStaged::LeaseLost) => return Ended::With(AccountResult::NotTried),
                Err(NotStaged::Leased { by, lapses_in }) => return Ended::Leased { by, lapses_in },
                Err(NotStaged::RotatedSince { by }) => {
                    return Ended::With(AccountResult::LeftToOther { run: by });
                }
            };
            let mut ambiguous = false;
            let attempts = self
                .set(&version, account.kind, turn.take(), &mut ambiguous)
                .await;
            let refusal = match attempts {
                Attempts::Applied(applied) => {
                    let earlier = left_pending || planned.unsettled;
                    let verified = self.verify(account, &version, before, look).await;
                    let settled = self.settle(&version, applied, verified, earlier);
                    return Ended::With(settled.await);
                }
                Attempts::GaveUp(problem) => {
                    self.discard_unless(ambiguous, &version.key).await;
                    return end(left_pending || ambiguous, problem);
                }
                Attempts::NotTried => {
                    self.discard_unless(ambiguous, &version.key).await;
                    return last_refusal.map_or(Ended::With(AccountResult::NotTried), |problem| {
                        end(left_pending, problem)
                    });
                }
                Attempts::Refused(refusal) => refusal,
            };
            self.discard_unless(ambiguous, &version.key).await;
            left_pending |= ambiguous;
            refusals += 1;
            // after a lost answer the refusal may be about the repeat: only a fresh password can tell
            let may_pass = ambiguous || refusal.reason == RefusalReason::Password;
            if !may_pass || refusals > self.options().retry.fresh_passwords || self.stop.requested()
            {
                return end(left_pending, refusal.problem);
            }
            last_refusal = Some(refusal.problem);
        }
    }

    /// Draws a password and makes it durable as pending, which claims the account for this run.
    async fn stage(&self, planned: &Planned) -> Result<NewVersion, NotStaged> {
        let account = &planned.account;
        let drawn = self.engine.policy.draw(&self.engine.generator, account);
        let password = drawn.map_err(NotStaged::Problem)?;
        let key = AccountKey {
            tenant: self.tenant.clone(),
            account: account.id.clone(),
        };
        let now = self.engine.clock.now();
        let version = NewVersion::new(key, &account.user_name, self.run, now, Arc::new(password))
            .with_planned_at(planned.planned_at.unwrap_or(self.planned_at))
            .with_origin(Origin {
                caller: self.caller.to_string(),
                backend: self.engine.backend.name().to_owned(),
                reason: planned.decision.to_string(),
            });
        if let Err(error) = self.persist(&self.stage, &version).await {
            return Err(match error {
                StoreError::Leased { run, lapses_in, .. } => {
                    NotStaged::Leased { by: run, lapses_in }
                }
                StoreError::LeaseLost(_) => {
                    // it may be there all the same, of an earlier try
                    self.discard_unless(false, &version.key).await;
                    self.lease.lose(&error);
                    NotStaged::LeaseLost
                }
                StoreError::RotatedSince { run, .. } => NotStaged::RotatedSince { by: run },
                error => {
                    // it may be there all the same; the directory certainly has not heard of it
                    self.discard_unless(false, &version.key).await;
                    let what = "the new password could not be stored, so it was not set";
                    NotStaged::Problem(store_problem(what, &error))
                }
            });
        }
        let staged = EventKind::Staged {
            account: account.id.clone(),
            version: version.key.version,
        };
        if let Err(problem) = self.events.record(staged).await {
            self.discard_unless(false, &version.key).await;
            return Err(NotStaged::Problem(problem));
        }
        Ok(version)
    }

    /// Sends one version until the directory gives a definite answer, the first time in its `turn` if it has one.
    async fn set(
        &self,
        version: &NewVersion,
        kind: AccountKind,
        mut turn: Option<Turn>,
        ambiguous: &mut bool,
    ) -> Attempts {
        let retry = &self.options().retry;
        let mut throttled_since = None;
        let (mut throttled, mut lost) = (0, 0);
        let mut last = None;
        loop {
            let Some(outcome) = self.attempt(version, kind, turn.take()).await else {
                return last.map_or(Attempts::NotTried, Attempts::GaveUp);
            };
            *ambiguous |= outcome.is_ambiguous();
            let wait = match outcome {
                Outcome::Applied {
                    request_id,
                    answered_at,
                } => {
                    return Attempts::Applied(Applied {
                        request_id,
                        answered_at,
                    });
                }
                Outcome::Refused(refusal) => return Attempts::Refused(refusal),
                Outcome::Throttled {
                    retry_after,
                    problem,
                    ..
                } => {
                    let since = *throttled_since.get_or_insert_with(Instant::now);
                    let wait = retry_after.unwrap_or_default();
                    if since.elapsed().saturating_add(wait) > retry.longest_throttling {
                        return Attempts::GaveUp(problem);
                    }
                    last = Some(problem);
                    if self.pace.is_paused() {
                        continue;
                    }
                    // it is this account that is busy
                    throttled += 1;
                    retry.backoff(throttled)
                }
                Outcome::NotSent(problem) | Outcome::Unknown(problem) => {
                    lost += 1;
                    if lost >= retry.attempts {
                        return Attempts::GaveUp(problem);
                    }
                    last = Some(problem);
                    retry.backoff(lost)
                }
            };
            // a stop cuts the wait short; the gate above then gives up
            let _stopped = self.stop.during(sleep(wait)).await;
        }
    }

    /// Sends one version once, in its `turn` if it has one; nothing if the run stops.
    pub(super) async fn attempt(
        &self,
        version: &NewVersion,
        kind: AccountKind,
        mut turn: Option<Turn>,
    ) -> Option<Outcome> {
        loop {
            let place = self.pace.place(turn.take());
            let place = self.stop.during(place).await?;
            if let Some(outcome) = self.send(version, kind).await {
                return Some(outcome);
            }
            place.unused();
        }
    }

    /// Sends one version, unless the directory asks to be left alone before it leaves.
    async fn send(&self, version: &NewVersion, kind: AccountKind) -> Option<Outcome> {
        let account = &version.key.account.account;
        let mut request = SetPassword::new(account.clone(), Arc::clone(&version.password));
        request.force_change = self.engine.policy.force_change_at_next_sign_in;
        request.kind = kind;
        let left_out = || {
            let problem = Problem::new("the backend's answer leaves this account out");
            Some(Outcome::Unknown(problem))
        };
        let outcome = self.set.call(request).await.unwrap_or_else(left_out)?;
        self.tally.count(&outcome);
        // first of all, so that nobody sends meanwhile
        let pause = self.pace.heard(&outcome);
        let attempted = EventKind::Attempted {
            account: account.clone(),
            version: version.key.version,
            outcome: (&outcome).into(),
        };
        // what cannot be recorded stops the run; what was sent is seen through all the same
        let _stops_the_run = self.events.record(attempted).await;
        if let Some(pause) = pause {
            let seconds = pause.as_secs_f64();
            self.events.emit(EventKind::Paused { seconds }).await;
        }
        Some(outcome)
    }

    /// The version is live: makes it current, if it was verified. An `earlier` password of ours may still arrive.
    async fn settle(
        &self,
        version: &NewVersion,
        applied: Applied,
        verified: Result<Verified, Problem>,
        earlier: bool,
    ) -> AccountResult {
        let baseline = match verified {
            Ok(Verified { answered_at, moved }) => {
                // should it, anything after our answer is told
                let slack = if earlier {
                    SignedDuration::ZERO
                } else {
                    DATE_SLACK
                };
                let answered = answered_at.or(applied.answered_at);
                answered.and_then(|at| at.checked_add(slack).ok()).or(moved)
            }
            Err(problem) => {
                let fix = problem.fix.clone();
                let fix = fix.unwrap_or_else(|| "the next run settles this account".to_owned());
                return AccountResult::Unsettled {
                    problem: problem.with_fix(fix),
                };
            }
        };
        let committed = Committed::new(self.engine.clock.now())
            .with_request_id(applied.request_id)
            .with_baseline(baseline);
        let commit = Commit {
            key: version.key.clone(),
            committed,
        };
        match self.persist(&self.commit, &commit).await {
            Ok(()) => AccountResult::Rotated {
                version: version.key.version,
            },
            Err(error) => AccountResult::Unsettled {
                problem: store_problem(
                    "set, but the store could not make it current; it is kept as pending",
                    &error,
                ),
            },
        }
    }

    /// Asks the store, and asks again while it is merely unavailable: by its contract a repeat does no harm.
    async fn persist<I: Clone + Send + Sync>(
        &self,
        store: &Batcher<I, Result<(), StoreError>>,
        item: &I,
    ) -> Result<(), StoreError> {
        let retry = &self.options().retry;
        let mut attempt = 1;
        loop {
            let left_out = || {
                Err(StoreError::Unusable(Problem::new(
                    "its answer leaves this account out",
                )))
            };
            match store.call(item.clone()).await.unwrap_or_else(left_out) {
                Err(StoreError::Unavailable { .. }) if attempt < retry.attempts => {
                    sleep(retry.backoff(attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Drops a version that the directory certainly did not take. If the store fails to, it merely keeps one too many.
    async fn discard_unless(&self, ambiguous: bool, version: &VersionKey) {
        if !ambiguous && self.engine.store.discard(version).await.is_ok() {
            let (account, version) = (version.account.account.clone(), version.version);
            self.events
                .emit(EventKind::Discarded { account, version })
                .await;
        }
    }

    /// Asks the store again for one account. Whatever it does not say is as it was planned.
    pub(super) async fn look_again(&self, planned: &Planned) -> Standing {
        let account = AccountKey {
            tenant: self.tenant.clone(),
            account: planned.account.id.clone(),
        };
        let versions = self.engine.store.versions(Select::Account(account));
        let Ok(versions) = versions.try_collect::<Vec<_>>().await else {
            return Standing {
                drifted: planned.drifted.is_some(),
                unsettled: planned.unsettled,
            };
        };
        let has_drifted =
            |version: &Version| planned.drifted.is_some_and(|at| version.has_drifted(at));
        Standing {
            drifted: versions.iter().any(has_drifted),
            unsettled: versions
                .iter()
                .any(|version| version.state == VersionState::Pending),
        }
    }

    pub(super) fn options(&self) -> &EngineOptions {
        &self.engine.options
    }
}

/// What to say if an earlier version of ours may be live, and no fresh one could be staged.
fn taken_over(why: &NotStaged) -> Problem {
    let by = match why {
        NotStaged::Leased { by, .. } | NotStaged::RotatedSince { by } => format!("run {by}"),
        NotStaged::LeaseLost | NotStaged::Problem(_) => "another run".to_owned(),
    };
    Problem::new(format!(
        "an answer was lost, and {by} may have taken the account over"
    ))
    .with_fix("the next run settles this account")
}

fn ended(unsettled: bool, problem: Problem) -> AccountResult {
    if unsettled {
        AccountResult::Unsettled { problem }
    } else {
        AccountResult::Failed { problem }
    }
}

pub(super) fn store_problem(what: &str, error: &StoreError) -> Problem {
    let mut problem = Problem::new(format!("{what}: {error}"));
    if let StoreError::Unavailable { problem: cause, .. } | StoreError::Unusable(cause) = error {
        problem.fix.clone_from(&cause.fix);
    }
    problem
}
