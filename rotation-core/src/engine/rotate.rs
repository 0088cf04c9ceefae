//! One account: stage → set → verify → commit, whatever happens in between.
//!
//! Every `await` here is a point at which the future may be dropped. At each of them the password that is live in the
//! directory is in the store, because a version is staged before it is sent, and leaves the store only after the
//! directory certainly did not take it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::batch::Batcher;
use super::feed::{Events, Tally};
use super::gate::Gate;
use super::stop::StopHandle;
use super::{Engine, EngineOptions};
use crate::{
    Account, AccountKey, AccountResult, EventKind, NewVersion, Outcome, Problem, Refusal,
    RefusalReason, RunId, SetPassword, StoreError, TenantId, Verify, VersionKey,
};

/// What all accounts of a run share.
pub(super) struct Shared<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: RunId,
    pub(super) tenant: TenantId,
    pub(super) stage: Batcher<NewVersion, Result<(), StoreError>>,
    pub(super) set: Batcher<SetPassword, Outcome>,
    pub(super) commit: Batcher<VersionKey, Result<(), StoreError>>,
    pub(super) gate: Gate,
    pub(super) stop: StopHandle,
    pub(super) events: Events,
    pub(super) tally: Tally,
}

/// How the attempts to set one version ended.
enum Attempts {
    Applied,
    Refused(Refusal),
    /// No definite answer within the retry budget.
    GaveUp(Problem),
    /// The run stops, and nothing was sent.
    NotTried,
}

/// How often to look whether the directory's change time has moved.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

impl Shared<'_> {
    /// Gives `account` a new password.
    pub(super) async fn rotate(&self, account: &Account) -> AccountResult {
        let mut refusals = 0;
        let mut left_pending = false;
        let mut last_refusal = None;
        loop {
            let staged = async {
                let before = self.change_time(account).await?;
                Ok((before, self.stage(account).await?))
            };
            let (before, version) = match staged.await {
                Ok(staged) => staged,
                Err(problem) => return ended(left_pending, problem),
            };
            let mut ambiguous = false;
            let attempts = self.set(&version, &mut ambiguous).await;
            let refusal = match attempts {
                Attempts::Applied => return self.settle(account, &version.key, before).await,
                Attempts::GaveUp(problem) => {
                    self.discard_unless(ambiguous, &version.key).await;
                    return ended(left_pending || ambiguous, problem);
                }
                Attempts::NotTried => {
                    self.discard_unless(ambiguous, &version.key).await;
                    return last_refusal.map_or(AccountResult::NotTried, |problem| {
                        ended(left_pending, problem)
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
                return ended(left_pending, refusal.problem);
            }
            last_refusal = Some(refusal.problem);
        }
    }

    /// Draws a password and makes it durable as pending.
    async fn stage(&self, account: &Account) -> Result<NewVersion, Problem> {
        let password = self.engine.policy.draw(&self.engine.generator, account)?;
        let key = AccountKey {
            tenant: self.tenant.clone(),
            account: account.id.clone(),
        };
        let now = self.engine.clock.now();
        let version = NewVersion::new(key, &account.user_name, self.run, now, Arc::new(password));
        if let Err(error) = self.persist(&self.stage, &version).await {
            // it may be there all the same; the directory certainly has not heard of it
            self.discard_unless(false, &version.key).await;
            let what = "the new password could not be stored, so it was not set";
            return Err(store_problem(what, &error));
        }
        let (account, id) = (account.id.clone(), version.key.version);
        self.events
            .emit(EventKind::Staged {
                account,
                version: id,
            })
            .await;
        Ok(version)
    }

    /// Sends one version until the directory gives a definite answer.
    async fn set(&self, version: &NewVersion, ambiguous: &mut bool) -> Attempts {
        let retry = &self.options().retry;
        let mut request = SetPassword::new(
            version.key.account.account.clone(),
            Arc::clone(&version.password),
        );
        request.force_change = self.engine.policy.force_change_at_next_sign_in;
        let mut throttled_since = None;
        let (mut throttled, mut lost) = (0, 0);
        let mut last = None;
        loop {
            let Some(turn) = self.stop.during(self.gate.turn()).await else {
                return last.map_or(Attempts::NotTried, Attempts::GaveUp);
            };
            let outcome = self.attempt(&request).await;
            drop(turn);
            *ambiguous |= outcome.is_ambiguous();
            self.tally.count(&outcome);
            let (account, id) = (request.account.clone(), version.key.version);
            self.events
                .emit(EventKind::Attempted {
                    account,
                    version: id,
                    outcome: (&outcome).into(),
                })
                .await;
            let wait = match outcome {
                Outcome::Applied { .. } => return Attempts::Applied,
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
            let _stopped = self.stop.during(tokio::time::sleep(wait)).await;
        }
    }

    async fn attempt(&self, request: &SetPassword) -> Outcome {
        let left_out =
            || Outcome::Unknown(Problem::new("the backend's answer leaves this account out"));
        self.set
            .call(request.clone())
            .await
            .unwrap_or_else(left_out)
    }

    /// The directory's own change time before the set: our clock is never compared with the directory's.
    async fn change_time(&self, account: &Account) -> Result<Option<Timestamp>, Problem> {
        if self.engine.policy.verify == Verify::None {
            return Ok(None);
        }
        let read = self.engine.backend.password_changed(&account.id);
        let failed = |problem: &Problem| {
            Problem::new(format!(
                "its change time cannot be read, so nothing was set: {problem}"
            ))
        };
        match timeout(self.options().attempt_timeout, read).await {
            Ok(Ok(changed)) => Ok(changed),
            Ok(Err(error)) => Err(failed(error.problem())),
            Err(_) => Err(failed(&Problem::new("no answer"))),
        }
    }

    /// The version is live: makes it current, once verified if the policy asks for it.
    async fn settle(
        &self,
        account: &Account,
        version: &VersionKey,
        before: Option<Timestamp>,
    ) -> AccountResult {
        if self.engine.policy.verify == Verify::Timestamp && !self.has_moved(account, before).await
        {
            let limit = self.options().verify_timeout;
            let problem = Problem::new(format!(
                "set, but the directory's change time did not move within {limit:?}"
            ))
            .with_fix("the next run settles this account");
            return AccountResult::Unsettled { problem };
        }
        match self.commit(version).await {
            Ok(()) => AccountResult::Rotated {
                version: version.version,
            },
            Err(problem) => AccountResult::Unsettled { problem },
        }
    }

    /// Whether the directory's change time moves within the time allowed for its replication.
    async fn has_moved(&self, account: &Account, before: Option<Timestamp>) -> bool {
        let moved = async {
            loop {
                let now = self
                    .engine
                    .backend
                    .password_changed(&account.id)
                    .await
                    .ok()
                    .flatten();
                if now.is_some() && now != before {
                    return;
                }
                tokio::time::sleep(VERIFY_INTERVAL).await;
            }
        };
        timeout(self.options().verify_timeout, moved).await.is_ok()
    }

    async fn commit(&self, version: &VersionKey) -> Result<(), Problem> {
        let committed = self.persist(&self.commit, version).await;
        committed.map_err(|error| match error {
            StoreError::NotPending(_) => store_problem(
                "set, but another run has settled this account meanwhile",
                &error,
            ),
            _ => store_problem(
                "set, but the store could not make it current; it is kept as pending",
                &error,
            ),
        })
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
                    tokio::time::sleep(retry.backoff(attempt)).await;
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

    fn options(&self) -> &EngineOptions {
        &self.engine.options
    }
}

fn ended(unsettled: bool, problem: Problem) -> AccountResult {
    if unsettled {
        AccountResult::Unsettled { problem }
    } else {
        AccountResult::Failed { problem }
    }
}

fn store_problem(what: &str, error: &StoreError) -> Problem {
    let mut problem = Problem::new(format!("{what}: {error}"));
    if let StoreError::Unavailable { problem: cause, .. } | StoreError::Unusable(cause) = error {
        problem.fix.clone_from(&cause.fix);
    }
    problem
}
