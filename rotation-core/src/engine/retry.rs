//! When the same password is sent again, and when to give up. Numbers only.

use std::time::Duration;

use rand::RngExt;

/// When to try again, and when to give up.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct RetryPolicy {
    /// How often one version is sent without a definite answer; at least 1.
    pub attempts: u32,
    /// The wait after the first; it doubles from one to the next.
    pub first_backoff: Duration,
    /// The longest wait that is our own choice.
    pub longest_backoff: Duration,
    /// How long the directory may keep one account waiting by throttling, over all attempts; if it asks for more, the
    /// account is given up at once.
    pub longest_throttling: Duration,
    /// How many fresh passwords to try after a refusal that another password may cure.
    pub fresh_passwords: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(30),
            longest_throttling: Duration::from_secs(30 * 60),
            fresh_passwords: 3,
        }
    }
}

impl RetryPolicy {
    /// The wait after the attempt of this number, from 1: between half and the whole of a doubling time, so that
    /// accounts which failed together do not come back together.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        let whole = self
            .first_backoff
            .saturating_mul(1 << doublings)
            .min(self.longest_backoff);
        whole.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let retry = RetryPolicy::default();
        for attempt in [1, 2, 3, 10, u32::MAX] {
            let wait = retry.backoff(attempt);
            assert!(
                wait >= retry.first_backoff / 2 && wait <= retry.longest_backoff,
                "{attempt}: {wait:?}"
            );
        }
    }
}
