//! `rotation audit`: every run writes the record, and a change in it shows.

use serde_json::Value;

use crate::world::World;

const RECORD: &str = "rotation-audit.jsonl";

fn lines(world: &World) -> Vec<String> {
    world.read(RECORD).lines().map(str::to_owned).collect()
}

#[test]
fn a_run_is_on_record_and_its_head_proves_it() {
    let world = World::new(80);
    let first = world.json(&["apply", "--max", "3", "--format", "json"]);
    let head = first["audit_head"].as_str().unwrap().to_owned();
    world.run(&["apply", "--max", "2"]);

    let verified = world.run(&["audit", "verify", "--head", &head]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let summary = world.json(&["audit", "verify", "--format", "json"]);
    assert_eq!(
        summary["records"].as_u64(),
        Some(lines(&world).len() as u64)
    );
    assert_eq!(summary["runs"].as_array().unwrap().len(), 2, "{summary}");

    let run = first["run_id"].as_str().unwrap();
    let shown = world.run(&["audit", "show", "--run", run, "--format", "json"]);
    let records: Vec<Value> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(records.iter().all(|record| record["run_id"] == run));
    let finished = records
        .iter()
        .filter(|record| record["event"] == "finished");
    assert_eq!(finished.count(), 3);

    let account = world.reveal(&[])[0].clone();
    let of_account = world.run(&[
        "audit",
        "show",
        "--account",
        &account.upn.to_uppercase(),
        "--format",
        "json",
    ]);
    let events: Vec<_> = of_account
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .all(|record| record["account"] == account.account.as_str())
    );
    for event in ["decided", "staged", "attempted", "finished"] {
        assert!(
            events.iter().any(|record| record["event"] == event),
            "{event}: {events:?}"
        );
    }
    let page = world.run(&["audit", "show", "--since", "1h"]).stdout;
    assert!(page.contains("run-finished"), "{page}");
    let later = world.run(&["audit", "show", "--since", "2999-01-01"]);
    assert_eq!(
        (later.code, later.stdout.as_str()),
        (Some(0), ""),
        "{later:?}"
    );
}

#[test]
fn a_changed_line_is_found_and_stops_the_next_run() {
    for (what, spoil, says) in [
        (
            "altered",
            (|text: &str| text.replacen("\"rotate\"", "\"skip\"", 1)) as fn(&str) -> String,
            "expected hash",
        ),
        (
            "removed",
            |text| {
                text.lines()
                    .enumerate()
                    .filter(|(at, _)| *at != 4)
                    .map(|(_, line)| format!("{line}\n"))
                    .collect()
            },
            "line 5: found record 6",
        ),
        (
            "cut",
            |text| {
                text.lines()
                    .take(10)
                    .map(|line| format!("{line}\n"))
                    .collect()
            },
            "more records, as its .head says",
        ),
        ("something else", |_| "hello\n".to_owned(), "not JSON"),
    ] {
        let world = World::new(60);
        world.run(&["apply", "--max", "1"]);
        let (sound, sets) = (world.read(RECORD), world.sets());
        world.write(RECORD, &spoil(&sound));
        for args in [["audit", "verify"], ["audit", "show"]] {
            let found = world.run(&args);
            assert_eq!(found.code, Some(3), "{what}: {found:?}");
            assert!(found.stderr.contains(says), "{what}: {says}: {found:?}");
            assert!(found.stderr.contains(RECORD), "{what}: {found:?}");
            assert!(
                found.stderr.contains("restore"),
                "the fix: {what}: {found:?}"
            );
        }
        if what == "cut" || what == "something else" {
            let run = world.run(&["apply"]);
            assert_eq!(run.code, Some(4), "{what}: {run:?}");
            assert!(run.stderr.contains(says), "{what}: {run:?}");
            assert_eq!(world.sets(), sets, "{what}");
        }
        world.write(RECORD, &sound);
        assert_eq!(world.run(&["audit", "verify"]).code, Some(0), "{what}");
    }
}

#[test]
fn another_head_is_not_found() {
    let world = World::new(60);
    world.run(&["apply", "--max", "1"]);
    let other = "0123456789abcdef".repeat(4);
    let found = world.run(&["audit", "verify", "--head", &other]);
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(found.stderr.contains(&other), "{found:?}");
    let no_hash = world.run(&["audit", "verify", "--head", "xyz"]);
    assert_eq!(no_hash.code, Some(2), "{no_hash:?}");
    for part in ["--head", "64 hexadecimal digits", "`xyz`", "audit_head"] {
        assert!(no_hash.stderr.contains(part), "{part}: {no_hash:?}");
    }
}

#[test]
fn a_record_that_is_switched_off_is_not_written() {
    let world = World::new(60);
    let missing = world.run(&["audit", "verify"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing.stderr.contains("there is no audit record at"),
        "{missing:?}"
    );
    world.edit("[store]", "[audit]\nenabled = false\n[store]");
    let done = world.json(&["apply", "--max", "1", "--format", "json"]);
    assert!(done["audit_head"].is_null(), "{done}");
    assert!(!world.path(RECORD).exists());
    let off = world.run(&["audit", "show"]);
    assert_eq!(off.code, Some(2), "{off:?}");
    assert!(
        off.stderr.contains("switches the audit record off"),
        "{off:?}"
    );
}

#[test]
fn a_run_that_cannot_be_put_on_record_sends_nothing() {
    let world = World::new(60);
    world.edit(
        "[store]",
        "[audit]\npath = \"no-such-folder/audit.jsonl\"\n[store]",
    );
    let output = world.run(&["apply"]);
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(
        output.stderr.contains("no-such-folder/audit.jsonl"),
        "{output:?}"
    );
    assert_eq!(world.sets(), 0);
}
