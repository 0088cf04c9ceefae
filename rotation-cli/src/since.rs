//! A moment in the past, as people name it on a command line.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rotation_core::Age;

use crate::clock;

/// A time, a day in UTC, or so long ago.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let day = |text: &str| {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let ago = |text: &str| {
        let ago = SignedDuration::try_from(text.parse::<Age>().ok()?.duration()).ok()?;
        clock::now().checked_sub(ago).ok()
    };
    let time = text.parse::<Timestamp>().ok();
    time.or_else(|| day(text)).or_else(|| ago(text)).ok_or_else(|| {
        "expected a day such as 2026-11-21, a time such as 2026-11-21T08:00:00Z, or a length of time such as 2h"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_time_or_so_long_ago() {
        let day: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(parse("2026-11-21"), Ok(day));
        assert_eq!(parse("2026-11-21T00:00:00Z"), Ok(day));
        assert_eq!(parse("2026-11-21T01:00:00+01:00"), Ok(day));
        assert!(parse("2h").unwrap() < clock::now());
        for wrong in ["", "yesterday", "2026-13-01", "2 fortnights"] {
            assert!(parse(wrong).unwrap_err().contains("expected"), "{wrong}");
        }
    }
}
