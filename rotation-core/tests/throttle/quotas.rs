//! One tenant under each model of a quota.

use std::time::Duration;

use entra_sim::Neighbour;

use crate::crowd::{Crowd, Went, quota};

/// Buckets of all kinds, the first of which is as documented: size and seconds.
const BUCKETS: [(u32, u64); 6] = [
    (3_000, 150),
    (1_000, 25),
    (300, 10),
    (600, 120),
    (6_000, 60),
    (2_000, 10),
];

const REQUESTS: u64 = 20_000;

fn bucket(size: u32, seconds: u64) -> Crowd {
    let name = format!("bucket {size} / {seconds} s");
    Crowd::new(name, quota(size, seconds), REQUESTS)
}

fn least_of_bucket(crowd: &Crowd, size: u32, seconds: u64) -> f64 {
    crowd.least_of_bucket(f64::from(size), f64::from(size) / seconds as f64)
}

#[track_caller]
fn assert_within(went: Went, ratio: f64, rejected: f64) {
    assert!(went.ratio() <= ratio, "{} > {ratio}", went.ratio());
    assert!(
        went.rejected() <= rejected,
        "{} > {rejected}",
        went.rejected()
    );
}

#[test]
fn a_bucket_whose_use_is_told_is_emptied_and_hardly_overrun() {
    for (size, seconds) in BUCKETS {
        let crowd = bucket(size, seconds);
        let went = crowd.goes(least_of_bucket(&crowd, size, seconds));
        assert_within(went, 1.02, 0.002);
    }
}

#[test]
fn a_bucket_that_only_turns_away_is_learned() {
    for (size, seconds) in BUCKETS {
        let mut crowd = bucket(size, seconds).untold();
        crowd.name += ", untold";
        crowd.requests = 50_000;
        let went = crowd.goes(least_of_bucket(&crowd, size, seconds));
        assert_within(went, 1.02, 0.006);
    }
}

#[test]
fn the_documented_bucket_is_near_enough_to_start_with() {
    let mut crowd = bucket(3_000, 150).untold();
    crowd.name = "documented bucket, untold".to_owned();
    crowd.requests = 10_000;
    let went = crowd.goes(least_of_bucket(&crowd, 3_000, 150));
    assert_within(went, 1.02, 0.005);
}

#[test]
fn where_there_is_no_limit_there_is_none() {
    for told in [true, false] {
        let mut crowd = Crowd::new("no limit", quota(4_000_000_000, 1), 50_000);
        if !told {
            crowd = crowd.untold();
        }
        let went = crowd.goes(crowd.least(0.0));
        assert_within(went, 1.02, 0.0);
    }
}

#[test]
fn windows_whose_use_is_told_are_used_up_and_hardly_overrun() {
    for (size, seconds, ratio) in [(3_000, 150, 1.02), (500, 10, 1.2)] {
        let fixed = Crowd::new(
            format!("fixed window {size} / {seconds} s"),
            quota(size, seconds).fixed_window(),
            REQUESTS,
        );
        let sliding = Crowd::new(
            format!("sliding window {size} / {seconds} s"),
            quota(size, seconds).sliding_window(),
            REQUESTS,
        );
        for crowd in [fixed, sliding] {
            let least = crowd.least_of_window(u64::from(size), seconds as f64);
            // a short window turns away more: the news is late by a latency, and that is a part of it
            let rejected = if seconds < 60 { 0.02 } else { 0.005 };
            assert_within(crowd.goes(least), ratio, rejected);
        }
    }
}

#[test]
fn windows_that_only_turn_away_are_learned() {
    for (size, seconds, ratio) in [(3_000, 150, 1.12), (500, 10, 1.3)] {
        let fixed = Crowd::new(
            format!("fixed window {size} / {seconds} s, untold"),
            quota(size, seconds).fixed_window(),
            REQUESTS,
        );
        let sliding = Crowd::new(
            format!("sliding window {size} / {seconds} s, untold"),
            quota(size, seconds).sliding_window(),
            REQUESTS,
        );
        for crowd in [fixed, sliding] {
            let crowd = crowd.untold();
            let least = crowd.least_of_window(u64::from(size), seconds as f64);
            assert_within(crowd.goes(least), ratio, 0.012);
        }
    }
}

#[test]
fn a_limit_that_changes_is_followed() {
    let changes = [
        (150, 1_500, "halved"),
        (150, 9_000, "tripled"),
        (250, 9_000, "tripled later"),
    ];
    for (after, size, name) in changes {
        let quota =
            quota(3_000, 150).then(Duration::from_secs(after), size, Duration::from_secs(150));
        let told = Crowd::new(format!("{name} after {after} s"), quota, REQUESTS);
        let mut untold = told.clone().untold();
        untold.name += ", untold";
        for (crowd, ratio) in [(told, 1.02), (untold, 1.06)] {
            let before = 3_000.0 + 20.0 * after as f64;
            let rest = (REQUESTS as f64 - before) * 150.0 / f64::from(size);
            let went = crowd.goes(crowd.least(after as f64 + rest));
            assert_within(went, ratio, 0.01);
        }
    }
}

#[test]
fn what_a_neighbour_leaves_is_used() {
    let neighbours = [
        (Neighbour::steady(0.5), "steady neighbour"),
        (
            Neighbour::bursty(0.5, Duration::from_secs(10), Duration::from_secs(10)),
            "bursty neighbour",
        ),
        (Neighbour::random(0.5, 7), "random neighbour"),
    ];
    for (neighbour, name) in neighbours {
        let quota = quota(3_000, 150).with_neighbour(neighbour);
        let told = Crowd::new(name, quota, REQUESTS);
        let mut untold = told.clone().untold();
        untold.name += ", untold";
        for (crowd, rejected) in [(told, 0.005), (untold, 0.03)] {
            // a neighbour takes no more than its half; where it gets less, there is more for us
            let went = crowd.goes(crowd.least_of_bucket(3_000.0, 10.0));
            assert_within(went, 1.05, rejected);
        }
    }
}
