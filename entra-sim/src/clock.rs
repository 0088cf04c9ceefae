//! The simulator's own time: the machine's clock, which a test may push ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

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
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
