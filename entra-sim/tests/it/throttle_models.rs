//! The throttle model without HTTP, on a clock of the tests: each kind of quota against its definition.

use std::time::Duration;

use entra_sim::{Cost, Counted, Neighbour, Overrun, Quota, RetryAfter, Scope, Throttle, Throttles};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

const APP: Uuid = Uuid::from_u128(1);
const TENANT: Uuid = Uuid::from_u128(2);
const SECOND: u64 = 1_000_000_000;
const PERIOD: Duration = Duration::from_secs(10);
const PERIOD_NS: u64 = 10 * SECOND;

/// Nanoseconds after the start.
fn at(nanoseconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

fn model(throttle: Throttle) -> Throttles {
    Throttles::new(throttle, Timestamp::UNIX_EPOCH)
}

fn of_one_app(quota: Quota) -> Throttles {
    model(Throttle::app_in_tenant(quota))
}

fn write(throttles: &Throttles, now: u64) -> Result<Option<f64>, Box<Overrun>> {
    throttles.admit(APP, TENANT, Cost::WRITE, at(now))
}

fn wait_ns(overrun: &Overrun) -> u64 {
    u64::try_from(overrun.wait.as_nanos()).unwrap()
}

fn every_model(count: u32) -> [Quota; 3] {
    let quota = Quota::new(count, PERIOD);
    [
        quota.clone(),
        quota.clone().fixed_window(),
        quota.sliding_window(),
    ]
}

/// When requests are sent: bursts, trickles and pauses.
fn moments() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![
        4 => Just(0_u64),
        4 => 0..SECOND / 2,
        2 => 0..3 * SECOND,
        1 => 0..25 * SECOND,
    ];
    prop::collection::vec(gap, 1..300).prop_map(|gaps| {
        gaps.into_iter()
            .scan(0, |now, gap| {
                *now += gap;
                Some(*now)
            })
            .collect()
    })
}

/// When each request was sent that was let through.
fn admitted(throttles: &Throttles, moments: &[u64]) -> Vec<u64> {
    let pass = |now: &&u64| write(throttles, **now).is_ok();
    moments.iter().filter(pass).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_token_bucket_never_passes_more_than_it_holds_and_what_drips_in(
        count in 1_u32..40,
        moments in moments(),
        debt in prop_oneof![Just(0.0), 0.0..0.5],
    ) {
        let passed = admitted(&of_one_app(Quota::new(count, PERIOD).debt(debt)), &moments);
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                let number = (last - first + 1) as u128;
                // number <= count + (to - from) * count / period, in whole numbers
                let (count, period) = (u128::from(count), u128::from(PERIOD_NS));
                prop_assert!(number * period <= count * period + u128::from(to - from) * count);
            }
        }
    }

    #[test]
    fn a_fixed_window_never_passes_more_than_its_limit(
        count in 1_u32..40,
        moments in moments(),
        debt in prop_oneof![Just(0.0), 0.0..0.5],
    ) {
        let quota = Quota::new(count, PERIOD).fixed_window().debt(debt);
        let throttles = of_one_app(quota);
        let passed = admitted(&throttles, &moments);
        // Refused requests make no difference: the next window begins empty.
        for window in 0..=moments.last().unwrap() / PERIOD_NS {
            let inside = |moments: &[u64]| moments.iter().filter(|now| *now / PERIOD_NS == window).count();
            prop_assert_eq!(inside(&passed), inside(&moments).min(count as usize));
        }
    }

    #[test]
    fn no_window_that_slides_passes_more_than_its_limit(
        count in 1_u32..40,
        moments in moments(),
        debt in prop_oneof![Just(0.0), 0.0..0.5],
    ) {
        let quota = Quota::new(count, PERIOD).sliding_window().debt(debt);
        let passed = admitted(&of_one_app(quota), &moments);
        for (first, from) in passed.iter().enumerate() {
            let inside = passed[first..].iter().take_while(|now| **now < from + PERIOD_NS).count();
            prop_assert!(inside <= count as usize);
        }
    }

    #[test]
    fn a_window_that_slides_passes_what_its_log_has_room_for(
        count in 1_u32..40,
        moments in moments(),
    ) {
        let quota = Quota::new(count, PERIOD).sliding_window().debt(0.0);
        let throttles = of_one_app(quota);
        let mut log = Vec::new();
        for now in moments {
            // Coarser than its log, as that forgets a little later what was sent almost at once.
            let now = now - now % (PERIOD_NS / 1_000);
            let room = log.iter().filter(|sent| **sent + PERIOD_NS > now).count() < count as usize;
            prop_assert_eq!(write(&throttles, now).is_ok(), room);
            if room {
                log.push(now);
            }
        }
    }

    #[test]
    fn whoever_waits_exactly_as_long_as_told_gets_through_and_not_a_moment_sooner(
        count in 1_u32..40,
        moments in moments(),
        debt in prop_oneof![Just(0.0), 0.0..0.5],
    ) {
        for quota in every_model(count) {
            let quota = quota.debt(debt);
            let mut refused = 0;
            let run = |until: usize| {
                let throttles = of_one_app(quota.clone());
                let last = moments[..=until].iter().map(|now| write(&throttles, *now)).last();
                (throttles, last.unwrap())
            };
            for (index, now) in moments.iter().enumerate() {
                let (throttles, Err(overrun)) = run(index) else { continue };
                let wait = wait_ns(&overrun);
                prop_assert!(write(&throttles, now + wait).is_ok(), "{quota:?}");
                let (throttles, _) = run(index);
                prop_assert!(write(&throttles, now + wait - 1).is_err(), "{quota:?}");
                refused += 1;
                if refused == 2 {
                    break;
                }
            }
        }
    }
}

#[test]
fn what_was_sent_almost_at_once_is_forgotten_as_late_as_the_last_of_it() {
    let throttles = of_one_app(Quota::new(2, PERIOD).sliding_window().debt(0.0));
    let almost = SECOND / 200;
    let sent = [0, almost, PERIOD_NS, PERIOD_NS, PERIOD_NS + almost - 1];
    assert_eq!(admitted(&throttles, &sent), [0, almost]);
    let then = [PERIOD_NS + almost; 3];
    assert_eq!(admitted(&throttles, &then), then[1..]);
}

/// How many of the requests get through that are sent so often per period, for so many periods.
fn passed_at(quota: Quota, per_period: u64, periods: u64) -> usize {
    let throttles = of_one_app(quota);
    let moments: Vec<u64> = (0..per_period * periods)
        .map(|number| number * PERIOD_NS / per_period)
        .collect();
    admitted(&throttles, &moments).len()
}

#[test]
fn refused_requests_count_so_overrunning_is_slower_than_waiting() {
    for quota in [
        Quota::new(100, PERIOD),
        Quota::new(100, PERIOD).sliding_window(),
    ] {
        let polite = passed_at(quota.clone(), 99, 20);
        let rude = passed_at(quota.clone(), 300, 20);
        assert!(polite >= 1_900 && rude < 300, "{polite} {rude} {quota:?}");
        let unpunished = passed_at(quota.debt(0.0), 300, 20);
        assert!(unpunished >= 1_900, "{unpunished}");
    }
}

#[test]
fn nobody_owes_more_than_a_twentieth_of_the_quota() {
    for quota in every_model(100) {
        let throttles = of_one_app(quota.clone());
        let wait = (0..10_000).filter_map(|_| write(&throttles, 0).err());
        let longest = wait.map(|overrun| overrun.wait).max().unwrap();
        assert!(longest <= PERIOD, "{longest:?} {quota:?}");
        let usage = write(&throttles, 0).unwrap_err().usage.unwrap();
        assert!((1.0..=1.051).contains(&usage), "{usage} {quota:?}");
    }
}

#[test]
fn a_limit_that_changes_holds_from_its_moment_on() {
    let minute = Duration::from_secs(60);
    for quota in every_model(100) {
        let throttles = of_one_app(quota.debt(0.0).then(minute, 10, PERIOD).then(
            2 * minute,
            200,
            PERIOD,
        ));
        // As much as there is, at every moment.
        let mut passed = [0_u32; 3];
        let mut now = 0;
        while now < 180 * SECOND {
            match write(&throttles, now) {
                Ok(_) => passed[usize::try_from(now / (60 * SECOND)).unwrap()] += 1,
                Err(overrun) => now += wait_ns(&overrun).min(SECOND / 100),
            }
        }
        let [full, slow, fast] = passed;
        // A bucket is full at first; a log remembers what the greater limit let through.
        assert!((600..=700).contains(&full), "{passed:?}");
        assert!((50..=60).contains(&slow), "{passed:?}");
        assert!((1_195..=1_205).contains(&fast), "{passed:?}");
    }
}

#[test]
fn a_neighbour_takes_its_share_and_no_more() {
    let neighbours = [
        Neighbour::steady(0.4),
        Neighbour::bursty(0.4, Duration::from_secs(10), Duration::from_secs(10)),
        Neighbour::random(0.4, 7),
    ];
    for neighbour in neighbours {
        for quota in every_model(1_000) {
            let throttles = of_one_app(quota.debt(0.0).with_neighbour(neighbour.clone()));
            let moments: Vec<u64> = (0..40_000).map(|number| number * SECOND / 200).collect();
            let passed = admitted(&throttles, &moments).len();
            // 20 periods: 20,000 of which the neighbour wants 8,000. Who comes first takes it; it asks once a tick.
            assert!((11_500..20_100).contains(&passed), "{passed} {neighbour:?}");
            let alone = of_one_app(Quota::new(1_000, PERIOD).debt(0.0));
            assert!(passed < admitted(&alone, &moments).len());
        }
    }
}

#[test]
fn a_steady_neighbour_leaves_the_rest_to_a_caller_that_needs_less() {
    for quota in every_model(1_000) {
        let throttles = of_one_app(quota.with_neighbour(Neighbour::steady(0.5)));
        let passed = |from: u64| {
            let moments: Vec<u64> = (0..4_900)
                .map(|number| from + number * SECOND / 49)
                .collect();
            admitted(&throttles, &moments).len()
        };
        assert_eq!(passed(0), 4_900);
        assert_eq!(passed(100 * SECOND), 4_900);
    }
}

#[test]
fn neighbours_of_equal_seeds_act_alike_and_differ_between_tenants() {
    let passed = |tenant: u128| {
        let quota = Quota::new(100, PERIOD).with_neighbour(Neighbour::random(0.8, 3));
        let throttles = model(Throttle::default().with_tenant(quota));
        let pass = |number: &u64| {
            let now = at(number * SECOND / 10);
            let tenant = Uuid::from_u128(tenant);
            throttles.admit(APP, tenant, Cost::WRITE, now).is_ok()
        };
        (0..1_000).filter(pass).collect::<Vec<u64>>()
    };
    assert_eq!(passed(2), passed(2));
    assert_ne!(passed(2), passed(3));
}

#[test]
fn each_scope_is_shared_by_those_it_is_for() {
    let quota = || Quota::new(10, PERIOD);
    let other = |id: u128| Uuid::from_u128(id);
    for (throttle, scope, app, tenant) in [
        (
            Throttle::app_in_tenant(quota()),
            Scope::AppInTenant,
            APP,
            TENANT,
        ),
        (
            Throttle::default().with_app(quota()),
            Scope::App,
            APP,
            other(9),
        ),
        (
            Throttle::default().with_tenant(quota()),
            Scope::Tenant,
            other(9),
            TENANT,
        ),
    ] {
        let throttles = model(throttle);
        for _ in 0..10 {
            assert!(write(&throttles, 0).is_ok());
        }
        let refused = throttles
            .admit(app, tenant, Cost::WRITE, at(0))
            .unwrap_err();
        assert_eq!((refused.scope, refused.counted), (scope, Counted::Writes));
        let stranger = throttles.admit(other(7), other(8), Cost::WRITE, at(0));
        assert!(stranger.is_ok(), "{scope:?}");
    }
}

#[test]
fn the_longest_wait_is_told() {
    let long = Quota::new(10, Duration::from_secs(100));
    let throttles = model(Throttle::app_in_tenant(Quota::new(10, PERIOD)).with_tenant(long));
    for _ in 0..10 {
        assert!(write(&throttles, 0).is_ok());
    }
    let refused = write(&throttles, 0).unwrap_err();
    // The refused one counts, so two tokens must drip in, one each ten seconds.
    assert_eq!(refused.scope, Scope::Tenant);
    assert_eq!(refused.retry_after, Some(Duration::from_secs(20)));
    assert!(write(&throttles, 20 * SECOND).is_ok());
}

#[test]
fn the_documented_quotas_are_as_documented() {
    let throttles = model(Throttle::documented());
    let burst = |cost: Cost, tenants: u128, most: usize| {
        let one = |number: usize| {
            let tenant = Uuid::from_u128(100 + number as u128 % tenants);
            throttles.admit(APP, tenant, cost, at(0))
        };
        let passed = (0..most).take_while(|number| one(*number).is_ok()).count();
        let refused = one(0).unwrap_err();
        throttles.reset(at(0));
        (passed, refused.counted, refused.scope)
    };
    let (writes, units) = (Counted::Writes, Counted::Units);
    assert_eq!(
        burst(Cost::WRITE, 1, 90_000),
        (3_000, writes, Scope::AppInTenant)
    );
    assert_eq!(burst(Cost::WRITE, 20, 90_000), (35_000, writes, Scope::App));
    assert_eq!(
        burst(Cost::READ, 1, 90_000),
        (8_000, units, Scope::AppInTenant)
    );
    assert_eq!(burst(Cost::read(2), 1, 90_000).0, 4_000);
    assert_eq!(burst(Cost::READ, 40, 200_000), (150_000, units, Scope::App));
    for (users, expected) in [(49, 3_500), (50, 5_000), (500, 5_000), (501, 8_000)] {
        throttles.set_users(Uuid::from_u128(100), users);
        assert_eq!(burst(Cost::READ, 1, 90_000).0, expected, "{users} users");
    }
    let tenant = |app: u128| throttles.admit(Uuid::from_u128(app), TENANT, Cost::WRITE, at(0));
    let passed = (0..90_000).take_while(|number| tenant(number % 10).is_ok());
    assert_eq!(passed.count(), 18_000);
}

#[test]
fn reads_take_no_writes_and_writes_take_units() {
    let quota = || Quota::new(10, PERIOD);
    let throttles = model(Throttle::app_in_tenant(quota()));
    for _ in 0..100 {
        assert!(throttles.admit(APP, TENANT, Cost::READ, at(0)).is_ok());
    }
    assert!(write(&throttles, 0).is_ok());
    let throttles = model(Throttle::default().with_units(quota()));
    for _ in 0..10 {
        assert!(write(&throttles, 0).is_ok());
    }
    let refused = throttles.admit(APP, TENANT, Cost::READ, at(0)).unwrap_err();
    assert_eq!(refused.counted, Counted::Units);
}

#[test]
fn the_last_fifth_of_a_quota_is_announced_unless_told_not_to() {
    for quota in every_model(10) {
        let throttles = of_one_app(quota.clone());
        let announced: Vec<bool> = (0..10)
            .map(|_| write(&throttles, 0).unwrap().is_some())
            .collect();
        assert_eq!(announced, [[false; 8].as_slice(), &[true; 2]].concat());
        assert!(write(&throttles, 0).unwrap_err().usage.is_some());

        let throttles = model(Throttle::app_in_tenant(quota).without_percentage());
        for _ in 0..10 {
            assert_eq!(write(&throttles, 0).unwrap(), None);
        }
        assert_eq!(write(&throttles, 0).unwrap_err().usage, None);
    }
}

#[test]
fn retry_after_says_what_it_is_told_to() {
    let header = |says: RetryAfter, count: u32| {
        let throttle = Throttle::app_in_tenant(Quota::new(count, PERIOD)).retry_after(says);
        let throttles = model(throttle);
        let refused = (0..=count).find_map(|_| write(&throttles, SECOND / 2).err());
        let refused = refused.unwrap();
        (
            refused.retry_after_header,
            refused.retry_after.map(|time| time.as_secs()),
        )
    };
    let words = |text: &str| RetryAfter::Words(text.to_owned());
    let told = |text: &str, seconds| (Some(text.to_owned()), seconds);
    // Two of four tokens: five seconds. Two of forty: half a second.
    assert_eq!(header(RetryAfter::Seconds, 4), told("5", Some(5)));
    assert_eq!(header(RetryAfter::Seconds, 40), told("1", Some(1)));
    assert_eq!(header(RetryAfter::RoundedDown, 40), told("0", Some(0)));
    assert_eq!(header(RetryAfter::Absent, 4), (None, None));
    assert_eq!(
        header(RetryAfter::Date, 4),
        told("Thu, 01 Jan 1970 00:00:06 GMT", None)
    );
    assert_eq!(header(words("0"), 4), told("0", Some(0)));
    assert_eq!(header(words("-5"), 4), told("-5", None));
    assert_eq!(header(words("604800"), 4), told("604800", Some(604_800)));
}

#[test]
fn one_tenant_may_have_limits_of_its_own() {
    let throttles = model(Throttle::app_in_tenant(Quota::new(50, PERIOD)));
    let hard = Throttle::app_in_tenant(Quota::new(2, PERIOD));
    throttles.set_tenant(TENANT, Some(hard));
    let passed = |tenant: Uuid| {
        let pass = |_: &u32| throttles.admit(APP, tenant, Cost::WRITE, at(0)).is_ok();
        (0..100).filter(pass).count()
    };
    assert_eq!((passed(TENANT), passed(APP)), (2, 50));
    throttles.set_tenant(TENANT, None);
    assert_eq!((passed(TENANT), passed(APP)), (50, 0));
    throttles.reset(at(0));
    assert_eq!(passed(APP), 50);
    throttles.set(Throttle::default(), at(0));
    assert_eq!((passed(TENANT), passed(APP)), (100, 100));
}

#[test]
fn a_throttle_can_be_written_as_json() {
    let written = json!({
        "appInTenant": {
            "count": 3000, "seconds": 150, "model": "slidingWindow", "debt": 0,
            "then": [{"after": 60, "count": 1000, "seconds": 2.5}],
        },
        "tenant": {
            "count": 5, "seconds": 1, "model": "fixedWindow",
            "neighbour": {"kind": "bursty", "share": 0.5, "on": 3, "off": 4.5},
        },
        "units": {"count": 8, "seconds": 1, "neighbour": {"kind": "random", "share": 1, "seed": 9}},
        "percentage": false,
        "retryAfter": {"words": "-5"},
    });
    let seconds = Duration::from_secs_f64;
    let expected = Throttle::app_in_tenant(
        Quota::new(3_000, seconds(150.0))
            .sliding_window()
            .debt(0.0)
            .then(seconds(60.0), 1_000, seconds(2.5)),
    )
    .with_tenant(
        Quota::new(5, seconds(1.0))
            .fixed_window()
            .with_neighbour(Neighbour::bursty(0.5, seconds(3.0), seconds(4.5))),
    )
    .with_units(Quota::new(8, seconds(1.0)).with_neighbour(Neighbour::random(1.0, 9)))
    .without_percentage()
    .retry_after(RetryAfter::Words("-5".to_owned()));
    assert_eq!(written.to_string().parse(), Ok(expected));

    assert_eq!("documented".parse(), Ok(Throttle::documented()));
    assert_eq!("none".parse(), Ok(Throttle::default()));
    let silent = Throttle::documented().retry_after(RetryAfter::Absent);
    assert_eq!(
        r#"{"documented": true, "retryAfter": "absent"}"#.parse(),
        Ok(silent)
    );
}

#[test]
fn what_is_wrong_with_a_written_throttle_is_said() {
    for (text, words) in [
        ("documentd", "expected `documented`, `none` or JSON"),
        ("[]", "throttle"),
        (r#""some""#, "expected \"documented\""),
        (r#"{"app": {"count": 1}}"#, "missing field `seconds`"),
        (r#"{"app": {"count": 1, "seconds": -1}}"#, "-1 seconds"),
        (r#"{"app": {"count": 1, "seconds": 0}}"#, "more than zero"),
        (r#"{"app": {"count": 0, "seconds": 1}}"#, "more than zero"),
        (r#"{"apps": {}}"#, "unknown field `apps`"),
        (
            r#"{"app": {"count": 1, "seconds": 1, "model": "leaky"}}"#,
            "unknown variant `leaky`",
        ),
        (
            r#"{"app": {"count": 1, "seconds": 1, "neighbour": {"kind": "steady", "share": 0.5, "on": 1}}}"#,
            "unknown field `on`",
        ),
    ] {
        let error = text.parse::<Throttle>().unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}
