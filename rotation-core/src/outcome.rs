use std::time::Duration;

use jiff::Timestamp;

use crate::Problem;

/// What became of one request to set a password. This decides everything that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The directory said that the password is set.
    Applied {
        /// The server's id of the request.
        request_id: Option<String>,
        /// When the server answered, by its own clock, if it said so.
        answered_at: Option<Timestamp>,
    },
    /// The request never left this machine (no connection, no token): nothing was applied. Worth repeating.
    NotSent(Problem),
    /// The directory said no, for good: nothing was applied and repeating will not help.
    Refused(Refusal),
    /// The directory asks to come back later, with the same password.
    Throttled {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Whether it may have been applied all the same. False for a 429; a 503 promises nothing.
        ambiguous: bool,
        /// What it said.
        problem: Problem,
    },
    /// Sent, and the answer is lost or says nothing: it may have been applied.
    Unknown(Problem),
}

impl Outcome {
    /// Whether the directory may now have this password without having said so.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            Self::Unknown(_)
                | Self::Throttled {
                    ambiguous: true,
                    ..
                }
        )
    }
}

/// A definite no.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What would have to change.
    pub reason: RefusalReason,
    /// What the directory said, and the fix.
    pub problem: Problem,
}

impl Refusal {
    /// A refusal for `reason`.
    #[must_use]
    pub fn new(reason: RefusalReason, problem: Problem) -> Self {
        Self { reason, problem }
    }
}

/// What would have to change for a refused password to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The account: it does not exist (any more).
    AccountMissing,
    /// The caller's permissions or roles.
    NotAllowed,
    /// Something else about the request or the account.
    Other,
    /// The password: too simple, banned, or used before. A fresh one may pass.
    Password,
}
