//! How a run can end, and what the exit code and the page make of it.

use std::process::{Child, Command};
use std::time::Duration;

use entra_sim::{Effect, Fault, Role, Tenant};

use crate::world::{World, wait};

fn refusal() -> Effect {
    Effect::status(403)
}

#[test]
fn a_refused_canary_stops_the_run_with_5() {
    let world = World::new(120);
    world.server.add_fault(Fault::on_patch(refusal()));
    let output = world.run(&["apply"]);
    assert_eq!(output.code, Some(5), "{output:?}");
    assert!(
        output
            .stdout
            .contains("one of the first 5 accounts was not rotated"),
        "{output:?}"
    );
    assert!(output.stdout.contains("→ "), "a fix: {output:?}");
    assert!(output.stdout.contains("request-id"), "{output:?}");
    assert_eq!(world.sets(), 0);
    assert!(
        world.reveal(&[]).is_empty(),
        "a refused password is dropped"
    );
}

#[test]
fn a_refused_account_ends_with_3_and_leaves_the_others_rotated() {
    let world = World::new(120);
    world
        .server
        .add_fault(Fault::on_patch(refusal()).skip(20).once());
    let summary = world.json(&["apply", "--format", "json"]);
    assert_eq!(summary["failed"], 1, "{summary}");
    assert!(summary["rotated"].as_u64() > Some(40), "{summary}");
    let problem = &summary["tenants"][0]["problems"][0];
    assert!(problem["request_id"].is_string(), "{summary}");
    world.assert_no_password_is_lost();
}

#[test]
fn lost_answers_are_settled_in_the_run() {
    let world = World::new(120);
    world.server.add_fault(
        Fault::on_patch(Effect::disconnect_after())
            .skip(10)
            .times(5),
    );
    let summary = world.json(&["apply", "--format", "json"]);
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(summary["unsettled"], 0, "{summary}");
    world.assert_no_password_is_lost();
}

#[test]
fn a_caller_without_its_role_is_told_before_anything_is_sent() {
    let world = World::new(120);
    let caller = world.tenant.service_principal_id();
    world.tenant.revoke_role(caller, Role::USER_ADMINISTRATOR);
    let output = world.run(&["apply"]);
    assert_eq!(output.code, Some(4), "{output:?}");
    for part in [
        "✗ the caller holds no role that sets passwords",
        "→ assign the app's service principal",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output:?}");
    }
    // quietly, but not without the name
    let quiet = world
        .run(&["apply", "-q", "--events", "events.jsonl"])
        .stderr;
    assert!(
        quiet.starts_with("contoso.onmicrosoft.com\n  ✗ "),
        "{quiet}"
    );
    assert!(!world.path("events.jsonl").exists(), "nothing happened");
    // planning needs no role: it says of every due account that it is denied
    let plan = world.run(&["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert_eq!(world.sets(), 0);
}

#[test]
fn several_tenants_are_summed_and_kept_apart() {
    let world = World::with([
        Tenant::demo(80),
        Tenant::demo_at("fabrikam.onmicrosoft.com", 90),
    ]);
    let second = world.server.tenants().remove(1);
    let one = world.json(&[
        "apply",
        "--max",
        "2",
        "--tenant",
        second.domain(),
        "--format",
        "json",
    ]);
    assert_eq!(one["tenants"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!(one["tenants"][0]["name"], second.domain());
    let both = world.json(&["apply", "--format", "json"]);
    let of = |index: usize| both["tenants"][index]["rotated"].as_u64().unwrap();
    assert_eq!(both["rotated"].as_u64(), Some(of(0) + of(1)), "{both}");
    assert!(of(0) > 0 && of(1) > 0, "{both}");
    let status = world.json(&["status", "--format", "json"]);
    assert_eq!(status["tenants"].as_object().unwrap().len(), 2, "{status}");
}

/// A run in full flight, far from its end.
fn run_under_way(world: &World) -> Child {
    let latency = Effect::delay(Duration::from_millis(50));
    world.server.add_fault(Fault::on_patch(latency));
    let child = world.spawn(&["apply"]);
    world.wait_for_sets(20);
    child
}

#[test]
fn a_run_that_can_no_longer_be_put_on_record_stops_with_5() {
    let world = World::new(2000);
    let child = run_under_way(&world);
    std::fs::remove_file(world.path("rotation-audit.jsonl")).unwrap();
    let output = wait(child);
    assert_eq!(output.code, Some(5), "{output:?}");
    for part in [
        "what is done must be on record",
        "rotation-audit.jsonl",
        "→ ",
    ] {
        assert!(output.stdout.contains(part), "{part}: {output:?}");
    }
    assert!(world.sets() < 1000, "it went on");
    world.assert_no_password_is_lost();
}

#[cfg(unix)]
#[test]
fn a_run_that_slept_through_its_lease_stops_with_5() {
    let signal = |child: &Child, name: &str| {
        let id = child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    };
    let world = World::new(2000);
    world.edit("[store]", "[store]\nlease = \"1s\"");
    let child = run_under_way(&world);
    signal(&child, "-STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal(&child, "-CONT");
    let output = wait(child);
    assert_eq!(output.code, Some(5), "{output:?}");
    for part in ["other runs may take over its accounts", "→ "] {
        assert!(output.stdout.contains(part), "{part}: {output:?}");
    }
    world.assert_no_password_is_lost();
    world.server.clear_faults();
    assert_eq!(world.run(&["recover"]).code, Some(0));
    world.assert_no_password_is_lost();
}
