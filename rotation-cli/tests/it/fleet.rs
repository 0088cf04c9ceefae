//! Several runs at once: on one store, and split by shards.

use std::time::Duration;

use entra_sim::{Effect, Fault, Tenant};
use serde_json::Value;

use crate::world::{World, wait};

#[test]
fn two_runs_on_one_store_share_the_work() {
    let world = World::new(300);
    let ordinary: Vec<_> = world
        .tenant
        .users()
        .into_iter()
        .filter(|user| user.is_ordinary())
        .collect();
    let names: Vec<_> = ordinary
        .iter()
        .map(|user| format!("\"{}\"", user.user_principal_name))
        .collect();
    world.edit(
        "max_age",
        &format!(
            "include = [{}]\nunknown_age = \"rotate\"\nmax_age",
            names.join(", ")
        ),
    );
    // an account that the other run has is tried again when that one's lease would lapse
    world.edit("kind = \"sqlite\"", "kind = \"sqlite\"\nlease = \"5s\"");
    let latency = Effect::delay_between(Duration::from_millis(5), Duration::from_millis(40));
    world.server.add_fault(Fault::on_patch(latency));

    let runs = [(); 2].map(|()| world.spawn(&["apply", "--format", "json"]));
    let ended = runs.map(wait);
    let mut rotated = 0;
    for output in &ended {
        assert_eq!(output.code, Some(0), "{output:?}");
        let summary: Value = serde_json::from_str(&output.stdout).unwrap();
        rotated += summary["rotated"].as_u64().unwrap();
    }
    let sets: Vec<_> = world
        .tenant
        .users()
        .iter()
        .map(|user| user.password_sets)
        .collect();
    assert!(
        sets.iter().all(|sets| *sets <= 1),
        "an account was rotated twice"
    );
    assert_eq!(rotated, world.sets());
    assert!(rotated > 200, "{rotated}");
    assert_eq!(
        world.json(&["apply", "--format", "json"])["rotated"],
        0,
        "nothing is left"
    );
    assert_eq!(
        world.run(&["audit", "verify"]).code,
        Some(0),
        "both wrote one record"
    );
    world.assert_no_password_is_lost();
}

/// Three tenants, whose order in the configuration is not that of their names.
pub(crate) fn three_tenants() -> World {
    World::with([
        Tenant::demo(60),
        Tenant::demo_at("fabrikam.onmicrosoft.com", 60),
        Tenant::demo_at("adatum.onmicrosoft.com", 60),
    ])
}

#[test]
fn shards_split_the_tenants_and_together_have_them_all() {
    let world = three_tenants();
    for (shard, expected) in [
        (
            "1/2",
            vec!["adatum.onmicrosoft.com", "fabrikam.onmicrosoft.com"],
        ),
        ("2/2", vec!["contoso.onmicrosoft.com"]),
    ] {
        let done = world.json(&["apply", "--max", "1", "--shard", shard, "--format", "json"]);
        let names: Vec<_> = done["tenants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tenant| tenant["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{shard}");
        let recovered = world.run(&["recover", "--shard", shard]);
        assert_eq!(recovered.code, Some(0), "{recovered:?}");
        let verified = world.json(&["status", "--verify", "--shard", shard, "--format", "json"]);
        assert_eq!(
            verified["tenants"].as_object().unwrap().len(),
            1,
            "one was rotated: {verified}"
        );
    }
    let planned = world.run(&["plan", "--shard", "2/2", "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let applied = world.json(&[
        "apply",
        "plan.json",
        "--shard",
        "2/2",
        "--max",
        "1",
        "--format",
        "json",
    ]);
    assert_eq!(applied["rotated"], 1, "{applied}");
    let by_domain = world.run(&["status", "--shard", "2/2"]);
    assert_eq!(by_domain.code, Some(2), "{by_domain:?}");
    assert!(by_domain.stderr.contains("--verify"), "{by_domain:?}");
}

#[test]
fn an_empty_shard_does_nothing_and_says_so() {
    let world = World::new(60);
    for args in [
        &["apply", "--shard", "2/2"][..],
        &["recover", "--shard", "2/2"],
        &["plan", "--shard", "2/2"],
        &["apply", "--shard", "1/2", "--format", "json", "--max", "0"],
    ] {
        let output = world.run(args);
        assert_eq!(
            output.code,
            Some(if args.contains(&"1/2") { 3 } else { 0 }),
            "{output:?}"
        );
        let says = output
            .stderr
            .contains("shard 2/2 has none of these 1 tenants: nothing to do");
        assert_eq!(says, args.contains(&"2/2"), "{output:?}");
    }
    assert_eq!(world.sets(), 0);
}
