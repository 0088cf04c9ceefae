use std::time::Duration;

use serde::Deserialize;

use super::quota::{Rate, nanoseconds, seconds};
use crate::rng::Rng;

/// Somebody else who uses a part of a quota, such as other apps in the tenant. It sends what it wants to and nothing again
/// that was refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Neighbour(Pattern);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Pattern {
    Bursty {
        share: f64,
        #[serde(deserialize_with = "seconds")]
        on: Duration,
        #[serde(deserialize_with = "seconds")]
        off: Duration,
    },
    Random {
        share: f64,
        seed: u64,
    },
    Steady {
        share: f64,
    },
}

impl Neighbour {
    /// Always wants this share of the quota, 0 to 1.
    pub fn steady(share: f64) -> Self {
        Self(Pattern::Steady { share })
    }

    /// Wants this share of the quota on the whole, all of it for `on` and nothing for `off`, and so on, from the start on.
    pub fn bursty(share: f64, on: Duration, off: Duration) -> Self {
        Self(Pattern::Bursty { share, on, off })
    }

    /// Wants this share of the quota on the whole, each second between nothing and the double.
    pub fn random(share: f64, seed: u64) -> Self {
        Self(Pattern::Random { share, seed })
    }
}

/// A neighbour at work. It acts in ticks.
#[derive(Debug)]
pub(super) struct Acting {
    pattern: Pattern,
    rng: Rng,
    /// What it wanted and was less than one request.
    rest: f64,
    pub(super) next_tick: u64,
}

/// A neighbour catches up on no more ticks than these when time jumps.
const MAX_TICKS: u64 = 100_000;

impl Acting {
    /// `salt` makes neighbours of equal seeds differ.
    pub(super) fn new(neighbour: &Neighbour, salt: u64) -> Self {
        let seed = match neighbour.0 {
            Pattern::Random { seed, .. } => seed,
            Pattern::Bursty { .. } | Pattern::Steady { .. } => 0,
        };
        Self {
            pattern: neighbour.0.clone(),
            rng: Rng::new(seed ^ salt),
            rest: 0.0,
            next_tick: 0,
        }
    }

    fn tick(rate: Rate) -> u64 {
        (rate.period / 100).clamp(1_000_000, 1_000_000_000)
    }

    /// Leaves out what lies too far back to matter.
    pub(super) fn skip_to(&mut self, rate: Rate, now: u64) {
        let earliest = now.saturating_sub(Self::tick(rate).saturating_mul(MAX_TICKS));
        self.next_tick = self.next_tick.max(earliest);
    }

    /// How many requests it wants to send in the tick that begins now.
    pub(super) fn wants(&mut self, rate: Rate) -> u32 {
        let (now, tick) = (self.next_tick, Self::tick(rate));
        self.next_tick = now + tick;
        let (share, factor) = match self.pattern {
            Pattern::Steady { share } => (share, 1.0),
            Pattern::Random { share, .. } => (share, 2.0 * self.rng.fraction()),
            Pattern::Bursty { share, on, off } => {
                let (on, off) = (nanoseconds(on).max(1), nanoseconds(off));
                let cycle = on.saturating_add(off);
                let is_on = now % cycle < on;
                let factor = if is_on { cycle as f64 / on as f64 } else { 0.0 };
                (share, factor)
            }
        };
        let per_tick = f64::from(rate.count) * tick as f64 / rate.period as f64;
        let wanted = self.rest + share.max(0.0) * factor * per_tick;
        self.rest = wanted.fract();
        wanted as u32
    }
}
