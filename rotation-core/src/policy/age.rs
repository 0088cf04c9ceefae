use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time, written as people write it: `"90d"`, `"12h"`, `"1day 6h"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(Duration);

impl Age {
    /// `days` times 24 hours.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(Duration::from_secs(days as u64 * 24 * 60 * 60))
    }

    /// The length of time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Age {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration > LONGEST => Err(format!(
                "\"{text}\" is longer than {} years",
                LONGEST.as_secs() / YEAR
            )),
            Ok(duration) => Ok(Self(duration)),
            Err(error) => Err(format!(
                "\"{text}\" is not a length of time such as \"90d\" or \"12h\": {error}"
            )),
        }
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&humantime::format_duration(self.0), f)
    }
}

const YEAR: u64 = 365 * 24 * 60 * 60;

/// Far beyond any policy, and far from the end of calendar arithmetic.
const LONGEST: Duration = Duration::from_secs(1000 * YEAR);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("90d".parse(), Ok(Age::days(90)));
        assert_eq!("0s".parse(), Ok(Age::default()));
        for text in ["", "90", "d", "-1d", "2000y", "99999999999999999999d"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
