use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Neighbour;

/// How a quota is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Model {
    FixedWindow,
    SlidingWindow,
    #[default]
    TokenBucket,
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// At least 1.
    pub(super) count: u32,
    /// In nanoseconds, at least 1.
    pub(super) period: u64,
}

impl Rate {
    fn new(count: u32, period: Duration) -> Self {
        Self {
            count: count.max(1),
            period: nanoseconds(period).max(1),
        }
    }

    /// For how many refused requests somebody may be in debt. Microsoft documents that they count, and that whoever waits as
    /// told gets through: without a bound, a burst of refused requests would be paid for in hours.
    pub(super) fn debt(self, share: f64) -> u32 {
        if share > 0.0 {
            (f64::from(self.count) * share).max(1.0) as u32
        } else {
            0
        }
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// So many writes, or resource units, per period: by default a token bucket that starts full and holds one period's worth.
///
/// In JSON: `{"count": 3000, "seconds": 150}`, and, as wanted, `"model"` (`"tokenBucket"`, `"fixedWindow"`,
/// `"slidingWindow"`), `"debt"`, `"then"` (a list of `{"after", "count", "seconds"}`) and `"neighbour"`
/// (`{"kind": "steady", "share"}`, `{"kind": "bursty", "share", "on", "off"}` or `{"kind": "random", "share", "seed"}`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Quota {
    pub(super) model: Model,
    /// The rates and from when on they hold, in nanoseconds after the start; the first from 0 on.
    pub(super) rates: Vec<(u64, Rate)>,
    pub(super) debt: f64,
    pub(super) neighbour: Option<Neighbour>,
}

impl Quota {
    const DEBT: f64 = 0.05;

    /// `count` per `period`, both more than zero.
    pub fn new(count: u32, period: Duration) -> Self {
        Self {
            model: Model::default(),
            rates: vec![(0, Rate::new(count, period))],
            debt: Self::DEBT,
            neighbour: None,
        }
    }

    /// Counts in windows that follow each other, from the start on. Each begins empty.
    #[must_use]
    pub fn fixed_window(mut self) -> Self {
        self.model = Model::FixedWindow;
        self
    }

    /// Counts in every window of one period, wherever it begins.
    #[must_use]
    pub fn sliding_window(mut self) -> Self {
        self.model = Model::SlidingWindow;
        self
    }

    /// Changes the limit so long after the start. Tokens in a bucket stay, as far as it holds them; a fixed window ends.
    #[must_use]
    pub fn then(mut self, after: Duration, count: u32, period: Duration) -> Self {
        let change = (nanoseconds(after), Rate::new(count, period));
        self.rates.push(change);
        self.rates.sort_by_key(|(after, _)| *after);
        self
    }

    /// Lets somebody else use a part.
    #[must_use]
    pub fn with_neighbour(mut self, neighbour: Neighbour) -> Self {
        self.neighbour = Some(neighbour);
        self
    }

    /// How far refused requests count: up to this share of the quota beyond it, by default 0.05 (and at least one request);
    /// 0: they do not count. Microsoft documents that they do.
    #[must_use]
    pub fn debt(mut self, share: f64) -> Self {
        self.debt = share;
        self
    }
}

/// A quota in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    count: u32,
    #[serde(deserialize_with = "seconds")]
    seconds: Duration,
    #[serde(default)]
    model: Model,
    #[serde(default)]
    debt: Option<f64>,
    #[serde(default)]
    then: Vec<Change>,
    #[serde(default)]
    neighbour: Option<Neighbour>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(deserialize_with = "seconds")]
    after: Duration,
    count: u32,
    #[serde(deserialize_with = "seconds")]
    seconds: Duration,
}

impl TryFrom<Written> for Quota {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let mut rates = vec![(written.count, written.seconds)];
        rates.extend(
            written
                .then
                .iter()
                .map(|change| (change.count, change.seconds)),
        );
        if rates
            .iter()
            .any(|(count, period)| *count == 0 || period.is_zero())
        {
            return Err("count and seconds must be more than zero");
        }
        let quota = Self {
            model: written.model,
            debt: written.debt.unwrap_or(Self::DEBT),
            neighbour: written.neighbour,
            ..Self::new(written.count, written.seconds)
        };
        Ok(written.then.into_iter().fold(quota, |quota, change| {
            quota.then(change.after, change.count, change.seconds)
        }))
    }
}

/// A time in seconds, in JSON.
pub(super) fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(value)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| serde::de::Error::custom(format!("{seconds} seconds: {error}")))
}
