//! How far a run may go wrong before it stops by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many accounts may fail or stay unsettled before a run stops: `"5%"` of those tried, or a number.
///
/// A share is taken of at least [`Tolerance::SAMPLE`] accounts, so that the first failure of a run does not stop it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Tolerance(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Count(u64),
    Percent(f64),
}

impl Tolerance {
    /// The least number of accounts that a share is taken of.
    pub const SAMPLE: u64 = 100;

    /// Whether `failures` among `tried` accounts are too many.
    #[must_use]
    pub fn exceeded(self, failures: u64, tried: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 accounts")]
        match self.0 {
            Kind::Count(most) => failures > most,
            Kind::Percent(percent) => {
                failures as f64 * 100.0 > percent * tried.max(Self::SAMPLE) as f64
            }
        }
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self(Kind::Percent(5.0))
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = match text.trim().strip_suffix('%') {
            Some(number) => number
                .trim()
                .parse()
                .ok()
                .filter(|p| (0.0..=100.0).contains(p))
                .map(Kind::Percent),
            None => text.trim().parse().ok().map(Kind::Count),
        };
        kind.map(Self).ok_or_else(|| {
            format!("\"{text}\" is neither a share such as \"5%\" nor a number of accounts")
        })
    }
}

/// TOML has numbers and text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Tolerance {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(most) => Ok(Self(Kind::Count(most))),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Tolerance> for String {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.to_string()
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Count(most) => write!(f, "{most}"),
            Kind::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_against_at_least_a_sample() {
        let five: Tolerance = "5%".parse().unwrap();
        assert!(!five.exceeded(5, 5));
        assert!(five.exceeded(6, 6));
        assert!(!five.exceeded(50, 1000));
        assert!(five.exceeded(51, 1000));
    }

    #[test]
    fn a_number_is_a_number_whatever_was_tried() {
        let none: Tolerance = "0".parse().unwrap();
        assert!(!none.exceeded(0, 1000));
        assert!(none.exceeded(1, 1000));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "%", "101%", "-1%", "NaN%", "five", "-1"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
    }
}
