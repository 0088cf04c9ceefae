//! How fast accounts are done with, and how much longer it takes. It knows no clock: times are given, as what has passed
//! since some beginning.

use std::collections::VecDeque;
use std::time::Duration;

use rotation_core::RateState;

/// How many of the last seconds a rate is taken over.
const WINDOW: usize = 10;

/// How many accounts were done with in each of the last seconds.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Duration,
    /// The last second counted; the last of `done`.
    second: u64,
    done: VecDeque<u64>,
}

impl Pace {
    /// Nothing is done before `at`.
    pub(super) fn begin(at: Duration) -> Self {
        Self {
            begun: at,
            second: at.as_secs(),
            done: VecDeque::from([0]),
        }
    }

    /// One more account is done with.
    pub(super) fn count(&mut self, at: Duration) {
        self.turn_to(at);
        if let Some(now) = self.done.back_mut() {
            *now += 1;
        }
    }

    /// Accounts a second over the last seconds, or since the beginning if that is shorter; taken over a second at least.
    pub(super) fn per_second(&mut self, at: Duration) -> f64 {
        self.turn_to(at);
        let oldest = (self.second + 1).saturating_sub(self.done.len() as u64);
        let since = Duration::from_secs(oldest).max(self.begun);
        let covered = at.saturating_sub(since).max(Duration::from_secs(1));
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 accounts")]
        let done = self.done.iter().sum::<u64>() as f64;
        done / covered.as_secs_f64()
    }

    /// Whether nothing was done in all these seconds.
    pub(super) fn is_idle(&mut self, at: Duration) -> bool {
        self.turn_to(at);
        let long = at.saturating_sub(self.begun) >= Duration::from_secs(WINDOW as u64);
        long && self.done.iter().all(|done| *done == 0)
    }

    fn turn_to(&mut self, at: Duration) {
        let seconds = at.as_secs().saturating_sub(self.second);
        self.second += seconds;
        for _ in 0..seconds.min(WINDOW as u64) {
            if self.done.len() == WINDOW {
                self.done.pop_front();
            }
            self.done.push_back(0);
        }
    }
}

/// How much longer `left` accounts take at this rate, if that can be said: no faster than the directory bears, and not
/// before it wants to hear from us again.
pub(super) fn time_left(left: u64, per_second: f64, state: &RateState) -> Option<Duration> {
    let paused = state.paused.unwrap_or_default();
    if left == 0 {
        return Some(Duration::ZERO);
    }
    let rate = match state.limit {
        // who waits does nothing, which says nothing about how it goes on
        Some(limit) if !paused.is_zero() => limit,
        Some(limit) => limit.min(per_second),
        None => per_second,
    };
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 accounts")]
    let seconds = left as f64 / rate;
    // without any rate there is no telling
    let takes = Duration::try_from_secs_f64(seconds).ok()?;
    Some(paused + takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut pace = Pace::begin(seconds(3.5));
        for number in 0_u32..200 {
            pace.count(seconds(3.5 + 0.05 * f64::from(number)));
        }
        // twenty a second, for ten seconds
        assert!((pace.per_second(seconds(13.5)) - 20.0).abs() < 1.0);
        // nothing for another five, of nine and a half that are still looked at
        let slower = pace.per_second(seconds(18.5));
        assert!((slower - 90.0 / 9.5).abs() < 0.5, "{slower}");
        assert!(!pace.is_idle(seconds(18.5)));
        assert!(pace.per_second(seconds(24.0)).abs() < f64::EPSILON);
        assert!(pace.is_idle(seconds(24.0)));
        // and again, after long
        pace.count(seconds(5000.1));
        assert!((pace.per_second(seconds(5000.2)) - 1.0 / 9.2).abs() < 0.01);
    }

    #[test]
    fn a_beginning_is_not_taken_for_a_record() {
        let mut pace = Pace::begin(seconds(7.9));
        pace.count(seconds(7.9));
        pace.count(seconds(7.91));
        assert!((pace.per_second(seconds(7.92)) - 2.0).abs() < f64::EPSILON);
        assert!(!pace.is_idle(seconds(8.0)), "it has hardly begun");
        // a clock that goes back is one that stands still
        pace.count(seconds(1.0));
        assert!((pace.per_second(seconds(9.9)) - 1.5).abs() < f64::EPSILON);
    }

    #[test]
    fn time_left_heeds_limit_and_pause() {
        let state = |limit, paused: u64| {
            let mut state = RateState::default();
            state.limit = limit;
            state.paused = (paused > 0).then(|| Duration::from_secs(paused));
            state
        };
        for (left, rate, limit, paused, expected) in [
            (100, 10.0, None, 0, Some(10.0)),
            (100, 10.0, Some(20.0), 0, Some(10.0)),
            (100, 50.0, Some(20.0), 0, Some(5.0)),
            (100, 0.0, Some(20.0), 30, Some(35.0)),
            (100, 10.0, None, 30, Some(40.0)),
            (100, 0.0, None, 0, None),
            (100, 0.0, Some(20.0), 0, None),
            (0, 0.0, None, 0, Some(0.0)),
            (u64::MAX, f64::MIN_POSITIVE, None, 0, None),
        ] {
            let found = time_left(left, rate, &state(limit, paused));
            assert_eq!(
                found,
                expected.map(seconds),
                "{left} {rate} {limit:?} {paused}"
            );
        }
    }
}
