//! What each command does when all is well.

use serde_json::Value;

use crate::world::World;

#[test]
fn init_writes_a_configuration_once_and_says_what_is_next() {
    let world = World::new(0);
    let first = world.run(&["init", "-c", "new.toml"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(
        first.stderr.contains("rotation keygen --out key.txt"),
        "{first:?}"
    );
    let written = world.read("new.toml");
    let second = world.run(&["init", "-c", "new.toml"]);
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("new.toml exists"), "{second:?}");
    assert_eq!(world.read("new.toml"), written);
}

#[test]
fn keygen_without_a_file_prints_an_identity_file() {
    let world = World::new(0);
    let pair = world.run(&["keygen"]).stdout;
    let lines: Vec<_> = pair.lines().collect();
    assert!(lines[0].starts_with("# created: "), "{}", lines[0]);
    assert!(lines[1].starts_with("# public key: age1"), "{}", lines[1]);
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1"));
    assert_eq!(lines.len(), 3);
}

#[test]
fn keygen_never_writes_over_a_key() {
    let world = World::new(0);
    let before = world.read("key.txt");
    let output = world.run(&["keygen", "--out", "key.txt"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    assert_eq!(world.read("key.txt"), before);
}

#[test]
fn generate_prints_passwords_of_the_policy() {
    let world = World::new(0);
    world.edit("max_age", "length = 40\nmax_age");
    let passwords = world.run(&["generate", "-n", "5"]);
    assert_eq!(passwords.code, Some(0), "{:?}", passwords.stderr);
    let lengths: Vec<_> = passwords.stdout.lines().map(str::len).collect();
    assert_eq!(lengths, [40; 5]);
    let list: Vec<String> =
        serde_json::from_value(world.json(&["generate", "-n", "3", "--format", "json"])).unwrap();
    assert_eq!(list.len(), 3);
    // nothing but the files that the test made
    assert!(!world.path("rotation.db").exists());
}

#[test]
fn generate_needs_no_configuration_but_a_named_one() {
    let world = World::new(0);
    std::fs::remove_file(world.path("rotation.toml")).unwrap();
    assert_eq!(world.run(&["generate"]).code, Some(0));
    assert_eq!(world.run(&["generate", "-c", "missing.toml"]).code, Some(2));
}

#[test]
fn a_plan_is_a_document_and_sets_nothing() {
    let world = World::new(120);
    let table = world.run(&["plan"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    for part in ["not due yet", "rotate", "deny", "and ", " more"] {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
    let document = world.json(&["plan", "--format", "json", "-q"]);
    assert_eq!(document["accounts"].as_array().unwrap().len(), 120);
    assert_eq!(document["format"], "rotation-plan");
    assert_eq!(world.sets(), 0);
}

#[test]
fn a_reviewed_plan_rotates_what_it_says_and_nothing_else() {
    let world = World::new(120);
    let planned = world.json(&[
        "plan",
        "--out",
        "plan.json",
        "--format",
        "json",
        "--account",
        "user000000@contoso.onmicrosoft.com",
    ]);
    assert_eq!(planned["rotate"], 1, "{planned}");
    let done = world.json(&["apply", "plan.json", "--format", "json"]);
    assert_eq!(done["rotated"], 1, "{done}");
    assert_eq!(world.sets(), 1);
    // by now it is too young, so the same plan has nothing left to do
    let again = world.run(&["apply", "plan.json", "--format", "json"]);
    let summary: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(summary["rotated"], 0, "{again:?}");
    assert!(
        again
            .stderr
            .contains("the plan no longer fits 1 of the 1 accounts"),
        "{again:?}"
    );
}

#[test]
fn apply_rotates_up_to_a_maximum_then_the_rest_then_nothing() {
    let world = World::new(120);
    let first = world.json(&["apply", "--max", "3", "--format", "json"]);
    assert_eq!(first["rotated"], 3, "{first}");
    let rest = world.run(&["apply", "--format", "json", "--events", "events.jsonl"]);
    assert_eq!(rest.code, Some(3), "administrators are denied: {rest:?}");
    let summary: Value = serde_json::from_str(&rest.stdout).unwrap();
    for key in [
        "run_id",
        "rotated",
        "skipped",
        "denied",
        "failed",
        "unsettled",
        "seconds",
        "requests",
        "throttled",
    ] {
        assert!(!summary[key].is_null(), "{key}: {summary}");
    }
    assert_eq!(summary["failed"], 0, "{summary}");
    let batches = summary["rotated"].as_u64().unwrap().div_ceil(20);
    assert!(
        summary["requests"].as_u64().unwrap() > batches + 10,
        "reads count too: {summary}"
    );
    let events = world.read("events.jsonl");
    let finished = events
        .lines()
        .filter(|line| line.contains("\"event\":\"finished\""))
        .count();
    assert_eq!(Some(finished as u64), summary["rotated"].as_u64());
    let third = world.json(&["apply", "--format", "json"]);
    assert_eq!(third["rotated"], 0, "{third}");
    world.assert_no_password_is_lost();
}

#[test]
fn apply_ends_with_0_if_everything_wanted_is_done() {
    let world = World::new(120);
    let one = world.run(&["apply", "--account", "USER000000@contoso.onmicrosoft.com"]);
    assert_eq!(one.code, Some(0), "{one:?}");
    assert!(one.stdout.contains("rotation reveal"), "{one:?}");
    let nobody = world.run(&["apply", "--account", "nobody@contoso.onmicrosoft.com"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(
        nobody
            .stderr
            .contains("no account nobody@contoso.onmicrosoft.com"),
        "{nobody:?}"
    );
}

#[test]
fn events_follow_those_of_earlier_runs() {
    let world = World::new(60);
    world.write("events.jsonl", "evidence\n");
    let output = world.run(&["apply", "--events", "events.jsonl"]);
    assert_eq!(output.code, Some(3), "{output:?}");
    let events = world.read("events.jsonl");
    assert!(events.starts_with("evidence\n{"), "{events}");
}

#[test]
fn events_that_cannot_be_written_stop_the_run_before_it_begins() {
    let world = World::new(60);
    let output = world.run(&["apply", "--events", "no-such-folder/events.jsonl"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(world.sets(), 0);
}

#[test]
fn status_and_reveal_read_the_store() {
    let world = World::new(120);
    let missing = world.run(&["status"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing.stderr.contains("there is no store at"),
        "{missing:?}"
    );

    world.run(&["apply", "--max", "4"]);
    std::fs::remove_file(world.path("client-secret.txt")).unwrap();
    let status = world.json(&["status", "--format", "json"]);
    let counts = &status["tenants"][world.tenant.id().to_string()];
    assert_eq!(
        (counts["accounts"].as_u64(), counts["current"].as_u64()),
        (Some(4), Some(4)),
        "{status}"
    );
    assert_eq!(status["unsettled"].as_array().unwrap().len(), 0);

    let all = world.reveal(&[]);
    assert_eq!(all.len(), 4);
    let upn = all[0].upn.to_uppercase();
    let one = world.reveal(&["--account", &upn]);
    assert_eq!(one, [all[0].clone()]);
    let page = world.run(&["reveal", "--identity", "key.txt"]);
    assert!(
        all.iter()
            .all(|version| page.stdout.contains(&version.password))
    );
}

#[test]
fn another_private_key_reads_nothing() {
    let world = World::new(60);
    world.run(&["apply", "--max", "1"]);
    world.run(&["keygen", "--out", "other.txt"]);
    let output = world.run(&["reveal", "--identity", "other.txt"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("none of the private keys"),
        "{output:?}"
    );
}
