use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use rotation_core::{Heard, QuotaScope};

/// From 0.8 of a quota on: the share that is used (<https://learn.microsoft.com/graph/throttling>).
const USAGE: &str = "x-ms-throttle-limit-percentage";

/// Which quota is used up: `<Scope>/<Limit>/<ApplicationId>/<TenantId|UserId|ResourceId>`.
const SCOPE: &str = "x-ms-throttle-scope";

/// What an answer says about how fast to go; `None` if nothing, as one that tells of an outage.
pub(crate) fn heard(
    status: StatusCode,
    headers: &HeaderMap,
    retry_after: Option<Duration>,
) -> Option<Heard> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let told_to_wait = status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some();
    if status == StatusCode::TOO_MANY_REQUESTS || told_to_wait {
        let scope = text(SCOPE).and_then(scope);
        return Some(Heard::Throttled { retry_after, scope });
    }
    let usage = || text(USAGE).and_then(usage);
    (!status.is_server_error()).then(|| Heard::Passed { usage: usage() })
}

fn scope(text: &str) -> Option<QuotaScope> {
    match text.split('/').next()?.trim() {
        "Application" => Some(QuotaScope::App),
        "Tenant" => Some(QuotaScope::Tenant),
        "Tenant_Application" => Some(QuotaScope::AppInTenant),
        _ => None,
    }
}

/// Some share, and neither less than nothing nor without end.
fn usage(text: &str) -> Option<f64> {
    let share: f64 = text.trim().parse().ok()?;
    (share.is_finite() && share >= 0.0).then_some(share)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_secs(7));

    fn told(status: u16, headers: &[(&'static str, &'static str)]) -> Option<Heard> {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        heard(
            StatusCode::from_u16(status).unwrap(),
            &headers.collect(),
            WAIT,
        )
    }

    #[test]
    fn the_share_of_a_quota_that_is_used_is_read_and_nonsense_is_not() {
        for (words, expected) in [
            ("0.8", Some(0.8)),
            ("1.8", Some(1.8)),
            (" 1 ", Some(1.0)),
            ("0", Some(0.0)),
            ("-0.1", None),
            ("NaN", None),
            ("inf", None),
            ("1e999", None),
            ("85%", None),
            ("", None),
        ] {
            let heard = told(204, &[(USAGE, words)]);
            assert_eq!(heard, Some(Heard::Passed { usage: expected }), "{words:?}");
        }
        assert_eq!(told(204, &[]), Some(Heard::Passed { usage: None }));
    }

    #[test]
    fn whose_quota_is_used_up_is_the_first_word_of_its_scope() {
        for (words, expected) in [
            (
                "Tenant_Application/Write/a/b",
                Some(QuotaScope::AppInTenant),
            ),
            ("Application/ReadWrite/a/a", Some(QuotaScope::App)),
            ("Tenant/Write/a/b", Some(QuotaScope::Tenant)),
            ("Tenant", Some(QuotaScope::Tenant)),
            ("User/Write/a/b", None),
            ("TenantX/Write", None),
            ("/Tenant", None),
            ("", None),
        ] {
            let heard = told(429, &[(SCOPE, words)]);
            let throttled = Heard::Throttled {
                retry_after: WAIT,
                scope: expected,
            };
            assert_eq!(heard, Some(throttled), "{words:?}");
        }
    }

    #[test]
    fn only_429_and_503_with_a_time_to_come_back_are_throttling_and_an_outage_says_nothing() {
        let throttled = Heard::Throttled {
            retry_after: WAIT,
            scope: None,
        };
        let passed = Heard::Passed { usage: None };
        for (status, expected) in [
            (200, Some(passed)),
            (204, Some(passed)),
            (400, Some(passed)),
            (401, Some(passed)),
            (403, Some(passed)),
            (429, Some(throttled)),
            (500, None),
            (502, None),
            (503, Some(throttled)),
            (504, None),
        ] {
            assert_eq!(told(status, &[]), expected, "{status}");
        }
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(heard(unavailable, &HeaderMap::new(), None), None);
    }
}
