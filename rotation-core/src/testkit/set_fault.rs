use std::time::Duration;

use crate::{AccountId, Outcome, Problem, Refusal, RefusalReason};

/// Which calls of a [`MemoryBackend`](super::MemoryBackend) fail, and how. Without further words: the next one.
///
/// ```
/// use rotation_core::testkit::{MemoryBackend, SetFault};
///
/// let backend = MemoryBackend::with_accounts(1);
/// // The second attempt is applied, but its answer is lost.
/// backend.inject(SetFault::answer_lost().skip(1));
/// ```
#[derive(Clone, Debug)]
pub struct SetFault {
    strike: Strike,
    account: Option<AccountId>,
    skip: usize,
    times: usize,
}

/// What a fault does to one call.
#[derive(Clone, Debug)]
pub(super) struct Strike {
    pub(super) outcome: Outcome,
    pub(super) applied: Option<When>,
    pub(super) hangs: bool,
}

/// When a request that a fault struck is applied all the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    AtOnce,
    Late,
}

impl SetFault {
    /// Answers `outcome`, and changes nothing.
    #[must_use]
    pub fn answer(outcome: Outcome) -> Self {
        let strike = Strike {
            outcome,
            applied: None,
            hangs: false,
        };
        Self {
            strike,
            account: None,
            skip: 0,
            times: 1,
        }
    }

    /// Applied, but the answer is lost.
    #[must_use]
    pub fn answer_lost() -> Self {
        Self::answer(Outcome::Unknown(Problem::new("answer lost"))).applied()
    }

    /// Not applied, and the answer is lost: to the engine the same as [`answer_lost`](Self::answer_lost).
    #[must_use]
    pub fn request_lost() -> Self {
        Self::answer(Outcome::Unknown(Problem::new("request lost")))
    }

    /// The answer is lost now, and the request is under way until
    /// [`MemoryBackend::deliver_late`](super::MemoryBackend::deliver_late).
    #[must_use]
    pub fn applied_late() -> Self {
        let mut late = Self::request_lost();
        late.strike.applied = Some(When::Late);
        late
    }

    /// Refused for `reason`.
    #[must_use]
    pub fn refused(reason: RefusalReason) -> Self {
        Self::answer(Outcome::Refused(Refusal::new(
            reason,
            Problem::new("refused"),
        )))
    }

    /// Throttled for `retry_after`.
    #[must_use]
    pub fn throttled(retry_after: Duration) -> Self {
        let problem = Problem::new("throttled");
        Self::answer(Outcome::Throttled {
            retry_after: Some(retry_after),
            ambiguous: false,
            problem,
        })
    }

    /// Applied all the same.
    #[must_use]
    pub fn applied(mut self) -> Self {
        self.strike.applied = Some(When::AtOnce);
        self
    }

    /// Never answers.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.strike.hangs = true;
        self
    }

    /// Only calls for `account`.
    #[must_use]
    pub fn for_account(self, account: AccountId) -> Self {
        Self {
            account: Some(account),
            ..self
        }
    }

    /// Spares the first `calls` that it would strike.
    #[must_use]
    pub fn skip(self, calls: usize) -> Self {
        Self {
            skip: calls,
            ..self
        }
    }

    /// Strikes `calls` calls in a row.
    #[must_use]
    pub fn times(self, calls: usize) -> Self {
        Self {
            times: calls,
            ..self
        }
    }

    /// Strikes every call from then on.
    #[must_use]
    pub fn forever(self) -> Self {
        self.times(usize::MAX)
    }

    pub(super) fn strike(&mut self, account: &AccountId) -> Option<Strike> {
        if self.times == 0 || self.account.as_ref().is_some_and(|only| only != account) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.strike.clone())
    }
}
