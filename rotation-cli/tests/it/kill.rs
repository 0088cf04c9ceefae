//! Promises 2, 3 and 7 under SIGKILL and SIGTERM at random moments of real processes, with answers lost on the way.
//!
//! `ROTATION_KILLS=5000 cargo test -p rotation-cli --test it kill` kills more often than CI has time for.

use std::process::{Child, Command};
use std::time::Duration;

use entra_sim::{Effect, Fault};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::proof::SignIn;
use crate::world::{World, wait};

/// How many accounts the tenant has.
const ACCOUNTS: usize = 60;

/// How often a process is killed, unless `ROTATION_KILLS` says otherwise.
const KILLS: usize = 200;

pub(crate) fn kills() -> usize {
    let asked = std::env::var("ROTATION_KILLS");
    asked.map_or(KILLS, |number| number.parse().unwrap())
}

/// A tenant that loses answers, throttles and fails, and whose accounts are always due.
fn hostile_world() -> World {
    let world = World::new(ACCOUNTS);
    // short, so that what a dead run held is free soon
    world.edit("kind = \"sqlite\"", "kind = \"sqlite\"\nlease = \"1s\"");
    make_hostile(&world);
    world
}

/// Makes its tenant such a one.
pub(crate) fn make_hostile(world: &World) {
    world.edit(
        "max_age = \"90d\"",
        "max_age = \"0s\"\ncanary = 0\nmax_failures = \"100%\"",
    );
    let latency = Effect::delay_between(Duration::from_millis(1), Duration::from_millis(15));
    for (effect, probability) in [
        (latency, 0.8),
        (Effect::disconnect_after(), 0.08),
        (Effect::disconnect_before(), 0.04),
        (Effect::reset_after(), 0.04),
        (Effect::status_after(503), 0.03),
        (Effect::status(500), 0.02),
        (Effect::throttled(0), 0.02),
    ] {
        let fault = Fault::on_patch(effect).probability(probability);
        world.server.add_fault(fault);
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    // it may have ended by itself meanwhile
    let _too_late = sent.success();
}

/// When to strike: while it starts, at a random moment, or after so many passwords were set.
pub(crate) fn wait_for_a_moment(world: &World, random: &mut StdRng, child: &mut Child) {
    if random.random_ratio(1, 2) {
        let moment = random.random_range(0..150);
        std::thread::sleep(Duration::from_millis(moment));
        return;
    }
    let sets = world.sets() + random.random_range(1..20);
    while world.sets() < sets && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(Duration::from_micros(random.random_range(0..5_000)));
}

/// After everything, one recovery: every account that was ever touched signs in with its current version.
pub(crate) async fn assert_recovers(world: &World, context: &str) {
    world.server.clear_faults();
    world.assert_no_password_is_lost();
    let recovered = world.run(&["recover", "--format", "json"]);
    assert_eq!(recovered.code, Some(0), "{context}: {recovered:?}");
    let status = world.json(&["status", "--format", "json"]);
    assert_eq!(
        status["unsettled"].as_array().unwrap().len(),
        0,
        "{context}: {status}"
    );
    let current = world.reveal(&[]);
    let sign_in = SignIn::new(world);
    let mut touched = 0;
    for user in world
        .tenant
        .users()
        .iter()
        .filter(|user| user.password_sets > 0)
    {
        let id = user.id.to_string();
        let mut versions = current.iter().filter(|version| version.account == id);
        let (Some(version), None) = (versions.next(), versions.next()) else {
            panic!(
                "{context}: {} has not one current version",
                user.user_principal_name
            )
        };
        assert_eq!(version.state, "current", "{context}");
        let upn = &user.user_principal_name;
        assert!(
            sign_in.works(upn, &version.password).await,
            "{context}: {upn}: stale"
        );
        touched += 1;
    }
    assert!(
        touched > 20,
        "{context}: only {touched} accounts were ever touched"
    );
    println!("{context}: {touched} accounts sign in with their current version");
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lost_whenever_the_process_is_killed() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let world = hostile_world();
    let context = format!("{} kills, seed {seed}", kills());
    println!("{context}");
    for _ in 0..kills() {
        let mut child = world.spawn(&["apply", "--format", "json"]);
        wait_for_a_moment(&world, &mut random, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        world.assert_no_password_is_lost();
    }
    assert_recovers(&world, &context).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lost_whenever_the_process_is_asked_to_stop() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let world = hostile_world();
    let rounds = kills() / 2;
    let context = format!("{rounds} interrupts, seed {seed}");
    println!("{context}");
    let mut interrupted = 0;
    for round in 0..rounds {
        let mut child = world.spawn(&["apply", "--format", "json"]);
        wait_for_a_moment(&world, &mut random, &mut child);
        signal(&child, if round % 2 == 0 { "TERM" } else { "INT" });
        let ended = wait(child);
        match ended.code {
            Some(130) => interrupted += 1,
            // it was too early for our handler, or too late
            None | Some(0 | 3) => {}
            _ => panic!("{context}: {ended:?}"),
        }
        world.assert_no_password_is_lost();
    }
    assert!(interrupted > rounds / 4, "{context}: only {interrupted}");
    assert_recovers(&world, &context).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lost_when_two_processes_share_a_store_and_die() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let world = hostile_world();
    let rounds = kills() / 2;
    let context = format!("{rounds} pairs of processes, seed {seed}");
    println!("{context}");
    for _ in 0..rounds {
        let mut one = world.spawn(&["apply", "--format", "json"]);
        let mut two = world.spawn(&["apply", "--format", "json"]);
        wait_for_a_moment(&world, &mut random, &mut one);
        // what the store holds cannot be compared with what is live while the other one goes on
        one.kill().unwrap();
        one.wait().unwrap();
        if random.random_ratio(1, 2) {
            wait_for_a_moment(&world, &mut random, &mut two);
            two.kill().unwrap();
            two.wait().unwrap();
        } else {
            // it settles what the dead one left, once that one's lease has lapsed
            let ended = wait(two);
            // a machine that is too busy to renew a lease of one second stops, which is as safe
            let lapsed = ended.code == Some(5) && ended.stdout.contains("\"lease-lost\"");
            let over = matches!(ended.code, Some(0 | 3)) || lapsed;
            assert!(over, "{context}: {ended:?}");
        }
        world.assert_no_password_is_lost();
    }
    assert_recovers(&world, &context).await;
}
