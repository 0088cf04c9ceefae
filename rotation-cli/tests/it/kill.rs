//! Promise 2 under SIGKILL, at several moments of a run.

use std::time::Duration;

use entra_sim::{Effect, Fault};

use crate::world::World;

#[test]
fn never_lost_whenever_the_process_is_killed() {
    let world = World::new(400);
    let latency = Effect::delay_between(Duration::from_millis(5), Duration::from_millis(40));
    world.server.add_fault(Fault::on_patch(latency));
    // right at the first answer, in the canary, at its end, and in full flight
    for sets in [1, 3, 6, 60, 150] {
        let before = world.sets();
        let mut child = world.spawn(&["apply", "--format", "json"]);
        world.wait_for_sets(before + sets);
        child.kill().unwrap();
        child.wait().unwrap();
        world.assert_no_password_is_lost();
    }

    let settled = world.json(&["apply", "--format", "json"]);
    assert_eq!(
        (settled["failed"].as_u64(), settled["unsettled"].as_u64()),
        (Some(0), Some(0)),
        "{settled}"
    );
    let status = world.json(&["status", "--format", "json"]);
    assert_eq!(status["unsettled"].as_array().unwrap().len(), 0, "{status}");
    world.assert_no_password_is_lost();
    for version in world.reveal(&[]) {
        assert_eq!(version.state, "current");
        let id = version.account.parse().unwrap();
        assert!(
            world.tenant.current_password_is(id, &version.password),
            "{}",
            version.upn
        );
    }
}
