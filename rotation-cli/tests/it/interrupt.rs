//! Ctrl-C: the first finishes what is under way, the second does not wait; both are safe.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use entra_sim::{Effect, Fault};
use serde_json::Value;

use crate::world::{World, wait};

/// Many more than are under way at once.
const ACCOUNTS: usize = 3000;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn one_signal_finishes_what_is_under_way() {
    for name in ["INT", "TERM"] {
        let world = World::new(ACCOUNTS);
        world
            .server
            .add_fault(Fault::on_patch(Effect::delay(Duration::from_millis(30))));
        let child = world.spawn(&["apply", "--format", "json"]);
        world.wait_for_sets(20);
        signal(&child, name);
        let output = wait(child);
        assert_eq!(output.code, Some(130), "{output:?}");
        let summary: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(summary["interrupted"], true, "{summary}");
        assert_eq!(summary["unsettled"], 0, "{summary}");
        assert_eq!(summary["rotated"].as_u64(), Some(world.sets()), "{summary}");
        assert!(world.sets() < ACCOUNTS as u64 / 2, "it went on");
        world.assert_no_password_is_lost();
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let world = World::new(100);
    world
        .server
        .add_fault(Fault::on_patch(Effect::hang_after()).skip(6));
    let child = world.spawn(&["apply"]);
    world.wait_for_sets(7);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    signal(&child, "INT");
    let output = wait(child);
    assert_eq!(output.code, Some(130), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(output.stderr.contains("the state is safe"), "{output:?}");
    world.assert_no_password_is_lost();
}
