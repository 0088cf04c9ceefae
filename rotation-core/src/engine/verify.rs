//! Whether a password that the directory said yes to is live.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::rotate::Shared;
use crate::{Account, AccountKind, BackendError, NewVersion, Outcome, Problem, SignIn, Verify};

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At the change time, if the directory tells it.
    IfTold,
    /// Its word is enough.
    Not,
    /// By signing in.
    SignIn,
    /// At the change time.
    Timestamp,
}

impl Look {
    /// As the policy says; closer at the first ones.
    pub(super) fn at(policy: Verify, canary: bool) -> Self {
        match policy {
            Verify::None if canary => Self::IfTold,
            Verify::None => Self::Not,
            Verify::SignIn => Self::SignIn,
            Verify::Timestamp => Self::Timestamp,
        }
    }
}

/// What verification saw.
#[derive(Default)]
pub(super) struct Verified {
    /// When the directory answered a repeated set.
    pub(super) answered_at: Option<Timestamp>,
    /// Where its change time moved to.
    pub(super) moved: Option<Timestamp>,
}

/// How often to look whether the directory's change time has moved.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

impl Shared<'_> {
    /// Verifies a version that the directory said yes to; `before` is the change time of before.
    pub(super) async fn verify(
        &self,
        account: &Account,
        version: &NewVersion,
        before: Option<Timestamp>,
        look: Look,
    ) -> Result<Verified, Problem> {
        match look {
            Look::Not => Ok(Verified::default()),
            Look::IfTold if before.is_none() => Ok(Verified::default()),
            Look::IfTold | Look::Timestamp => self.has_moved(account, version, before).await,
            Look::SignIn => self.signs_in(account, version, before).await,
        }
    }

    /// The directory's own change time before the set: our clock is never compared with the directory's.
    pub(super) async fn change_time(
        &self,
        account: &Account,
        look: Look,
    ) -> Result<Option<Timestamp>, Problem> {
        if look == Look::Not {
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
        let _turn = self.pace.read().await;
        let read = self.engine.backend.password_changed(&account.id);
        let late = |_| BackendError::Unavailable(Problem::new("no answer"));
        timeout(self.options().attempt_timeout, read)
            .await
            .unwrap_or_else(|late_by| Err(late(late_by)))
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
        if account.kind == AccountKind::Synced {
            // once more would be one more sync to wait for
            let problem = Problem::new(format!(
                "set, but the tenant did not know of it within {} s of syncing",
                limit.as_secs()
            ));
            return Err(problem.with_fix(
                "see whether passwords are synced between the domain and the tenant; the next run settles this account",
            ));
        }
        match self.attempt(version, account.kind, None).await {
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
            let turn = self.pace.read().await;
            let asked = self.engine.backend.signs_in(account, &version.password);
            let answer = timeout(self.options().attempt_timeout, asked).await;
            drop(turn);
            match answer {
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
}
