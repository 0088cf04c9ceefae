//! Buckets, latencies and beginnings by the hundred.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rotation_core::Quota as Documented;

use crate::crowd::{Crowd, Went};

/// How many are tried; `ROTATION_THROTTLE_CASES` tries more.
const CASES: u64 = 60;

fn cases() -> u64 {
    let asked = std::env::var("ROTATION_THROTTLE_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// Any number between these, small ones as likely as large ones.
fn between(rng: &mut StdRng, least: f64, most: f64) -> f64 {
    least * (most / least).powf(rng.random())
}

/// A bucket, and what is said of it, which may be wrong.
fn any_crowd(seed: u64, most: f64) -> (Crowd, f64) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let size = between(rng, 50.0, 20_000.0).round();
    let period = between(rng, 5.0, 600.0);
    let wrong = between(rng, 0.05, 50.0);
    let documented = rng.random_bool(0.8).then(|| Documented {
        requests: (size * wrong) as u32,
        period: Duration::from_secs_f64(period),
    });
    let used_up = (size * rng.random::<f64>()).floor();
    let latency = Duration::from_millis(between(rng, 10.0, 2_000.0) as u64);
    let at_once = between(rng, 1.0, 256.0).round();
    let requests = (size * rng.random_range(10.0..20.0)).min(most.max(3.0 * size)) as u64;
    let quota = entra_sim::Quota::new(size as u32, Duration::from_secs_f64(period));
    let crowd = Crowd {
        at_once: at_once as usize,
        latency,
        used_up: used_up as u64,
        documented,
        seed,
        ..Crowd::new(format!("bucket {size} / {period:.1} s"), quota, requests)
    };
    let least = crowd.least_of_bucket(size, size / period);
    (crowd, least)
}

/// What is turned away beyond what learning costs: every time it is turned away, so is what is under way.
fn beyond_learning(crowd: &Crowd, went: &Went, lessons: f64) -> f64 {
    let rate = went.asked as f64 / went.seconds;
    let under_way = (1.0 + rate * crowd.latency.as_secs_f64()).min(crowd.at_once as f64);
    let learned = 2.0 * crowd.at_once as f64 + lessons * (1.0 + under_way);
    (went.turned_away as f64 - learned).max(0.0) / went.asked as f64
}

/// Tries many; the mean ratio.
#[track_caller]
fn tries(untold: bool, most: f64, ratio: f64, rejected: f64, lessons: f64) -> f64 {
    let mut slowest: Option<(Went, String)> = None;
    let mut rudest: Option<(f64, String)> = None;
    let mut sum = 0.0;
    for seed in 0..cases() {
        let (mut crowd, least) = any_crowd(seed, most);
        if untold {
            crowd = crowd.untold();
        }
        let went = crowd.run(least);
        let line = format!("{} {crowd:?}", crowd.line(&went));
        assert_eq!(went.impolite, 0, "{line}");
        sum += went.ratio();
        // the first rate of an undocumented bucket is a guess, and is doubled until it is one no more
        let guessing = if crowd.documented.is_none() {
            25.0
        } else {
            5.0
        };
        assert!(went.seconds <= least * ratio + guessing, "{line}");
        let beyond = beyond_learning(&crowd, &went, lessons);
        assert!(beyond <= rejected, "{beyond}: {line}");
        if slowest
            .as_ref()
            .is_none_or(|(slow, _)| went.ratio() > slow.ratio())
        {
            slowest = Some((went, line.clone()));
        }
        if rudest.as_ref().is_none_or(|(rude, _)| beyond > *rude) {
            rudest = Some((beyond, line));
        }
    }
    let mean = sum / cases() as f64;
    println!(
        "{} buckets, untold: {untold}: mean ratio {mean:.4}",
        cases()
    );
    println!("  slowest: {}", slowest.unwrap().1);
    println!("  rudest: {}", rudest.unwrap().1);
    mean
}

#[test]
fn any_bucket_is_used_well_when_its_use_is_told() {
    let mean = tries(false, 6_000.0, 1.05, 0.01, 8.0);
    assert!(mean <= 1.02, "{mean}");
}

#[test]
fn any_bucket_is_used_well_when_it_only_turns_away() {
    let mean = tries(true, 6_000.0, 1.08, 0.015, 8.0);
    assert!(mean <= 1.04, "{mean}");
}
