//! The simulator's own time: the machine's clock, which a test may push ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use jiff::Timestamp;

/// The clock of one server. It never goes back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// The simulated instant.
    pub(crate) fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the only place that asks the machine for the time"
        )]
        let real = Timestamp::now();
        let ahead = Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed).unsigned_abs());
        later(real, ahead)
    }

    /// Lets `by` pass at once, so that tokens, page tokens and replication delays run out.
    pub(crate) fn advance(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// `Date` headers, each made once a second.
#[derive(Debug, Default)]
pub(crate) struct Dates(Mutex<Option<(i64, HeaderValue)>>);

impl Dates {
    pub(crate) fn header(&self, now: Timestamp) -> HeaderValue {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((second, header)) if *second == now.as_second() => header.clone(),
            _ => {
                let header = HeaderValue::from_str(&http_time(now));
                let header = header.unwrap_or_else(|_| HeaderValue::from_static(""));
                *last = Some((now.as_second(), header.clone()));
                header
            }
        }
    }
}

/// `instant + by`, held at the end of time instead of failing.
pub(crate) fn later(instant: Timestamp, by: Duration) -> Timestamp {
    instant.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `instant - by`, held at the beginning of time instead of failing.
pub(crate) fn earlier(instant: Timestamp, by: Duration) -> Timestamp {
    instant.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// HTTP's notation (RFC 9110, 5.6.7).
pub(crate) fn http_time(instant: Timestamp) -> String {
    instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Graph's notation: UTC, whole seconds.
pub(crate) fn graph_time(instant: Timestamp) -> String {
    // Cuts fractions off; ten times as fast as a format.
    format!("{instant:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_time_is_in_whole_seconds() {
        for (nanosecond, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (999_999_999, "1970-01-01T00:00:00Z"),
            (1_763_719_200_500_000_000, "2025-11-21T10:00:00Z"),
            (-1_500_000_000, "1969-12-31T23:59:58Z"),
        ] {
            let instant = Timestamp::from_nanosecond(nanosecond).unwrap();
            assert_eq!(graph_time(instant), expected);
        }
    }

    #[test]
    fn a_date_header_follows_the_second() {
        let dates = Dates::default();
        let start = Timestamp::UNIX_EPOCH;
        for (after, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (999, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_000, "Thu, 01 Jan 1970 00:00:01 GMT"),
        ] {
            let now = later(start, Duration::from_millis(after));
            assert_eq!(dates.header(now), expected);
        }
    }
}
