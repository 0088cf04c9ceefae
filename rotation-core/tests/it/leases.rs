//! A lease begins and ends with its run, however long it is asked to be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rotation_core::testkit::{SetFault, StoreFault, StoreOp};
use rotation_core::{AccountQuery, AuditError, AuditLog, EngineOptions, Event, EventKind, Verify};
use tokio::time::Instant;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_lease_of_any_length_keeps_a_run_going() {
    for verify in [Verify::None, Verify::Timestamp, Verify::SignIn] {
        for lease in [Duration::ZERO, Duration::from_secs(60), Duration::MAX] {
            for attempt_timeout in [Duration::from_secs(30), Duration::MAX] {
                let mut world = World::new(3);
                world.policy.verify = verify;
                let options = EngineOptions {
                    lease,
                    attempt_timeout,
                    verify_timeout: attempt_timeout,
                    ..EngineOptions::default()
                };
                let engine = world.engine().with_options(options);
                let plan = engine.plan(AccountQuery::All).await.unwrap();
                let report = engine.run(plan).finish().await;
                assert_eq!(
                    report.rotated, 3,
                    "{verify:?}, {lease:?}, {attempt_timeout:?}: {report:?}"
                );
            }
        }
    }
}

/// Takes its time for the last event, which comes after the lease was given back.
struct LateRecord;

#[async_trait]
impl AuditLog for LateRecord {
    async fn append(&self, events: &[Event]) -> Result<(), AuditError> {
        let last = |event: &Event| matches!(event.kind, EventKind::RunFinished { .. });
        if events.iter().any(last) {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Ok(())
    }
}

/// It is renewed every 15 s, so one of these runs ends just before a renewal.
#[tokio::test(start_paused = true)]
async fn a_lease_that_was_given_back_does_not_begin_anew() {
    for millis in (0..20_000).step_by(500) {
        let world = World::new(1);
        // what stays pending would be waited for
        world.backend.inject(SetFault::answer_lost().forever());
        let late = StoreFault::on(StoreOp::Stage).delayed(Duration::from_millis(millis));
        world.store.inject(late);
        let engine = world.engine().with_audit(Arc::new(LateRecord));
        let plan = engine.plan(AccountQuery::All).await.unwrap();
        assert_eq!(engine.run(plan).finish().await.unsettled, 1);
        world.backend.heal();

        let began = Instant::now();
        assert_eq!(world.run().await.rotated, 1);
        let waited = began.elapsed();
        assert!(
            waited <= Duration::from_secs(1),
            "staged after {millis} ms, the next run waited {waited:?}"
        );
    }
}
