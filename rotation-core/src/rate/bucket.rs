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
//! - **Told**: the server says which share of the quota is used. That is its level, to half a percent: the believed level
//!   is held within that band, and what it had to be corrected by corrects the rate (a Luenberger observer,
//!   <https://doi.org/10.1109/TAC.1971.1099826>). A small reserve is left, so that none is turned away.
//! - **Silent**: the server only turns requests away. Then its bucket is empty, at the end of the wait that it asked for.
//!   Between two such moments it let through just what flowed in: requests by time is its rate, whatever its size. A
//!   fixed or a sliding window gives the same number. From there the rate is raised slowly at first, then ever faster, as
//!   in CUBIC (RFC 9438): a limit that was raised is found, and an unchanged one is overrun about once in two minutes.

use std::time::Duration;

use tokio::time::Instant;

use super::Quota;

/// The share of the quota that is not used when the server tells how much is left.
const RESERVE: f64 = 0.02;

/// The server tells its usage in hundredths.
const BAND: f64 = 0.005;

/// Servers that tell their usage say nothing below this share (<https://learn.microsoft.com/graph/throttling>).
pub(super) const TOLD_FROM: f64 = 0.8;

/// A change of usage that tells something.
const NOTICEABLE: f64 = 0.05;

/// How many seconds it takes to correct a wrong rate.
const CORRECTION: f64 = 10.0;

/// How long a limit is that nobody documents.
const UNDOCUMENTED_PERIOD: f64 = 60.0;

/// One in so many requests under way may go on beyond what is documented, to see whether there is more.
const SCOUTS: f64 = 32.0;

/// The wait if the server turns away without saying for how long; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longer than any wait that a server means.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Shorter than any wait that helps.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Bucket {
    size: f64,
    rate: f64,
    level: f64,
    /// The time of `level`; later than now while the server wants to be left alone.
    at: Instant,
    phase: Phase,
    /// Requests sent so far, and under way now.
    sent: f64,
    pub(super) in_flight: f64,
    /// Times turned away since something was let through.
    in_a_row: u32,
}

#[derive(Debug)]
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

/// What the server told before, to see how much it changes by how many requests.
#[derive(Clone, Copy, Debug)]
struct Told {
    usage: f64,
    at: Instant,
    sent_by_then: f64,
}

/// When the bucket was empty, as far as is known.
#[derive(Debug)]
struct Silent {
    empty_at: Instant,
    sent_by_then: f64,
    /// Whether the rate was measured from one such time to another.
    measured: bool,
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
            size,
            rate: size / period,
            level: size,
            at: now,
            phase: Phase::Open(Beyond::NotYet),
            sent: 0.0,
            in_flight: 0.0,
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
        let seconds = missing / self.pace(now);
        // a little later rather than a little earlier
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
        Ready::At(now + wait.min(LONGEST_PAUSE) + Duration::from_micros(1))
    }

    /// A request goes.
    pub(super) fn take(&mut self) {
        self.sent += 1.0;
        self.in_flight += 1.0;
        match &mut self.phase {
            Phase::Open(Beyond::Earned { credit, .. }) if self.level < 1.0 => *credit -= 1.0,
            _ => self.level -= 1.0,
        }
    }

    /// A request is no longer under way; `sent` unless nothing came of it.
    pub(super) fn done(&mut self, sent: bool, now: Instant) {
        self.in_flight = (self.in_flight - 1.0).max(0.0);
        if sent {
            return;
        }
        self.sent -= 1.0;
        let closed = self.at > now;
        match &mut self.phase {
            Phase::Open(Beyond::Earned { credit, .. }) => *credit += 1.0,
            // it was taken for one of those that emptied the bucket
            Phase::Silent(silent) if closed => silent.sent_by_then -= 1.0,
            _ if closed => {}
            _ => self.level += 1.0,
        }
    }

    /// A request was let through. The share of this quota that is used is `usage`, if the server told it, and no more
    /// than `at_most`.
    pub(super) fn passed(&mut self, usage: Option<f64>, at_most: f64, now: Instant) {
        self.in_a_row = 0;
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
                let left = (1.0 - at_most) * self.size - self.in_flight;
                self.correct(self.level.max(left));
            }
            (None, Phase::Open(Beyond::NotYet) | Phase::Silent(_)) => {}
        }
    }

    /// A request was turned away; true if that is news.
    pub(super) fn throttled(&mut self, retry_after: Option<Duration>, now: Instant) -> bool {
        let pause = retry_after
            .unwrap_or_else(|| FIRST_PAUSE.saturating_mul(1 << self.in_a_row.min(9)))
            .clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let empty_at = now + pause;
        if self.at > now {
            // one of those that were under way when the first was turned away
            let later = retry_after.is_some() && empty_at > self.at;
            if later {
                self.at = empty_at;
                if let Phase::Silent(silent) = &mut self.phase {
                    silent.empty_at = empty_at;
                }
            }
            return later;
        }
        self.refill(now);
        self.in_a_row += 1;
        self.overrun(empty_at);
        (self.level, self.at) = (0.0, empty_at);
        true
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

    fn reserve(&self) -> f64 {
        match self.phase {
            Phase::Told(_) => RESERVE * self.size,
            Phase::Open(_) | Phase::Silent(_) => 0.0,
        }
    }

    /// The rate at which requests go when none is left over: a little above what was measured, if that may be too low.
    fn pace(&self, now: Instant) -> f64 {
        let Phase::Silent(silent) = &self.phase else {
            return self.rate;
        };
        let quiet = now.saturating_duration_since(silent.empty_at).as_secs_f64();
        let raised = if silent.measured {
            1.0 + 0.005 + (quiet / 120.0).powi(3)
        } else {
            (quiet / 2.0).min(64.0).exp2()
        };
        self.rate * raised
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        // in the middle of the time gone by, since the pace may grow
        let pace = self.pace(self.at + now.saturating_duration_since(self.at) / 2);
        self.level = (self.level + pace * seconds).min(self.size);
        self.at = now;
    }

    /// The server says how much is used.
    fn told(&mut self, usage: f64) {
        let usage = usage.clamp(0.0, 2.0);
        let now = Told {
            usage,
            at: self.at,
            sent_by_then: self.sent,
        };
        match self.phase {
            Phase::Told(before) => self.resize(before, now),
            Phase::Open(_) | Phase::Silent(_) => {
                self.sized(usage);
                self.phase = Phase::Told(now);
            }
        }
        let left = (1.0 - usage) * self.size - self.in_flight;
        let band = BAND * self.size + 1.0;
        self.correct(self.level.clamp(left - band, left + band));
    }

    /// How large the bucket is, by the first that is told: it was full when nothing was sent.
    fn sized(&mut self, usage: f64) {
        let used = if self.size.is_finite() {
            self.size - self.level
        } else {
            self.sent
        };
        let size = (used / usage.max(BAND)).max(1.0);
        if self.size.is_finite() {
            // of another size than documented, so presumably of the same period
            self.rate *= size / self.size;
        } else {
            self.rate = size / UNDOCUMENTED_PERIOD;
        }
        self.size = size;
        self.level = (1.0 - usage) * size;
    }

    /// How large it is, by how much more of it is used after how many requests.
    fn resize(&mut self, before: Told, now: Told) {
        let more = now.usage - before.usage;
        if more.abs() < NOTICEABLE {
            return;
        }
        self.phase = Phase::Told(now);
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        let size = (now.sent_by_then - before.sent_by_then - self.rate * seconds) / more;
        if size > self.size / 20.0 && size < self.size * 20.0 {
            // halfway, since the rate may be wrong as well
            self.size = (self.size * size).sqrt();
        }
    }

    /// The level is another than was believed, and so is the rate.
    fn correct(&mut self, level: f64) {
        let wrong = level - self.level;
        self.level = level;
        // more at once is another window, or somebody else
        if wrong.abs() > NOTICEABLE * self.size {
            return;
        }
        let (least, most) = (self.rate / 2.0, self.rate * 2.0);
        self.rate = (self.rate + wrong / CORRECTION).clamp(least, most);
        self.rate = self.rate.max(1.0 / UNDOCUMENTED_PERIOD);
    }

    /// The bucket is empty, and will be at `empty_at`.
    fn overrun(&mut self, empty_at: Instant) {
        let sent_by_then = self.sent;
        match &mut self.phase {
            Phase::Open(_) => {
                if !self.size.is_finite() {
                    self.rate = self.sent.max(1.0) / UNDOCUMENTED_PERIOD;
                }
                self.size = self.size.min(self.sent.max(1.0));
                self.phase = Phase::Silent(Silent {
                    empty_at,
                    sent_by_then,
                    measured: false,
                });
            }
            // its usage is late or in part somebody else's
            Phase::Told(_) => self.rate *= 0.95,
            Phase::Silent(silent) => {
                let seconds = empty_at.saturating_duration_since(silent.empty_at);
                let seconds = seconds.as_secs_f64().max(0.001);
                let measured = (self.sent - silent.sent_by_then).max(1.0) / seconds;
                // a short while tells little, but what it tells against us is believed sooner
                let patience = if measured < self.rate { 3.0 } else { 10.0 };
                let weight = if silent.measured {
                    (seconds / patience).clamp(0.2, 1.0)
                } else {
                    1.0
                };
                self.rate += (measured - self.rate) * weight;
                *silent = Silent {
                    empty_at,
                    sent_by_then,
                    measured: true,
                };
            }
        }
    }
}
