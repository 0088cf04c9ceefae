//! One account: stage → set → verify → commit, whatever happens in between.
//!
//! Every `await` here is a point at which the future may be dropped. At each of them the password that is live in the
//! directory is in the store, because a version is staged before it is sent, and leaves the store only after the
//! directory certainly did not take it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, timeout};

use super::batch::Batcher;
use super::feed::{Events, Tally};
use super::gate::Gate;
use super::lease::HeldLease;
use super::stop::StopHandle;
use super::{Engine, EngineOptions};
use crate::{
    Account, AccountId, AccountKey, AccountResult, BackendError, Commit, Committed, EventKind,
    NewVersion, Origin, Outcome, Planned, Problem, Refusal, RefusalReason, RunId, Select,
    SetPassword, SignIn, StoreError, TenantId, Verify, Version, VersionKey, VersionState,
};

/// What all accounts of a run share.
pub(super) struct Shared<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: RunId,
    pub(super) tenant: TenantId,
    pub(super) caller: AccountId,
    pub(super) planned_at: Timestamp,
    pub(super) stage: Batcher<NewVersion, Result<(), StoreError>>,
    pub(super) set: Batcher<SetPassword, Outcome>,
    pub(super) commit: Batcher<Commit, Result<(), StoreError>>,
    pub(super) lease: HeldLease,
    pub(super) gate: Gate,
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

/// What verification saw.
#[derive(Default)]
struct Verified {
    /// When the directory answered a repeated set.
    answered_at: Option<Timestamp>,
    /// Where its change time moved to.
    moved: Option<Timestamp>,
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

/// How often to look whether the directory's change time has moved.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

/// The directory's change time may be read from another machine's clock than the one that dated its answer, and both are
/// in whole seconds.
const DATE_SLACK: SignedDuration = SignedDuration::from_secs(5);

impl Shared<'_> {
    /// Gives the planned account a new password.
    pub(super) async fn rotate(&self, planned: &Planned) -> Ended {
        let mut refusals = 0;
        let mut left_pending = false;
        let mut last_refusal = None;
        let end = |unsettled, problem| Ended::With(ended(unsettled, problem));
        loop {
            let account = &planned.account;
            let staged = async {
                let version = self.stage(planned).await?;
                match self.change_time(account).await {
                    Ok(before) => Ok((before, version)),
                    Err(problem) => {
                        self.discard_unless(false, &version.key).await;
                        Err(NotStaged::Problem(problem))
                    }
                }
            };
            let (before, version) = match staged.await {
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
            let attempts = self.set(&version, &mut ambiguous).await;
            let refusal = match attempts {
                Attempts::Applied(applied) => {
                    let settled = self.settle(account, &version, before, applied, left_pending);
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
            .with_planned_at(self.planned_at)
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

    /// Sends one version until the directory gives a definite answer.
    async fn set(&self, version: &NewVersion, ambiguous: &mut bool) -> Attempts {
        let retry = &self.options().retry;
        let request = self.request(version);
        let mut throttled_since = None;
        let (mut throttled, mut lost) = (0, 0);
        let mut last = None;
        loop {
            let Some(turn) = self.stop.during(self.gate.turn()).await else {
                return last.map_or(Attempts::NotTried, Attempts::GaveUp);
            };
            let outcome = self.attempt(&version.key, &request).await;
            drop(turn);
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
                    throttled += 1;
                    let wait = retry.throttled(retry_after, throttled);
                    if self.gate.close_for(wait) {
                        self.events
                            .emit(EventKind::Paused {
                                seconds: wait.as_secs_f64(),
                            })
                            .await;
                    }
                    if since.elapsed() + wait > retry.longest_throttling {
                        return Attempts::GaveUp(problem);
                    }
                    last = Some(problem);
                    continue;
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

    fn request(&self, version: &NewVersion) -> SetPassword {
        let account = version.key.account.account.clone();
        let mut request = SetPassword::new(account, Arc::clone(&version.password));
        request.force_change = self.engine.policy.force_change_at_next_sign_in;
        request
    }

    /// Sends one version once.
    async fn attempt(&self, version: &VersionKey, request: &SetPassword) -> Outcome {
        let left_out =
            || Outcome::Unknown(Problem::new("the backend's answer leaves this account out"));
        let answer = self.set.call(request.clone()).await;
        let outcome = answer.unwrap_or_else(left_out);
        self.tally.count(&outcome);
        let attempted = EventKind::Attempted {
            account: version.account.account.clone(),
            version: version.version,
            outcome: (&outcome).into(),
        };
        // what cannot be recorded stops the run; what was sent is seen through all the same
        let _stops_the_run = self.events.record(attempted).await;
        outcome
    }

    /// The directory's own change time before the set: our clock is never compared with the directory's.
    async fn change_time(&self, account: &Account) -> Result<Option<Timestamp>, Problem> {
        if self.engine.policy.verify == Verify::None {
            return Ok(None);
        }
        let retry = &self.options().retry;
        let mut attempt = 1;
        loop {
            match self.read_change_time(account).await {
                Err(BackendError::Unavailable(_))
                    if attempt < retry.attempts && !self.stop.requested() =>
                {
                    sleep(retry.backoff(attempt)).await;
                    attempt += 1;
                }
                read => {
                    return read.map_err(|error| Problem {
                        message: format!(
                            "its change time cannot be read, so nothing was set: {error}"
                        ),
                        ..error.problem().clone()
                    });
                }
            }
        }
    }

    /// One read in turn with the other requests.
    async fn read_change_time(&self, account: &Account) -> Result<Option<Timestamp>, BackendError> {
        let _turn = self.gate.turn().await;
        let read = self.engine.backend.password_changed(&account.id);
        let late = |_| BackendError::Unavailable(Problem::new("no answer"));
        timeout(self.options().attempt_timeout, read)
            .await
            .unwrap_or_else(|late_by| Err(late(late_by)))
    }

    /// The version is live: makes it current, once verified if the policy asks for it.
    async fn settle(
        &self,
        account: &Account,
        version: &NewVersion,
        before: Option<Timestamp>,
        applied: Applied,
        left_pending: bool,
    ) -> AccountResult {
        let verified = match self.engine.policy.verify {
            Verify::None => Ok(Verified::default()),
            Verify::Timestamp => self.has_moved(account, version, before).await,
            Verify::SignIn => self.signs_in(account, version, before).await,
        };
        let baseline = match verified {
            Ok(Verified { answered_at, moved }) => {
                // if an earlier password of ours may still arrive, anything after our answer is told
                let slack = if left_pending {
                    SignedDuration::ZERO
                } else {
                    DATE_SLACK
                };
                let answered = answered_at.or(applied.answered_at);
                answered.and_then(|at| at.checked_add(slack).ok()).or(moved)
            }
            Err(problem) => {
                let problem = problem.with_fix("the next run settles this account");
                return AccountResult::Unsettled { problem };
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

    /// Waits until the directory's change time moves, which is evidence. If it does not within the time allowed for its
    /// replication, setting the same password again is proof.
    async fn has_moved(
        &self,
        account: &Account,
        version: &NewVersion,
        before: Option<Timestamp>,
    ) -> Result<Verified, Problem> {
        let limit = self.options().verify_timeout;
        let moved = async {
            loop {
                let now = self.read_change_time(account).await.ok().flatten();
                if now.is_some() && now != before {
                    return now;
                }
                sleep(VERIFY_INTERVAL).await;
            }
        };
        if let Ok(moved) = timeout(limit, moved).await {
            return Ok(Verified {
                moved,
                ..Verified::default()
            });
        }
        let again = async {
            let _turn = self.stop.during(self.gate.turn()).await?;
            Some(self.attempt(&version.key, &self.request(version)).await)
        };
        match again.await {
            Some(Outcome::Applied { answered_at, .. }) => Ok(Verified {
                answered_at,
                ..Verified::default()
            }),
            _ => Err(Problem::new(format!(
                "set, but the directory's change time did not move within {limit:?}, and setting it again was not confirmed"
            ))),
        }
    }

    /// Signs in with the password until it is accepted.
    async fn signs_in(
        &self,
        account: &Account,
        version: &NewVersion,
        before: Option<Timestamp>,
    ) -> Result<Verified, Problem> {
        let (began, limit) = (Instant::now(), self.options().verify_timeout);
        // doubling, so that a replica that lags does not lock the account
        let mut wait = VERIFY_INTERVAL;
        loop {
            let asked = self.engine.backend.signs_in(account, &version.password);
            match timeout(self.options().attempt_timeout, asked).await {
                Ok(SignIn::Right) => return Ok(Verified::default()),
                Ok(SignIn::CannotTell(_)) => return self.has_moved(account, version, before).await,
                Ok(SignIn::Wrong) | Err(_) if began.elapsed() + wait < limit => {
                    sleep(wait).await;
                    wait *= 2;
                }
                Ok(SignIn::Wrong) | Err(_) => {
                    return Err(Problem::new(format!(
                        "set, but it did not sign in within {limit:?}"
                    )));
                }
            }
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

    fn options(&self) -> &EngineOptions {
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
