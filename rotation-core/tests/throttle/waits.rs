//! What a server may say of how long to wait.

use std::time::Duration;

use entra_sim::RetryAfter;
use rotation_core::{Heard, Quotas, RateControl, RequestKind};
use tokio::time::{Instant, timeout};

use crate::crowd::{Crowd, quota};

fn crowd(name: &str, says: RetryAfter) -> Crowd {
    let mut crowd = Crowd::new(name, quota(300, 15), 5_000);
    crowd.throttle = crowd.throttle.retry_after(says);
    crowd
}

#[test]
fn an_odd_wait_makes_it_neither_hang_nor_hammer() {
    let says = [
        ("Retry-After absent", RetryAfter::Absent, 1.04, 0.05),
        (
            "Retry-After rounded down",
            RetryAfter::RoundedDown,
            1.04,
            0.05,
        ),
        (
            "Retry-After: 0",
            RetryAfter::Words("0".to_owned()),
            1.04,
            0.05,
        ),
        (
            "Retry-After: -5",
            RetryAfter::Words("-5".to_owned()),
            1.04,
            0.05,
        ),
        (
            "Retry-After: soon",
            RetryAfter::Words("soon".to_owned()),
            1.04,
            0.05,
        ),
        ("Retry-After: a date", RetryAfter::Date, 1.04, 0.03),
    ];
    for (name, says, ratio, rejected) in says {
        let crowd = crowd(name, says);
        for crowd in [crowd.clone(), crowd.untold()] {
            let went = crowd.goes(crowd.least_of_bucket(300.0, 20.0));
            assert!(went.ratio() < ratio, "{}", went.ratio());
            assert!(went.rejected() < rejected, "{}", went.rejected());
        }
    }
}

/// Longer waits than ten minutes are no server's, and would end a run in silence: after ten minutes it is asked again.
#[test]
fn a_week_is_ten_minutes() {
    let week = RetryAfter::Words((7 * 24 * 3_600).to_string());
    let mut crowd = crowd("Retry-After: a week", week).untold();
    crowd.requests = 1_000;
    let went = crowd.goes(1_200.0);
    assert!(went.turned_away < 300, "{went:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_throttles_is_asked_ever_more_seldom() {
    let control = RateControl::new();
    let controller = control.controller("app", "tenant", &Quotas::default());
    let began = Instant::now();
    let mut asked = Vec::new();
    let refused = Heard::throttled_without_a_word();
    let hour = Duration::from_secs(3_600);
    let hammered = async {
        loop {
            let turn = controller.turn(RequestKind::Write).await;
            asked.push(began.elapsed());
            controller.heard(RequestKind::Write, refused);
            drop(turn);
        }
    };
    assert!(timeout(hour, hammered).await.is_err());
    assert!(asked.len() < 30, "{asked:?}");
    let gaps = asked.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.max().unwrap() <= Duration::from_secs(20 * 60),
        "{asked:?}"
    );
}

trait Untold {
    fn throttled_without_a_word() -> Self;
}

impl Untold for Heard {
    fn throttled_without_a_word() -> Self {
        Self::Throttled {
            retry_after: None,
            scope: None,
        }
    }
}

/// 503 with `Retry-After` says nothing of a quota, and is heard by everybody all the same.
#[tokio::test(start_paused = true)]
async fn a_wait_without_a_scope_is_the_tenants() {
    let control = RateControl::new();
    let (one, other) = (
        control.controller("app", "one", &Quotas::default()),
        control.controller("app", "other", &Quotas::default()),
    );
    let began = Instant::now();
    let heard = Heard::Throttled {
        retry_after: Some(Duration::from_secs(30)),
        scope: None,
    };
    drop(one.turn(RequestKind::Write).await);
    one.heard(RequestKind::Write, heard);
    drop(other.turn(RequestKind::Write).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(one.turn(RequestKind::Write).await);
    assert!(began.elapsed() >= Duration::from_secs(30));
}
