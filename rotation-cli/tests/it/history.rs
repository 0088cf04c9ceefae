//! What the store remembers of every version, what `prune` drops of it, and what `status --verify` finds that somebody
//! else did.

use std::time::Duration;

use serde_json::Value;

use crate::world::World;

const ADA: &str = "user000000@contoso.onmicrosoft.com";

/// A tenant in which one account was rotated so many times.
fn world_with_history(rotations: usize) -> World {
    let world = World::new(60);
    world.edit("max_age = \"90d\"", "max_age = \"0s\"");
    for _ in 0..rotations {
        let done = world.run(&["apply", "--account", ADA]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    world
}

fn versions(world: &World) -> Vec<Value> {
    let status = world.json(&["status", "--account", ADA, "--format", "json"]);
    let history = status["history"].as_array().unwrap().clone();
    assert_eq!(history.len(), 1, "{status}");
    assert_eq!(history[0]["upn"], ADA);
    history[0]["versions"].as_array().unwrap().clone()
}

#[test]
fn the_history_of_an_account_says_when_by_whom_through_what_and_why() {
    let world = world_with_history(2);
    let versions = versions(&world);
    let states: Vec<_> = versions
        .iter()
        .map(|version| version["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["previous", "current"]);
    for version in &versions {
        for key in [
            "version",
            "staged_at",
            "committed_at",
            "run_id",
            "reason",
            "request_id",
        ] {
            assert!(version[key].is_string(), "{key}: {version}");
        }
        assert_eq!(
            version["caller"],
            world.tenant.service_principal_id().to_string()
        );
        assert_eq!(version["backend"], "graph");
    }
    assert_ne!(versions[0]["run_id"], versions[1]["run_id"]);
    let page = world.run(&["status", "--account", &ADA.to_uppercase()]);
    assert_eq!(page.code, Some(0), "{page:?}");
    for version in &versions {
        for key in ["version", "run_id", "request_id", "reason"] {
            assert!(
                page.stdout.contains(version[key].as_str().unwrap()),
                "{key}: {page:?}"
            );
        }
    }
    let nobody = world.run(&["status", "--account", "nobody@contoso.onmicrosoft.com"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(
        nobody.stderr.contains("no password of nobody@"),
        "{nobody:?}"
    );
}

#[test]
fn runs_keep_as_many_previous_versions_as_the_policy_says_and_prune_fewer() {
    let world = world_with_history(6);
    assert_eq!(versions(&world).len(), 1 + 3, "the default");
    let newest = versions(&world)[2].clone();
    world.edit("max_age", "keep_previous = 2\nmax_age");
    world.run(&["apply", "--account", ADA]);
    assert_eq!(versions(&world).len(), 1 + 2);

    let none = world.json(&[
        "prune",
        "--account",
        "nobody@x",
        "--keep",
        "0",
        "--format",
        "json",
    ]);
    assert_eq!(none["pruned"], 0, "{none}");
    let pruned = world.json(&["prune", "--keep", "1", "--account", ADA, "--format", "json"]);
    assert_eq!(
        (&pruned["pruned"], &pruned["kept_of_each"]),
        (&1.into(), &1.into()),
        "{pruned}"
    );
    let again = world.run(&["prune", "--keep", "1"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.stdout.starts_with("Previous passwords dropped: 0;"),
        "{again:?}"
    );
    let kept = versions(&world);
    assert_eq!(kept.len(), 2);
    assert_ne!(kept[0]["version"], newest["version"], "the newest stays");
    assert_eq!(
        world.reveal(&["--all"]).len(),
        2,
        "what is kept can be read"
    );
    world.run(&["prune", "--keep", "0"]);
    assert_eq!(versions(&world).len(), 1);
    world.assert_no_password_is_lost();
}

#[test]
fn prune_makes_no_store_to_prune_it() {
    let world = World::new(0);
    let output = world.run(&["prune"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("there is no store at"), "{output:?}");
    assert!(!world.path("rotation.db").exists());
}

#[test]
fn a_password_that_somebody_else_changed_is_drift() {
    let world = World::new(80);
    let done = world.json(&["apply", "--max", "5", "--format", "json"]);
    let well = world.run(&["status", "--verify"]);
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.stdout.contains("No drift"), "{well:?}");

    let account = world.reveal(&[])[0].clone();
    world.server.advance(Duration::from_secs(600));
    world
        .tenant
        .set_password(account.account.parse().unwrap(), "Somebody-else-set-this-1");
    let found = world.json(&["status", "--verify", "--format", "json", "-q"]);
    let drifted = found["drifted"].as_array().unwrap();
    assert_eq!(drifted.len(), 1, "{found}");
    assert_eq!(drifted[0]["account"], account.account.as_str());
    assert_eq!(drifted[0]["run_id"], done["run_id"]);
    for key in ["committed_at", "changed_at", "request_id"] {
        assert!(drifted[0][key].is_string(), "{key}: {found}");
    }
    let page = world.run(&["status", "--verify"]);
    assert_eq!(page.code, Some(3), "{page:?}");
    for part in ["DRIFTED", &account.upn, "drift = \"rotate\""] {
        assert!(page.stdout.contains(part), "{part}: {page:?}");
    }
    // the look is for everybody else's changes, whatever the policy makes of them
    world.edit("max_age", "drift = \"ignore\"\nmax_age");
    assert_eq!(world.run(&["status", "--verify"]).code, Some(3));

    let reported = world.json(&["apply", "--account", &account.upn, "--format", "json"]);
    assert_eq!(reported["rotated"], 0, "{reported}");
    world.edit("drift = \"ignore\"", "drift = \"report\"");
    let page = world.run(&["apply", "--account", &account.upn]);
    assert!(
        page.stdout
            .contains("1  have a password that somebody else set after us"),
        "{page:?}"
    );
    world.edit("drift = \"report\"", "drift = \"rotate\"");
    let rotated = world.json(&["apply", "--account", &account.upn, "--format", "json"]);
    assert_eq!(
        (&rotated["rotated"], &rotated["drifted"]),
        (&1.into(), &1.into()),
        "{rotated}"
    );
    assert_eq!(world.run(&["status", "--verify"]).code, Some(0));
    world.assert_no_password_is_lost();
}
