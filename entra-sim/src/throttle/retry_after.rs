use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::clock::{http_time, later};

/// What the header `Retry-After` of a refused request says.
///
/// In JSON: `"seconds"`, `"roundedDown"`, `"date"`, `"absent"` or `{"words": "-5"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RetryAfter {
    /// Nothing: there is no such header.
    Absent,
    /// The date at which it would fit, of the second after.
    Date,
    /// Whole seconds, rounded down: too few, and 0 for less than one.
    RoundedDown,
    /// Whole seconds, rounded up, at least 1: whoever waits for so long gets through.
    #[default]
    Seconds,
    /// These words, whatever they are: `0`, `-5`, `604800`, a date, nonsense.
    Words(String),
}

impl RetryAfter {
    /// The header's value for a request that would fit so long after `now`.
    pub(super) fn value(&self, wait: Duration, now: Timestamp) -> Option<String> {
        let whole = wait.as_secs();
        let up = whole + u64::from(wait.subsec_nanos() > 0);
        match self {
            Self::Absent => None,
            Self::Date => {
                let begun = u64::from(now.subsec_nanosecond() != 0);
                Some(http_time(later(now, Duration::from_secs(up + begun))))
            }
            Self::RoundedDown => Some(whole.to_string()),
            Self::Seconds => Some(up.max(1).to_string()),
            Self::Words(words) => Some(words.clone()),
        }
    }
}
