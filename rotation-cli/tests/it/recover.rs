//! `rotation recover`: what a dead run left pending is settled, and nothing else is touched.

use entra_sim::{Effect, Fault};

use crate::world::{World, wait};

/// A tenant in which a run was killed while the directory kept it waiting for some answers.
fn world_with_unsettled_accounts() -> World {
    let world = World::new(120);
    // short, so that what the dead run held is free soon
    world.edit("kind = \"sqlite\"", "kind = \"sqlite\"\nlease = \"1s\"");
    let answers_lost = Fault::on_patch(Effect::hang_after()).skip(8);
    world.server.add_fault(answers_lost);
    // the rest is due, too
    let mut child = world.spawn(&["apply", "--max", "20"]);
    world.wait_for_sets(20);
    child.kill().unwrap();
    wait(child);
    world.server.clear_faults();
    world
}

fn unsettled(world: &World) -> Vec<String> {
    let status = world.json(&["status", "--format", "json"]);
    let upn = |account: &serde_json::Value| account["upn"].as_str().unwrap().to_owned();
    status["unsettled"]
        .as_array()
        .unwrap()
        .iter()
        .map(upn)
        .collect()
}

#[test]
fn recover_settles_what_is_pending_and_nothing_else() {
    let world = world_with_unsettled_accounts();
    let before = unsettled(&world);
    assert!(before.len() > 3, "{before:?}");
    world.assert_no_password_is_lost();
    let (rest, sets) = (before.len() as u64 - 1, world.sets());

    let one = world.json(&["recover", "--account", &before[0], "--format", "json"]);
    assert_eq!(
        (&one["rotated"], &one["settled"]),
        (&1.into(), &1.into()),
        "{one}"
    );
    assert_eq!(unsettled(&world).len() as u64, rest);

    let all = world.run(&["recover"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    let line = format!("{rest}  were unsettled before, and are settled");
    assert!(all.stdout.contains(&line), "{all:?}");
    assert_eq!(unsettled(&world), Vec::<String>::new());
    assert_eq!(world.sets(), sets + before.len() as u64, "nothing else");
    world.assert_no_password_is_lost();

    let nothing = world.run(&["recover"]);
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    assert_eq!(nothing.stdout, "Nothing is unsettled.\n");
    let settled = world.run(&["recover", "--account", &before[0]]);
    assert_eq!(settled.code, Some(0), "{settled:?}");
    assert!(settled.stderr.contains("is not unsettled"), "{settled:?}");
}

#[test]
fn what_the_directory_refuses_stays_unsettled_and_ends_with_3() {
    let world = world_with_unsettled_accounts();
    world.edit(
        "max_age = \"90d\"",
        "max_age = \"90d\"\ncanary = 0\nmax_failures = \"100%\"",
    );
    let before = unsettled(&world);
    world.server.add_fault(Fault::on_patch(Effect::status(403)));
    let refused = world.run(&["recover", "--format", "json"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert_eq!(unsettled(&world), before);
    world.assert_no_password_is_lost();
    world.server.clear_faults();
    let verified = world.run(&["status", "--verify"]);
    assert_eq!(verified.code, Some(3), "{verified:?}");
    assert!(
        verified.stdout.starts_with(" UNSETTLED"),
        "first of all: {verified:?}"
    );
    assert!(
        verified.stdout.contains("`rotation recover` settles them"),
        "{verified:?}"
    );
    assert_eq!(world.run(&["recover"]).code, Some(0));
    assert_eq!(world.run(&["status", "--verify"]).code, Some(0));
}

#[test]
fn what_may_no_longer_be_rotated_is_unsettled_and_nothing_else() {
    let world = world_with_unsettled_accounts();
    let before = unsettled(&world);
    world.edit(
        "max_age",
        &format!("exclude = [\"{}\"]\nmax_age", before[0]),
    );
    let recovered = world.run(&["recover", "--format", "json"]);
    assert_eq!(recovered.code, Some(3), "{recovered:?}");
    let summary: serde_json::Value = serde_json::from_str(&recovered.stdout).unwrap();
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(count("unsettled"), 1, "{summary}");
    assert_eq!(
        count("skipped") + count("denied"),
        0,
        "counted twice: {summary}"
    );
    assert_eq!(count("rotated") + 1, before.len() as u64, "{summary}");
    assert_eq!(
        summary["tenants"][0]["reasons"].as_array().unwrap().len(),
        1,
        "{summary}"
    );
    assert_eq!(unsettled(&world), [before[0].as_str()]);
    assert_eq!(world.run(&["status"]).code, Some(3), "somebody must look");
    world.assert_no_password_is_lost();
}

#[test]
fn an_apply_settles_too_and_says_so() {
    let world = world_with_unsettled_accounts();
    let before = unsettled(&world).len() as u64;
    let done = world.json(&["apply", "--format", "json"]);
    assert_eq!(done["settled"].as_u64(), Some(before), "{done}");
    assert!(done["rotated"].as_u64() > Some(before), "{done}");
    assert_eq!(unsettled(&world), Vec::<String>::new());
    world.assert_no_password_is_lost();
}

#[test]
fn while_a_run_is_at_work_status_says_so() {
    let world = World::new(120);
    let hangs = Fault::on_patch(Effect::hang_after()).skip(8);
    world.server.add_fault(hangs);
    let mut child = world.spawn(&["apply"]);
    world.wait_for_sets(12);
    let status = world.json(&["status", "--format", "json"]);
    let at_work = status["at_work"].as_array().unwrap();
    assert_eq!(at_work.len(), 1, "{status}");
    assert_eq!(
        at_work[0]["tenant"],
        world.tenant.id().to_string(),
        "{status}"
    );
    let page = world.run(&["status"]).stdout;
    assert!(
        page.contains(at_work[0]["run_id"].as_str().unwrap()),
        "{page}"
    );
    child.kill().unwrap();
    wait(child);
}
