//! Promise 7: two runs on one store never touch one account at once, wherever one stops and the other goes on.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rotation_core::testkit::{SetFault, StoreFault, StoreOp};
use rotation_core::{
    AccountQuery, Engine, Event, Lease, Policy, RefusalReason, Report, SecretStore, Verify,
    VersionState,
};

use crate::world::{World, account, report_of};

/// Two runs with planned work, each driven as far as the test says.
struct Driven<'a> {
    lease: Lease,
    events: Pin<Box<dyn Future<Output = Vec<Event>> + Send + 'a>>,
}

impl<'a> Driven<'a> {
    async fn start(engine: &'a Engine) -> Self {
        let plan = engine.plan(AccountQuery::All).await.unwrap();
        let tenant = plan.tenant().clone();
        let run = engine.run(plan);
        Self {
            lease: Lease {
                tenant,
                run: run.id(),
            },
            events: Box::pin(run.collect()),
        }
    }

    /// Polls it `polls` times; what it said if that was its end.
    async fn advance(&mut self, polls: usize) -> Option<Vec<Event>> {
        let mut left = polls;
        std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            self.events.as_mut().poll(context).map(Some)
        })
        .await
    }

    async fn finish(&mut self) -> Report {
        report_of(&self.events.as_mut().await)
    }
}

fn world(accounts: usize) -> World {
    World::new(accounts)
}

type Prepare = (&'static str, fn(&World));

/// What may go wrong while two runs meet.
const TROUBLE: [Prepare; 8] = [
    ("nothing", |_| {}),
    ("answer lost", |world| {
        world.backend.inject(SetFault::answer_lost());
    }),
    ("request lost", |world| {
        world.backend.inject(SetFault::request_lost());
    }),
    ("password refused", |world| {
        let refused = SetFault::refused(RefusalReason::Password);
        world.backend.inject(refused);
    }),
    ("applied, hangs", |world| {
        world.backend.inject(SetFault::answer_lost().hangs());
    }),
    ("commit fails once", |world| {
        world.store.inject(StoreFault::on(StoreOp::Commit));
    }),
    ("commit answer lost", |world| {
        let lost = StoreFault::on(StoreOp::Commit).answer_lost();
        world.store.inject(lost);
    }),
    ("throttled", |world| {
        let throttled = SetFault::throttled(Duration::from_secs(200));
        world.backend.inject(throttled);
    }),
];

/// The state from which every proof ends: whatever happened, one more run settles it, and what is live is current.
async fn settles(world: &mut World, accounts: usize, context: &str) {
    world.backend.heal();
    world.store.heal();
    world.policy = Policy {
        max_age: rotation_core::Age::days(365_000),
        ..world.policy.clone()
    };
    let report = world.run().await;
    assert_eq!(report.failures(), 0, "{context}: {report:?}");
    for number in 1..=accounts {
        let Some(live) = world.backend.live_password(&account(number)) else {
            continue;
        };
        let state = world.store.state_of_password(&world.key(number), &live);
        assert_eq!(state, Some(VersionState::Current), "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_writer_wherever_one_run_stalls_and_another_goes_on() {
    let mut points = 0;
    for (trouble, prepare) in TROUBLE {
        for verify in [Verify::None, Verify::Timestamp] {
            for stall in 0.. {
                let mut world = world(1);
                world.policy.verify = verify;
                assert_eq!(world.run().await.rotated, 1);
                let (one, two) = (world.engine(), world.engine());
                let mut first = Driven::start(&one).await;
                let mut second = Driven::start(&two).await;
                prepare(&world);
                let context =
                    format!("{trouble}, {verify:?}, the first run stalls after {stall} polls");
                let ended = first.advance(stall).await;
                world.assert_nothing_lost(1, &context);
                let second = second.finish().await;
                world.assert_nothing_lost(1, &context);
                let first = match &ended {
                    Some(events) => report_of(events),
                    None => first.finish().await,
                };
                world.assert_nothing_lost(1, &context);
                let rotated = first.rotated + second.rotated;
                let left = first.left_to_others + second.left_to_others;
                assert!(
                    rotated + left >= 1 || trouble != "nothing",
                    "{context}: {first:?} {second:?}"
                );
                settles(&mut world, 1, &context).await;
                points += 1;
                if ended.is_some() {
                    break;
                }
            }
        }
    }
    println!("{points} points at which one run stalls");
    assert!(points > 250, "only {points}");
}

#[tokio::test(start_paused = true)]
async fn one_writer_however_two_runs_take_turns() {
    let mut points = 0;
    for (trouble, prepare) in TROUBLE {
        for stall in 0..24 {
            for then in 0..24 {
                let mut world = world(1);
                let (one, two) = (world.engine(), world.engine());
                let mut first = Driven::start(&one).await;
                let mut second = Driven::start(&two).await;
                prepare(&world);
                let context =
                    format!("{trouble}, {stall} polls of the first run, {then} of the second");
                let first_ended = first.advance(stall).await.is_some();
                let second_ended = second.advance(then).await.is_some();
                world.assert_nothing_lost(1, &context);
                if !first_ended {
                    first.finish().await;
                }
                world.assert_nothing_lost(1, &context);
                if !second_ended {
                    second.finish().await;
                }
                world.assert_nothing_lost(1, &context);
                settles(&mut world, 1, &context).await;
                points += 1;
            }
        }
    }
    println!("{points} interleavings of two runs");
}

/// A machine that sleeps notices nothing of the time that passes for the store. What saves the password then is the fence.
#[tokio::test(start_paused = true)]
async fn one_writer_even_if_a_machine_sleeps_through_its_lease() {
    let mut points = 0;
    let mut fenced = 0;
    for (trouble, prepare) in TROUBLE {
        if trouble.contains("lost") || trouble.contains("hangs") {
            // then not even the sleeper knows that its password may be live: only drift tells
            continue;
        }
        for stall in 0.. {
            let mut world = world(1);
            let (one, two) = (world.engine(), world.engine());
            let mut first = Driven::start(&one).await;
            let mut second = Driven::start(&two).await;
            prepare(&world);
            let context = format!("{trouble}, the first run sleeps after {stall} polls");
            let ended = first.advance(stall).await;
            world.store.release(&first.lease).await.unwrap();
            second.finish().await;
            let asleep = ended.is_none();
            if asleep {
                let report = first.finish().await;
                fenced += report.unsettled;
            }
            world.assert_nothing_lost(1, &context);
            settles(&mut world, 1, &context).await;
            points += 1;
            if !asleep {
                break;
            }
        }
    }
    println!("{points} points at which a machine sleeps, {fenced} of them fenced");
    assert!(fenced > 0);
}

#[tokio::test(start_paused = true)]
async fn one_writer_in_random_interleavings_with_crashes() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let rounds = 400;
    for round in 0..rounds {
        let accounts = random.random_range(1..=4);
        let mut world = world(accounts);
        let context = format!("seed {seed}, round {round}");
        let engines = [world.engine(), world.engine(), world.engine()];
        let mut runs = Vec::new();
        for engine in &engines {
            runs.push(Driven::start(engine).await);
        }
        for _ in 0..random.random_range(0..4) {
            TROUBLE[random.random_range(0..TROUBLE.len())].1(&world);
        }
        while !runs.is_empty() {
            let which = random.random_range(0..runs.len());
            if random.random_ratio(1, 12) {
                // a crash: its lease lapses by itself
                drop(runs.swap_remove(which));
            } else if random.random_ratio(1, 12) {
                let pause = Duration::from_secs(random.random_range(1..90));
                tokio::time::advance(pause).await;
            } else if runs[which]
                .advance(random.random_range(1..12))
                .await
                .is_some()
            {
                drop(runs.swap_remove(which));
            }
            world.assert_nothing_lost(accounts, &context);
        }
        settles(&mut world, accounts, &context).await;
    }
    println!("{rounds} random interleavings of three runs");
}

#[tokio::test(start_paused = true)]
async fn two_runs_on_one_store_share_the_work() {
    let accounts = 600;
    let world = world(accounts);
    let (one, two) = (world.engine(), world.engine());
    let first = one.run(one.plan(AccountQuery::All).await.unwrap());
    let second = two.run(two.plan(AccountQuery::All).await.unwrap());
    let (first, second) = tokio::join!(first.finish(), second.finish());
    assert_eq!(
        first.rotated + second.rotated,
        accounts as u64,
        "{first:?} {second:?}"
    );
    assert_eq!(first.failures() + second.failures(), 0);
    assert_eq!(
        first.left_to_others + second.left_to_others,
        accounts as u64
    );
    assert_eq!(
        world.backend.attempts().len(),
        accounts,
        "each account once"
    );
    world.assert_nothing_lost(accounts, "two runs");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_store_stops_renewing_its_lease_sends_nothing_more() {
    let world = world(500);
    world
        .backend
        .inject(SetFault::throttled(Duration::from_secs(200)));
    world
        .store
        .inject(StoreFault::on(StoreOp::Lease).skip(1).forever());
    let report = world.run().await;
    // 64 at once, the first of which is throttled for longer than the lease
    let sent = world.backend.attempts().len();
    assert!(sent <= 64, "{report:?}");
    assert_eq!(report.rotated, sent as u64 - 1, "{report:?}");
    world.assert_nothing_lost(500, "a lease that lapsed");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_another_run_lets_go_of_is_not_waited_for_in_vain() {
    let world = world(1);
    // another run, at work for a while on an account that it then lets go of
    let lease = Lease {
        tenant: rotation_core::TenantId::new("memory"),
        run: rotation_core::RunId::new(),
    };
    world
        .store
        .lease(&lease, Duration::from_secs(600))
        .await
        .unwrap();
    let password = rotation_core::Password::new("of the other run".to_owned().into());
    let version = rotation_core::NewVersion::new(
        world.key(1),
        "user-1@memory.test",
        lease.run,
        jiff::Timestamp::UNIX_EPOCH,
        password.into(),
    );
    let staged = world.store.stage(std::slice::from_ref(&version)).await;
    assert!(staged[0].is_ok());
    let began = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(world.run(), async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        world.store.release(&lease).await.unwrap();
    });
    assert_eq!(report.rotated, 1, "{report:?}");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_before_it_was_asked_for() {
    let world = world(1);
    // it was given when it was asked for, and said to be when most of it was over
    let late = StoreFault::on(StoreOp::Lease).delayed(Duration::from_secs(50));
    world.store.inject(late);
    world.store.inject(StoreFault::on(StoreOp::Lease).forever());
    let report = world.run().await;
    assert_eq!((report.failed, report.requests), (1, 0), "{report:?}");
    assert_eq!(world.backend.attempts().len(), 0);
}

/// What a machine's clock says after it slept.
#[derive(Debug, Default)]
struct Sleeper(std::sync::atomic::AtomicBool);

impl rotation_core::Clock for Sleeper {
    fn now(&self) -> jiff::Timestamp {
        let slept = self.0.load(std::sync::atomic::Ordering::Relaxed);
        let hours = jiff::SignedDuration::from_hours(i64::from(slept));
        rotation_core::SystemClock.now() + hours
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_sends_nothing_under_the_lease_it_had() {
    let world = world(1);
    world
        .store
        .inject(StoreFault::on(StoreOp::Lease).skip(1).forever());
    let clock = std::sync::Arc::new(Sleeper::default());
    let engine = world
        .engine()
        .with_clock(std::sync::Arc::<Sleeper>::clone(&clock));
    let mut run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
    while let Some(event) = run.next().await {
        if matches!(event.kind, rotation_core::EventKind::Decided { .. }) {
            clock.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    assert_eq!(world.backend.attempts().len(), 0);
    world.assert_nothing_lost(1, "slept");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_lease_says_so_however_short_its_plan() {
    for accounts in [1, 3, 200] {
        let world = world(accounts);
        let error = rotation_core::StoreError::LeaseLost(Lease {
            tenant: rotation_core::TenantId::new("memory"),
            run: rotation_core::RunId::new(),
        });
        let lapsed = StoreFault::on(StoreOp::Stage).with_error(error).forever();
        world.store.inject(lapsed);
        let report = world.run().await;
        let told = matches!(
            report.stopped,
            Some(rotation_core::StopReason::LeaseLost { .. })
        );
        assert!(told && !report.is_complete(), "{report:?}");
    }
}
