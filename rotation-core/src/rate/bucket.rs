//! What is believed of one quota, corrected by every answer.
//!
//! # The law
//! A quota is a token bucket (RFC 2697; Microsoft: <https://learn.microsoft.com/graph/throttling-limits>): `size` tokens
//! when full, refilled by `rate` a second, one token a request, also for a request that is turned away. This is the
//! server's bucket as an observer sees it; a request may go when the observer's `level` has a token for it. A bucket
//! loses nothing while it is not full, so its level may be held low, and pacing at `rate` wastes nothing.
//!
//! - **Open**, before any sign of a limit: the documented size is spent as fast as answers come. Beyond it each answer
//!   earns two more requests, the doubling of TCP's slow start (RFC 5681, 3.1): a server without a limit is soon at full
//!   speed, and one with just the documented limit turns away hardly any.
//! - **Told**: the server says which share of the quota is used, from four fifths on. What is left of it, less what is
//!   under way, is the level, to half a percent. The last two percent are given out ever more slowly, down to a tenth of the
//!   rate, so that there is always news, and a window that is used up turns away a handful. That settles where as much
//!   goes as flows in, however wrong the rate; which is measured as what was let through between two times when
//!   nearly all was used, whatever the size. An answer that does not tell how much is used says that less than four fifths
//!   are, so it gives back its token and a quarter: if all goes too slowly, the believed size is wrong.
//! - **Silent**: the server only turns requests away. Then its bucket is empty, at the end of the wait that it asked for.
//!   Between two such times it let through just what flowed in: requests by time is its rate, whatever its size. A fixed
//!   or a sliding window gives the same number. Whether the limit was raised is found out only by being turned away
//!   again, with all that is under way. So the rate is kept until that has been paid for: until so much was let
//!   through that what was turned away the last time is 0.3 % of it, but no longer than three times as long as it took to
//!   measure the rate, so that a coarse measurement is soon followed by a finer one. Then it doubles every four seconds.
//!
//! A rate is measured by what was let through alone. So a rate that is too high cannot confirm itself.

use std::time::Duration;

use tokio::time::Instant;

use super::Quota;

/// The share of the quota that is given out slowly when the server tells how much is left.
const RESERVE: f64 = 0.02;

/// How slowly at least, as a share of the rate.
const SLOWEST: f64 = 0.1;

/// The server tells its usage in hundredths.
const BAND: f64 = 0.005;

/// Servers that tell their usage say nothing below this share (<https://learn.microsoft.com/graph/throttling>).
pub(super) const TOLD_FROM: f64 = 0.8;

/// What an answer gives back that tells nothing although the server tells its usage.
const GROWTH: f64 = 1.25;

/// A change of usage that tells the size.
const NOTICEABLE: f64 = 0.05;

/// Over how many seconds the rate is averaged when the server tells its usage.
const AVERAGED: f64 = 15.0;

/// How much slower to go in the reserve when it was used up all the same.
const SLOWER: f64 = 0.8;

/// How long a limit is that nobody documents.
const UNDOCUMENTED_PERIOD: f64 = 60.0;

/// One in so many requests under way may go on beyond what is documented, to see whether there is more.
const SCOUTS: f64 = 32.0;

/// What share of requests may be turned away for looking whether the limit was raised.
const PRICE: f64 = 0.003;

/// In how many seconds the rate doubles while looking; in half as many before it was ever measured.
const DOUBLING: f64 = 4.0;

/// After how many times as long as it was measured a rate is looked at again.
const SURE: f64 = 3.0;

/// A rate that is higher than expected by more than this is looked at again at once.
const SURPRISE: f64 = 1.15;

/// A quota that bears less is asked in vain now and then.
const LEAST_RATE: f64 = 1.0 / 600.0;

/// So many seconds and requests measure a rate well, although waits are told in whole seconds.
const ENOUGH: f64 = 20.0;

/// The wait if the server turns away without saying for how long; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longer than any wait that a server means.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Shorter than any wait that helps.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Bucket {
    /// The documented period, in seconds.
    period: f64,
    size: f64,
    rate: f64,
    level: f64,
    /// The time of `level`; later than now while the server wants to be left alone.
    at: Instant,
    phase: Phase,
    in_flight: f64,
    /// Requests let through so far, and when the first went.
    passed: f64,
    began: Option<Instant>,
    /// A time when it was empty, from which the rate is measured.
    mark: Option<Mark>,
    /// Whether the rate was ever measured.
    measured: bool,
    /// Times turned away since something was let through.
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// No sign of a limit.
    Open(Beyond),
    /// The server tells how much is used.
    Told(Told),
    /// The server only turns away.
    Silent(Silent),
}

/// What may go beyond the documented size.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beyond {
    NotYet,
    /// The first `old` answers are to requests of before.
    Earned {
        credit: f64,
        old: f64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Told {
    /// What was told before, to see how much it changes by how many requests.
    usage: f64,
    then: Mark,
    /// When a request went last.
    last: Instant,
    /// Whether it was told since a request was turned away.
    lately: bool,
}

#[derive(Clone, Copy, Debug)]
struct Silent {
    /// When it was empty last.
    empty_at: Instant,
    /// How many were turned away then.
    rejected: f64,
    /// Over how many seconds the rate was measured.
    sure: f64,
}

/// How many had been let through at a time.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    passed: f64,
}

/// When a request may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ready {
    Now,
    At(Instant),
    /// When an answer comes.
    Later,
}

impl Bucket {
    pub(super) fn new(documented: Option<Quota>, now: Instant) -> Self {
        let size = documented.map_or(f64::INFINITY, |quota| f64::from(quota.requests.max(1)));
        let period = documented.map_or(UNDOCUMENTED_PERIOD, |quota| {
            quota.period.as_secs_f64().max(0.001)
        });
        Self {
            period,
            size,
            rate: size / period,
            level: size,
            at: now,
            phase: Phase::Open(Beyond::NotYet),
            in_flight: 0.0,
            passed: 0.0,
            began: None,
            mark: None,
            measured: false,
            in_a_row: 0,
        }
    }

    /// When the next request may go.
    pub(super) fn ready(&mut self, now: Instant) -> Ready {
        if self.at > now {
            return Ready::At(self.at);
        }
        self.refill(now);
        if let Phase::Open(beyond) = &mut self.phase
            && self.level < 1.0
        {
            if *beyond == Beyond::NotYet {
                *beyond = Beyond::Earned {
                    credit: (self.in_flight / SCOUTS).max(1.0),
                    old: self.in_flight,
                };
            }
            if matches!(beyond, Beyond::Earned { credit, .. } if *credit >= 1.0) {
                return Ready::Now;
            }
        }
        let missing = self.reserve() + 1.0 - self.level;
        if missing <= 0.0 {
            return Ready::Now;
        }
        let mut seconds = missing / self.pace(now);
        if let Phase::Told(told) = self.phase {
            let share = (self.level / self.reserve().max(BAND)).clamp(SLOWEST, 1.0);
            let gap = (1.0 / (self.rate * share)).min(LONGEST_PAUSE.as_secs_f64());
            seconds = seconds.min(gap - since(told.last, now));
            if seconds <= 0.0 {
                return Ready::Now;
            }
        }
        // a little later rather than a little earlier
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
        Ready::At(now + wait.min(LONGEST_PAUSE) + Duration::from_micros(1))
    }

    /// A request goes.
    pub(super) fn take(&mut self) {
        self.in_flight += 1.0;
        self.began.get_or_insert(self.at);
        if let Phase::Told(told) = &mut self.phase {
            told.last = self.at;
        }
        match &mut self.phase {
            Phase::Open(Beyond::Earned { credit, .. }) if self.level < 1.0 => *credit -= 1.0,
            _ => self.level -= 1.0,
        }
    }

    /// A request is no longer under way; `sent` unless nothing came of it.
    pub(super) fn done(&mut self, sent: bool, now: Instant) {
        self.in_flight = (self.in_flight - 1.0).max(0.0);
        // while the server wants to be left alone, nothing is there to be given back to
        if sent || self.at > now {
            return;
        }
        match &mut self.phase {
            Phase::Open(Beyond::Earned { credit, .. }) => *credit += 1.0,
            _ => self.level = (self.level + 1.0).min(self.size),
        }
    }

    /// A request was let through. The share of this quota that is used is `usage`, if the server told it, and no more
    /// than `at_most`.
    pub(super) fn passed(&mut self, usage: Option<f64>, at_most: f64, now: Instant) {
        self.in_a_row = 0;
        self.passed += 1.0;
        if self.at > now {
            return;
        }
        self.refill(now);
        match (usage, &mut self.phase) {
            (Some(usage), _) => self.told(usage),
            (None, Phase::Open(Beyond::Earned { credit, old })) => {
                if *old >= 1.0 {
                    *old -= 1.0;
                } else {
                    *credit += 2.0;
                }
            }
            (None, Phase::Told(_)) => {
                let mut level = self.level.max(self.left(at_most));
                if at_most <= TOLD_FROM {
                    level = level.max(self.reserve()) + GROWTH;
                }
                self.level = level.min(self.size);
            }
            (None, Phase::Open(Beyond::NotYet) | Phase::Silent(_)) => {}
        }
    }

    /// A request was turned away.
    pub(super) fn throttled(&mut self, retry_after: Option<Duration>, now: Instant) {
        let pause = retry_after
            .unwrap_or_else(|| FIRST_PAUSE.saturating_mul(1 << self.in_a_row.min(9)))
            .clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let empty_at = now + pause;
        if self.at > now {
            // one of those that were under way when the first was turned away
            self.also_throttled(retry_after.map(|_| empty_at));
            return;
        }
        self.refill(now);
        self.in_a_row += 1;
        self.overrun(empty_at);
        (self.level, self.at) = (0.0, empty_at);
    }

    /// Changes a second that the server bears, as far as it has been learned.
    pub(super) fn limit(&self) -> Option<f64> {
        match self.phase {
            Phase::Open(_) => None,
            Phase::Told(_) | Phase::Silent(_) => Some(self.rate),
        }
    }

    /// The share of the quota that is used, as far as it is known.
    pub(super) fn usage(&self) -> Option<f64> {
        self.size
            .is_finite()
            .then(|| (1.0 - self.level / self.size).clamp(0.0, 1.0))
    }

    /// When the server lets requests through again, if it does not now.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        (self.at > now).then_some(self.at)
    }

    fn refill(&mut self, now: Instant) {
        let seconds = since(self.at, now);
        if seconds > 0.0 {
            // in the middle of the time gone by, since the pace may grow
            let pace = self.pace(self.at + (now - self.at) / 2);
            self.level = (self.level + pace * seconds).min(self.size);
            self.at = now;
        }
    }

    /// How much flows in: more than was measured, once that may be too little.
    fn pace(&self, at: Instant) -> f64 {
        match self.phase {
            Phase::Open(_) | Phase::Told(_) => self.rate,
            Phase::Silent(silent) => {
                let looking = since(silent.empty_at, at) - self.patience(silent);
                let doubling = if self.measured {
                    DOUBLING
                } else {
                    DOUBLING / 2.0
                };
                self.rate * (looking / doubling).clamp(0.0, 64.0).exp2()
            }
        }
    }

    /// How many seconds to keep to what was measured.
    fn patience(&self, silent: Silent) -> f64 {
        let paid = silent.rejected / (PRICE * self.rate);
        paid.min(SURE * silent.sure)
    }

    fn reserve(&self) -> f64 {
        match self.phase {
            // a bucket holds one token besides
            Phase::Told(_) => (RESERVE * self.size).min(self.size - 1.0),
            Phase::Open(_) | Phase::Silent(_) => 0.0,
        }
    }

    /// What is left for the next request, if so much was used before those that are under way.
    fn left(&self, usage: f64) -> f64 {
        (1.0 - usage) * self.size - self.in_flight
    }

    /// The server says how much is used.
    fn told(&mut self, usage: f64) {
        let usage = usage.clamp(0.0, 2.0);
        match &mut self.phase {
            Phase::Told(told) => {
                told.lately = true;
                self.resize(usage);
            }
            Phase::Open(_) | Phase::Silent(_) => self.sized(usage),
        }
        let (left, band) = (self.left(usage), BAND * self.size + 1.0);
        self.level = self.level.clamp(left - band, left + band);
        if usage > 1.0 - RESERVE - BAND {
            self.nearly_empty();
        } else if self.in_flight <= 1.0 {
            // nothing else is under way, so there is room for one, however wrong the size may be
            self.level = self.level.max(self.reserve() + 1.0);
        }
        self.level = self.level.min(self.size);
    }

    /// How large the bucket is, by the first that is told.
    fn sized(&mut self, usage: f64) {
        let then = Mark {
            at: self.at,
            passed: self.passed,
        };
        // if it was full in the beginning; otherwise it is larger
        let seconds = self.began.map_or(0.0, |began| since(began, self.at));
        let size = self.passed / (usage.max(BAND) + seconds / self.period);
        self.size = size.max(if self.size.is_finite() {
            self.size
        } else {
            UNDOCUMENTED_PERIOD
        });
        // of another size than documented, so presumably of the same period
        self.rate = self.size / self.period;
        self.level = (1.0 - usage) * self.size;
        self.phase = Phase::Told(Told {
            usage,
            then,
            last: self.at,
            lately: true,
        });
    }

    /// How large it is, by how much more of it is used after how many requests.
    fn resize(&mut self, usage: f64) {
        let (now, passed) = (self.at, self.passed);
        let Phase::Told(told) = &mut self.phase else {
            return;
        };
        let (more, then) = (usage - told.usage, told.then);
        if more.abs() < NOTICEABLE {
            return;
        }
        (told.usage, told.then) = (usage, Mark { at: now, passed });
        if more < 0.0 {
            return;
        }
        let (passed, seconds) = (passed - then.passed, since(then.at, now));
        let size = if self.measured {
            (passed - self.rate * seconds) / more
        } else {
            passed / (more + seconds / self.period)
        };
        if size >= 1.0 {
            // what is too small is found out soon, what is too large in a hard way
            self.size = size.min((self.size * size).sqrt());
            if !self.measured {
                self.rate = self.size / self.period;
            }
        }
    }

    /// Nearly all is used, as the server told.
    fn nearly_empty(&mut self) {
        let now = Mark {
            at: self.at,
            passed: self.passed,
        };
        let mark = *self.mark.get_or_insert(now);
        let (passed, seconds) = (now.passed - mark.passed, since(mark.at, now.at));
        // the usage at either time is known no better than that
        let unsure = 1.5 * RESERVE * self.size + 1.0;
        if passed > 4.0 * unsure && seconds > 0.0 {
            let measured = passed / seconds;
            let rate = self.rate + (measured - self.rate) * (seconds / AVERAGED).min(1.0);
            self.rate = rate.clamp(self.rate / 2.0, self.rate * 2.0);
            (self.measured, self.mark) = (true, Some(now));
        }
    }

    /// The bucket is empty, and will be at `empty_at`.
    fn overrun(&mut self, empty_at: Instant) {
        let mut silent = Silent {
            empty_at,
            rejected: 1.0,
            sure: 0.0,
        };
        match self.phase {
            Phase::Open(_) => {
                let passed = self.passed.max(1.0);
                if !self.size.is_finite() {
                    self.rate = passed / UNDOCUMENTED_PERIOD;
                }
                self.size = self.size.min(passed);
                self.mark = Some(self.mark_at(empty_at));
            }
            Phase::Told(told) if told.lately => {
                self.rate *= SLOWER;
                self.nearly_empty();
                let lately = false;
                self.phase = Phase::Told(Told { lately, ..told });
                return;
            }
            // it tells no more
            Phase::Told(_) => self.mark = Some(self.mark_at(empty_at)),
            Phase::Silent(before) => silent.sure = self.emptied(before, empty_at),
        }
        self.phase = Phase::Silent(silent);
    }

    /// The bucket is empty as it was `before`; over how many seconds that was measured, if it is not surprising.
    fn emptied(&mut self, before: Silent, empty_at: Instant) -> f64 {
        let mark = self.mark.unwrap_or_else(|| self.mark_at(before.empty_at));
        let (passed, seconds) = (
            (self.passed - mark.passed).max(1.0),
            since(mark.at, empty_at),
        );
        let measured = passed / seconds.max(0.001);
        // both times are known to a second, in which the wait is told
        let least = (passed - 1.0) / (seconds + 1.0);
        let most = (passed + 1.0) / (seconds - 1.0).max(seconds / 2.0).max(0.001);
        let allowed = self.rate.clamp(least, most);
        let looked = since(before.empty_at, self.at) > self.patience(before);
        let rate = if !looked && measured < allowed {
            // not because we looked: it was too high
            measured
        } else {
            (allowed + measured) / 2.0
        };
        let surprising = rate > SURPRISE * self.rate;
        // never at once to nothing, since there may have been nothing to send
        self.rate = rate.max(self.rate / 2.0).max(LEAST_RATE);
        self.measured = true;
        if passed > ENOUGH && seconds > ENOUGH {
            self.mark = Some(self.mark_at(empty_at));
        }
        if surprising { 0.0 } else { seconds }
    }

    fn mark_at(&self, at: Instant) -> Mark {
        Mark {
            at,
            passed: self.passed,
        }
    }

    /// Another was turned away, which asks for a wait that ends `later`.
    fn also_throttled(&mut self, later: Option<Instant>) {
        if let Phase::Silent(silent) = &mut self.phase {
            silent.rejected += 1.0;
        }
        let Some(later) = later.filter(|later| *later > self.at) else {
            return;
        };
        if let Phase::Silent(silent) = &mut self.phase {
            if let Some(mark) = &mut self.mark
                && mark.at == self.at
            {
                mark.at = later;
            }
            silent.empty_at = later;
        }
        self.at = later;
    }
}

/// Seconds from one time to another; none if it is not later.
fn since(then: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(then).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen to a bucket, and how many milliseconds after what happened before.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        Asked,
        Passed(Option<f64>, f64),
        Throttled(Option<Duration>),
        Unused,
    }

    fn happens() -> impl Strategy<Value = (Happens, u64)> {
        let usage = prop_oneof![0.8..1.8, -1e9..1e9, Just(f64::INFINITY)];
        let wait = prop_oneof![0..120_000_u64, Just(u64::MAX)].prop_map(Duration::from_millis);
        let what = prop_oneof![
            6 => Just(Happens::Asked),
            3 => (proptest::option::of(usage), 0.0..1.0_f64)
                .prop_map(|(usage, at_most)| Happens::Passed(usage, at_most)),
            1 => proptest::option::of(wait).prop_map(Happens::Throttled),
            1 => Just(Happens::Unused),
        ];
        let later = prop_oneof![8 => 0..2_000_u64, 1 => 0..10_000_000_u64];
        (what, later)
    }

    fn documented() -> impl Strategy<Value = Option<Quota>> {
        let quota = (0..=u32::MAX, 0..=1_000_000_000_u64);
        proptest::option::of(quota.prop_map(|(requests, period)| Quota {
            requests,
            period: Duration::from_millis(period),
        }))
    }

    fn assert_sane(bucket: &Bucket, context: &str) {
        assert!(!bucket.level.is_nan() && !bucket.size.is_nan(), "{context}");
        assert!(bucket.level <= bucket.size, "{context}: {bucket:?}");
        assert!(bucket.size >= 1.0, "{context}: {bucket:?}");
        assert!(bucket.rate > 0.0, "{context}: {bucket:?}");
        assert!(bucket.in_flight >= 0.0, "{context}: {bucket:?}");
        if !matches!(bucket.phase, Phase::Open(_)) {
            assert!(bucket.size.is_finite(), "{context}: {bucket:?}");
            assert!(bucket.rate.is_finite(), "{context}: {bucket:?}");
        }
        let usage = bucket.usage();
        assert!(usage.is_none_or(|usage| (0.0..=1.0).contains(&usage)));
    }

    proptest! {
        #[test]
        fn whatever_is_heard_nothing_is_believed_that_cannot_be(
            documented in documented(),
            story in proptest::collection::vec(happens(), 1..200),
        ) {
            let mut now = Instant::now();
            let mut bucket = Bucket::new(documented, now);
            for (happens, later) in story {
                now += Duration::from_millis(later);
                match happens {
                    Happens::Asked => if bucket.ready(now) == Ready::Now {
                        bucket.take();
                    },
                    Happens::Passed(usage, at_most) => {
                        bucket.passed(usage, at_most, now);
                        bucket.done(true, now);
                    }
                    Happens::Throttled(wait) => {
                        bucket.throttled(wait, now);
                        bucket.done(true, now);
                    }
                    Happens::Unused => bucket.done(false, now),
                }
                assert_sane(&bucket, &format!("{happens:?}"));
            }
        }

        /// Nobody sleeps longer than need be, or for ever: at the time that was named, or after a few more, there is a turn.
        #[test]
        fn whoever_waits_as_told_gets_a_turn(
            documented in documented(),
            story in proptest::collection::vec(happens(), 1..100),
        ) {
            let mut now = Instant::now();
            let mut bucket = Bucket::new(documented, now);
            for (happens, later) in story {
                now += Duration::from_millis(later);
                match happens {
                    Happens::Asked => {
                        let asked = now;
                        let mut asks = 0;
                        while let Ready::At(at) = bucket.ready(now) {
                            prop_assert!(at > now);
                            asks += 1;
                            prop_assert!(asks < 100, "{bucket:?}");
                            now = at;
                        }
                        prop_assert!(since(asked, now) < 86_400.0, "{bucket:?}");
                        bucket.take();
                    }
                    Happens::Passed(usage, at_most) => bucket.passed(usage, at_most, now),
                    Happens::Throttled(wait) => bucket.throttled(wait, now),
                    Happens::Unused => bucket.done(false, now),
                }
            }
        }

        #[test]
        fn nobody_goes_before_the_end_of_a_wait(
            story in proptest::collection::vec(happens(), 0..50),
            wait in 1_000..600_000_u64,
        ) {
            let mut now = Instant::now();
            let mut bucket = Bucket::new(None, now);
            for (happens, later) in story {
                now += Duration::from_millis(later);
                match happens {
                    Happens::Asked => bucket.take(),
                    Happens::Passed(usage, at_most) => bucket.passed(usage, at_most, now),
                    Happens::Throttled(wait) => bucket.throttled(wait, now),
                    Happens::Unused => bucket.done(false, now),
                }
            }
            let wait = Duration::from_millis(wait);
            bucket.throttled(Some(wait), now);
            for late in [Duration::ZERO, wait / 2, wait - Duration::from_millis(1)] {
                bucket.passed(Some(0.1), 0.1, now + late);
                prop_assert!(matches!(bucket.ready(now + late), Ready::At(at) if at >= now + wait));
            }
        }
    }
}
