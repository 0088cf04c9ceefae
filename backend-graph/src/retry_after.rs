use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How long an answer asks us to wait (RFC 9110, 10.2.3): seconds, or a date, which is compared with the answer's own
/// `Date`, so that the clock of this machine plays no part. `None` if it does not say or makes no sense. The value
/// is not limited here; whoever waits decides how long.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "very long".
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(asked).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(then.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

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
            ("1.5", "", None),
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
