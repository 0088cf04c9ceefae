//! Many tenants at once: what happens to one is its own affair, unless all depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use entra_sim::{App, Effect, Endpoint, Fault, Tenant};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::world::{World, wait};

/// How many tenants there are.
const TENANTS: usize = 20;

/// How many accounts of a small tenant are due: all but the awkward ones and those that changed lately.
const ACCOUNTS: usize = 70;

fn domain(index: usize) -> String {
    format!("tenant{index:02}.onmicrosoft.com")
}

fn tenant(index: usize) -> Tenant {
    Tenant::demo_at(&domain(index), ACCOUNTS)
}

/// The summary of each tenant by its number; in the order of the configuration.
fn by_tenant(summary: &Value) -> Vec<&Value> {
    let tenants = summary["tenants"].as_array().unwrap();
    for (index, tenant) in tenants.iter().enumerate() {
        assert_eq!(
            tenant["name"],
            domain(index),
            "the order of the configuration"
        );
    }
    tenants.iter().collect()
}

fn count(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key}: {value}"))
}

fn on_patch_in(index: usize, effect: Effect) -> Fault {
    Fault::on_patch(effect).tenant(domain(index))
}

fn on_listing_in(index: usize, effect: Effect) -> Fault {
    Fault::new(effect)
        .tenant(domain(index))
        .endpoint(Endpoint::Users)
}

#[test]
fn what_happens_to_one_tenant_leaves_the_others_alone() {
    const NO_CONSENT: usize = 2;
    const NO_PERMISSION: usize = 4;
    const NO_ROLE: usize = 6;
    const THROTTLED: usize = 8;
    const UNREADABLE: usize = 10;
    const BROKEN_OFF: usize = 12;
    const REFUSING: usize = 14;
    let world =
        World::with((0..TENANTS).map(|index| match index {
            NO_PERMISSION => tenant(index).first_app(
                App::rotation().without_permission("User-PasswordProfile.ReadWrite.All"),
            ),
            NO_ROLE => tenant(index).first_app(App::rotation().without_roles()),
            // two pages
            BROKEN_OFF => Tenant::demo_at(&domain(index), 1100),
            _ => tenant(index),
        }));
    let no_consent = Fault::new(Effect::aadsts(65001)).endpoint(Endpoint::Token);
    for fault in [
        no_consent.tenant(domain(NO_CONSENT)),
        on_patch_in(THROTTLED, Effect::throttled(12))
            .skip(10)
            .once(),
        on_listing_in(UNREADABLE, Effect::status(403)),
        // it was read to its end before
        on_listing_in(BROKEN_OFF, Effect::status(403)).skip(3),
        on_patch_in(REFUSING, Effect::status(403)),
    ] {
        world.server.add_fault(fault);
    }
    let ended = world.run(&["apply", "--format", "json", "--events", "events.jsonl"]);
    assert_eq!(
        ended.code,
        Some(5),
        "one was stopped by its canary: {ended:?}"
    );
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    let tenants = by_tenant(&summary);
    let well = count(tenants[0], "rotated");
    assert!(well > 20, "{summary}");
    for (index, tenant) in tenants.iter().enumerate() {
        let (obstacle, stopped) = (
            &tenant["obstacles"][0]["problem"],
            &tenant["stopped"]["stop"],
        );
        let says = |part: &str| {
            obstacle
                .as_str()
                .is_some_and(|obstacle| obstacle.contains(part))
        };
        let rotated = count(tenant, "rotated");
        match index {
            NO_CONSENT => assert!(says("consent") && rotated == 0, "{tenant}"),
            NO_PERMISSION => assert!(says("lacks the permission") && rotated == 0, "{tenant}"),
            NO_ROLE => assert!(says("holds no role") && rotated == 0, "{tenant}"),
            UNREADABLE => assert!(says("cannot be read") && rotated == 0, "{tenant}"),
            BROKEN_OFF => assert!(stopped == "unreadable" && rotated > 500, "{tenant}"),
            REFUSING => assert!(stopped == "canary" && rotated == 0, "{tenant}"),
            _ => {
                assert_eq!(rotated, well, "{index}: {tenant}");
                assert!(obstacle.is_null() && stopped.is_null(), "{index}: {tenant}");
                assert_eq!(
                    count(tenant, "failed") + count(tenant, "unsettled"),
                    0,
                    "{tenant}"
                );
            }
        }
    }
    assert_eq!(count(tenants[THROTTLED], "throttled"), 1);
    assert_eq!(count(&summary, "rotated"), world.sets());
    assert!(
        ended
            .stderr
            .contains("17 of 20 tenants, the others are left out"),
        "{ended:?}"
    );
    for index in [NO_CONSENT, NO_PERMISSION, NO_ROLE, UNREADABLE] {
        assert!(
            ended.stderr.contains(&format!("{}\n  ✗ ", domain(index))),
            "{index}: {ended:?}"
        );
    }
    assert_events_tell_of_all(&world, &summary);
    assert_each_signed_in_once(&world, &[NO_CONSENT]);
    assert_eq!(world.run(&["audit", "verify"]).code, Some(0));
    world.assert_no_password_is_lost();

    // whoever looks at the page sees the trouble first, and how to go on
    let page = world.run(&["apply"]).stdout;
    let table: Vec<_> = page.lines().take(8).collect();
    assert!(table[1].contains(&domain(REFUSING)), "{page}");
    assert!(page.contains("all 20 tenants"), "{page}");
    assert!(page.contains("run `rotation apply` again"), "{page}");
    assert!(
        page.contains(&format!(
            "{}: left out, nothing was sent: ",
            domain(NO_ROLE)
        )),
        "{page}"
    );

    // and once all is mended, the rest is done
    world.server.clear_faults();
    let rest = world.json(&["apply", "--format", "json"]);
    let tenants = by_tenant(&rest);
    for index in [NO_CONSENT, UNREADABLE, REFUSING] {
        assert_eq!(count(tenants[index], "rotated"), well, "{index}: {rest}");
    }
    assert_eq!(count(tenants[0], "rotated"), 0, "{rest}");
    world.assert_no_password_is_lost();
}

/// Every line is JSON of one run; what it tells of each tenant fits its summary.
fn assert_events_tell_of_all(world: &World, summary: &Value) {
    let mut finished = BTreeMap::<String, u64>::new();
    let mut progress = Vec::new();
    for line in world.read("events.jsonl").lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["run_id"], summary["run_id"]);
        let tenant = event["tenant"].as_str().unwrap().to_owned();
        match event["event"].as_str().unwrap() {
            "finished" if event["result"] == "rotated" => *finished.entry(tenant).or_default() += 1,
            "progress" => progress.push(event),
            _ => {}
        }
    }
    for tenant in summary["tenants"].as_array().unwrap() {
        let told = tenant["tenant"].as_str().and_then(|id| finished.get(id));
        assert_eq!(
            told.copied().unwrap_or(0),
            count(tenant, "rotated"),
            "{tenant}"
        );
    }
    // one was asked to wait for longer than it takes to say so
    let paused = progress
        .iter()
        .find(|event| event["paused_seconds"].as_f64() > Some(0.0));
    let paused = paused.unwrap_or_else(|| panic!("{progress:?}"));
    for key in ["rotated", "failed", "of", "per_second"] {
        assert!(paused[key].is_number(), "{key}: {paused}");
    }
    assert!(count(paused, "rotated") < count(paused, "of"), "{paused}");
}

fn assert_each_signed_in_once(world: &World, but: &[usize]) {
    let requests = world.server.requests();
    for (index, tenant) in world.server.tenants().iter().enumerate() {
        let names = [tenant.domain().to_owned(), tenant.id().to_string()];
        let of_tenant = |path: &str| {
            names
                .iter()
                .any(|name| path.starts_with(&format!("/{name}/")))
        };
        let tokens = requests
            .iter()
            .filter(|request| request.endpoint == Endpoint::Token && of_tenant(&request.path));
        if !but.contains(&index) {
            assert_eq!(tokens.count(), 1, "{}", tenant.domain());
        }
    }
}

#[test]
fn if_no_tenant_is_left_nothing_is_sent() {
    let world = World::with((0..3).map(|index| match index {
        0 => tenant(index).first_app(App::rotation().without_roles()),
        _ => tenant(index),
    }));
    for index in 1..3 {
        world
            .server
            .add_fault(on_listing_in(index, Effect::status(403)));
    }
    for (args, exit) in [
        (&["apply"][..], 4),
        (&["recover"], 3),
        (&["plan", "--tenant", "tenant01.onmicrosoft.com"], 4),
        (
            &[
                "plan",
                "--out",
                "plan.json",
                "--tenant",
                "tenant01.onmicrosoft.com",
            ],
            4,
        ),
    ] {
        let ended = world.run(args);
        assert_eq!(ended.code, Some(exit), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains("✗"), "{ended:?}");
    }
    assert!(!world.path("plan.json").exists());
    let left: Vec<_> = std::fs::read_dir(world.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );
    assert_eq!(world.sets(), 0);
}

#[test]
fn a_plan_of_the_tenants_that_can_be_read_is_one_that_can_be_applied() {
    let world = World::with((0..5).map(tenant));
    world
        .server
        .add_fault(on_listing_in(1, Effect::status(403)));
    let no_consent = Fault::new(Effect::aadsts(65001)).endpoint(Endpoint::Token);
    world.server.add_fault(no_consent.tenant(domain(3)));
    let planned = world.run(&["plan", "--out", "plan.json", "--format", "json"]);
    assert_eq!(planned.code, Some(3), "{planned:?}");
    let written: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(
        written["left_out"],
        serde_json::json!([domain(3), domain(1)]),
        "{written}"
    );

    // tenant by tenant, each whole, and the same whoever answers first
    let plan: Value = serde_json::from_str(&world.read("plan.json")).unwrap();
    let ids: Vec<_> = world
        .server
        .tenants()
        .iter()
        .map(|tenant| tenant.id().to_string())
        .collect();
    let mut order: Vec<_> = plan["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["tenant"].as_str().unwrap())
        .collect();
    assert_eq!(order.len(), 3 * ACCOUNTS);
    order.dedup();
    assert_eq!(order, [&ids[0], &ids[2], &ids[4]]);
    let accounts = plan["accounts"].to_string();
    world
        .server
        .add_fault(on_listing_in(0, Effect::delay(Duration::from_millis(300))));
    let again = world.json(&["plan", "--format", "json"]);
    assert_eq!(again["accounts"].to_string(), accounts);

    // a tenant that cannot be asked is no reason to refuse the plan of the others
    let applied = world.run(&["apply", "plan.json", "--format", "json"]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let summary: Value = serde_json::from_str(&applied.stdout).unwrap();
    assert_eq!(
        count(&summary, "rotated"),
        count(&written, "rotate"),
        "{summary}"
    );

    let status = world.run(&["status", "--verify", "--format", "json"]);
    assert_eq!(status.code, Some(3), "{status:?}");
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        status["left_out"],
        serde_json::json!([domain(3), domain(1)]),
        "{status}"
    );
    assert_eq!(status["tenants"].as_object().unwrap().len(), 3, "{status}");
}

#[test]
fn a_maximum_is_kept_over_all_tenants_and_in_each() {
    let world = World::with((0..5).map(tenant));
    let planned = world.json(&[
        "plan",
        "--out",
        "plan.json",
        "--tenant",
        &domain(0),
        "--format",
        "json",
    ]);
    let due = count(&planned, "rotate");
    let rotated = |summary: &Value| {
        by_tenant(summary)
            .into_iter()
            .map(|tenant| count(tenant, "rotated"))
            .collect::<Vec<_>>()
    };
    let max = (due + 3).to_string();
    let first = world.json(&["apply", "--max", &max, "--format", "json"]);
    assert_eq!(rotated(&first), [due, 3, 0, 0, 0], "{first}");
    let reasons = first["tenants"][2]["reasons"].to_string();
    assert!(
        reasons.contains(&format!("this run rotates at most {max}")),
        "{reasons}"
    );

    world.edit("max_age", "max_per_tenant = 2\nmax_age");
    let each = world.run(&["apply", "--max", "5"]);
    assert!(
        each.stdout
            .contains("the policy lets a run rotate at most 2 of a tenant"),
        "{each:?}"
    );
    let then = world.json(&["apply", "--format", "json"]);
    assert_eq!(rotated(&then), [0, 2, 2, 2, 2], "{then}");
    assert_eq!(world.sets(), due + 3 + 5 + 8);
}

#[test]
fn a_record_that_cannot_be_written_stops_all_tenants() {
    let world = World::with((0..4).map(|index| Tenant::demo_at(&domain(index), 600)));
    let latency = Effect::delay(Duration::from_millis(50));
    world.server.add_fault(Fault::on_patch(latency));
    let child = world.spawn(&["apply", "--format", "json"]);
    world.wait_for_sets(40);
    std::fs::remove_file(world.path("rotation-audit.jsonl")).unwrap();
    let ended = wait(child);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    for tenant in by_tenant(&summary) {
        assert!(tenant["stopped"].is_object(), "{tenant}");
    }
    assert!(world.sets() < 2000, "it went on");
    world.assert_no_password_is_lost();
}

#[cfg(target_os = "linux")]
#[test]
fn events_that_cannot_be_written_any_more_stop_all_tenants() {
    let world = World::with((0..4).map(|index| Tenant::demo_at(&domain(index), 600)));
    world.edit("[store]", "[engine]\ntenants_at_once = 3\n[store]");
    let ended = world.run(&["apply", "--format", "json", "--events", "/dev/full"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("/dev/full"), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    for tenant in by_tenant(&summary) {
        assert_eq!(tenant["stopped"]["stop"], "interrupted", "{tenant}");
    }
    assert_eq!(world.sets(), 0, "it went on");
    world.assert_no_password_is_lost();
}

fn signal(child: &std::process::Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_interrupt_stops_all_tenants_also_those_to_come() {
    let world = World::with((0..8).map(|index| Tenant::demo_at(&domain(index), 300)));
    world.edit("[store]", "[engine]\ntenants_at_once = 3\n[store]");
    let latency = Effect::delay(Duration::from_millis(50));
    world.server.add_fault(Fault::on_patch(latency));
    let child = world.spawn(&["apply", "--format", "json"]);
    world.wait_for_sets(30);
    signal(&child, "-INT");
    let ended = wait(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(count(&summary, "unsettled"), 0, "{summary}");
    assert_eq!(count(&summary, "rotated"), world.sets(), "{summary}");
    let begun = by_tenant(&summary)
        .into_iter()
        .filter(|tenant| count(tenant, "rotated") > 0);
    assert_eq!(begun.count(), 3, "three at once: {summary}");
    assert!(
        count(&summary, "not_tried") > 5 * 200,
        "those to come: {summary}"
    );
    world.assert_no_password_is_lost();
}

#[test]
fn killed_at_any_moment_every_tenant_is_completed_by_the_next_run() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::with((0..TENANTS).map(tenant));
    world.edit("kind = \"sqlite\"", "kind = \"sqlite\"\nlease = \"1s\"");
    let latency = Effect::delay_between(Duration::from_millis(1), Duration::from_millis(30));
    world.server.add_fault(Fault::on_patch(latency));
    world
        .server
        .add_fault(Fault::on_patch(Effect::disconnect_after()).probability(0.05));
    for _ in 0..8 {
        let sets = world.sets() + random.random_range(1..60);
        let mut child = world.spawn(&["apply", "--format", "json"]);
        while world.sets() < sets && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        world.assert_no_password_is_lost();
    }
    world.server.clear_faults();
    let rest = world.json(&["apply", "--format", "json"]);
    assert_eq!(
        count(&rest, "failed") + count(&rest, "unsettled"),
        0,
        "{rest}"
    );
    let status = world.json(&["status", "--format", "json"]);
    assert_eq!(status["unsettled"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!(
        status["tenants"].as_object().unwrap().len(),
        TENANTS,
        "{status}"
    );
    let again = world.json(&["apply", "--format", "json"]);
    assert_eq!(count(&again, "rotated"), 0, "nothing is left: {again}");
    // every tenant has the same accounts, and so the same ones are rotated
    let touched = world.server.tenants().into_iter().map(|tenant| {
        tenant
            .iter_users()
            .filter(|user| user.password_sets > 0)
            .count()
    });
    assert_eq!(touched.collect::<BTreeSet<_>>().len(), 1);
    world.assert_no_password_is_lost();
}

/// An administrator takes away, in the middle of a run, what the app needs in one tenant.
#[test]
fn what_is_taken_away_mid_run_stops_its_tenant_alone_and_loses_nothing() {
    const TAKEN: usize = 1;
    let refused = || on_patch_in(TAKEN, Effect::status(403)).skip(60);
    let expired = || on_patch_in(TAKEN, Effect::status(401)).skip(60);
    let no_consent = || {
        let fault = Fault::new(Effect::aadsts(65001)).endpoint(Endpoint::Token);
        fault.tenant(domain(TAKEN)).skip(1)
    };
    for (what, faults, cause) in [
        ("role", vec![refused()], "lacks User-PasswordProfile"),
        (
            "consent",
            vec![expired(), no_consent()],
            "no consent in this tenant",
        ),
    ] {
        let world = World::with((0..3).map(|index| Tenant::demo_at(&domain(index), 900)));
        for fault in faults {
            world.server.add_fault(fault);
        }
        let ended = world.run(&["apply", "--format", "json"]);
        assert_eq!(ended.code, Some(5), "{what}: {ended:?}");
        let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
        let tenants = by_tenant(&summary);
        let well = count(tenants[0], "rotated");
        for (index, tenant) in tenants.iter().enumerate() {
            let rotated = count(tenant, "rotated");
            if index != TAKEN {
                assert_eq!(rotated, well, "{what}: {tenant}");
                continue;
            }
            assert!((60..=80).contains(&rotated), "{what}: {tenant}");
            assert!(
                tenant["stopped"].to_string().contains(cause),
                "{what}: {tenant}"
            );
            let lost = count(tenant, "failed") + count(tenant, "unsettled");
            // never more are under way than twice what went well
            assert!(
                lost <= 20 + 2 * rotated,
                "{what}: it went on and on: {tenant}"
            );
        }
        world.assert_no_password_is_lost();

        // granted again, the rest is done, and nothing is left over
        world.server.clear_faults();
        let again = world.run(&["apply", "--format", "json"]);
        assert_eq!(again.code, Some(3), "some are denied: {again:?}");
        let summary: Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(count(&summary, "unsettled"), 0, "{what}: {summary}");
        assert_eq!(count(&summary, "failed"), 0, "{what}: {summary}");
        world.assert_no_password_is_lost();
    }
}

#[test]
fn each_tenant_is_rotated_by_its_own_policy() {
    let world = World::with((0..2).map(tenant));
    let text = world.read("rotation.toml") + "[tenant.policy]\nlength = 40\n";
    world.write("rotation.toml", &text);
    let planned = world.run(&["plan", "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let applied = world.run(&["apply", "plan.json"]);
    assert_eq!(applied.code, Some(3), "some are denied: {applied:?}");
    let mut lengths = BTreeSet::new();
    for revealed in world.reveal(&[]) {
        let domain = revealed.upn.split('@').nth(1).unwrap().to_owned();
        lengths.insert((domain, revealed.password.len()));
    }
    let expected = [(domain(0), 24), (domain(1), 40)];
    assert_eq!(lengths, BTreeSet::from(expected));

    // a plan is bound to it
    world.edit("length = 40", "length = 41");
    let applied = world.run(&["apply", "plan.json"]);
    assert_eq!(applied.code, Some(4), "{applied:?}");
}
