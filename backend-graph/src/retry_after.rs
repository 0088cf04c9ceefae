use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::date::date;

/// How long an answer asks us to wait (RFC 9110, 10.2.3): seconds, which some servers write as a decimal, or a date,
/// which is compared with the answer's own `Date`, so that the clock of this machine plays no part. `None` if it does
/// not say or makes no sense. The value is not limited here; whoever waits decides how long.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(wait) = seconds(asked) {
        return Some(wait);
    }
    let then = httpdate::parse_http_date(asked).ok()?;
    Some(
        then.duration_since(date(headers)?)
            .unwrap_or(Duration::ZERO),
    )
}

/// Digits, perhaps with a fraction. More than fit mean "very long".
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(whole) && digits(fraction)) {
        return None;
    }
    let whole = Duration::from_secs(whole.parse().unwrap_or(u64::MAX));
    let fraction = format!("0.{fraction}")
        .parse()
        .map_or(Duration::ZERO, Duration::from_secs_f64);
    Some(whole.saturating_add(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{DATE, HeaderValue};

    const NOON: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

    #[test]
    fn reads_seconds_and_dates_and_survives_the_rest() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (asked, date, expected) in [
            ("7", "", seconds(7)),
            (" 7 ", "", seconds(7)),
            ("0", "", seconds(0)),
            ("99999999999999999999999999", "", seconds(u64::MAX)),
            ("-5", "", None),
            ("1.5", "", Some(Duration::from_millis(1500))),
            ("0.25", "", Some(Duration::from_millis(250))),
            ("1.", "", None),
            (".5", "", None),
            ("1.5.2", "", None),
            ("1e9", "", None),
            ("NaN", "", None),
            ("+7", "", None),
            ("", "", None),
            ("soon", NOON, None),
            ("Sat, 21 Nov 2026 12:01:30 GMT", NOON, seconds(90)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", NOON, seconds(0)),
            ("Sat, 21 Nov 2026 12:01:30 GMT", "", None),
            ("Sat, 21 Nov 2026 12:01:30 GMT", "yesterday", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(asked));
            if !date.is_empty() {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(retry_after(&headers), expected, "{asked:?} at {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
