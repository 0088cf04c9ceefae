use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How long an answer asks us to wait (RFC 9110, 10.2.3): seconds, which some servers write as a decimal, or a date,
/// which is compared with when the server answered by its own clock, so that the clock of this machine plays no part. `None` if it does
/// not say or makes no sense. The value is not limited here; whoever waits decides how long.
pub(crate) fn retry_after(
    headers: &HeaderMap,
    answered_at: Option<SystemTime>,
) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(wait) = seconds(asked) {
        return Some(wait);
    }
    let then = httpdate::parse_http_date(asked).ok()?;
    Some(then.duration_since(answered_at?).unwrap_or(Duration::ZERO))
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
    use reqwest::header::HeaderValue;

    const NOON: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

    #[test]
    fn reads_seconds_and_dates_and_survives_the_rest() {
        let seconds = |n| Some(Duration::from_secs(n));
        let noon = httpdate::parse_http_date(NOON).ok();
        for (asked, answered_at, expected) in [
            ("7", None, seconds(7)),
            (" 7 ", None, seconds(7)),
            ("0", None, seconds(0)),
            ("604800", None, seconds(604_800)),
            ("99999999999999999999999999", None, seconds(u64::MAX)),
            ("-5", None, None),
            ("1.5", None, Some(Duration::from_millis(1500))),
            ("0.25", None, Some(Duration::from_millis(250))),
            ("1.", None, None),
            (".5", None, None),
            ("1.5.2", None, None),
            ("1e9", None, None),
            ("NaN", None, None),
            ("+7", None, None),
            ("", None, None),
            ("soon", noon, None),
            ("Sat, 21 Nov 2026 12:01:30 GMT", noon, seconds(90)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", noon, seconds(0)),
            ("Sat, 21 Nov 2026 12:01:30 GMT", None, None),
        ] {
            let asked_in = HeaderValue::from_static(asked);
            let headers = HeaderMap::from_iter([(RETRY_AFTER, asked_in)]);
            assert_eq!(
                retry_after(&headers, answered_at),
                expected,
                "{asked:?} at {answered_at:?}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new(), noon), None);
    }
}
