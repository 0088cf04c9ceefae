//! How the engine works through many accounts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::testkit::{MemoryBackend, MemoryStore, SetFault, StoreFault, StoreOp};
use rotation_core::{
    Account, AccountId, AccountKind, AccountQuery, AccountResult, AuditError, AuditLog,
    BackendError, Caller, Clock, Commit, Decision, Drift, Due, Engine, EngineOptions, Event,
    EventKind, Holdings, Lease, NewVersion, Origin, Outcome, Plan, PlanEntry, PlanHeader,
    PlanTenant, PlanWriter, Planned, Policy, Problem, RefusalReason, ReviewedPlan, RoleId,
    RotationBackend, SecretStore, Select, SetPassword, SkipReason, StopReason, StoreError,
    SystemClock, TenantId, Verify, Version, VersionKey, VersionState,
};
use tokio::time::Instant;

use crate::world::{World, account};

#[tokio::test(start_paused = true)]
async fn every_account_gets_a_password_of_its_own_that_is_current_in_the_store() {
    for (accounts, max_batch) in [(0, 1), (1, 1), (300, 1), (300, 20)] {
        let world = World::new(accounts);
        world.backend.accept_batches_of(max_batch);
        let report = world.run().await;
        assert_eq!(report.rotated, accounts as u64);
        assert!(report.is_complete());
        let mut passwords: Vec<String> = (1..=accounts)
            .map(|number| world.backend.live_password(&account(number)).unwrap())
            .collect();
        for (index, live) in passwords.iter().enumerate() {
            let state = world.store.state_of_password(&world.key(index + 1), live);
            assert_eq!(state, Some(VersionState::Current));
        }
        passwords.sort();
        passwords.dedup();
        assert_eq!(passwords.len(), accounts);
    }
}

/// A disk takes a moment for every durable write.
struct SlowStore(MemoryStore);

#[async_trait]
impl SecretStore for SlowStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.0.lease(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.0.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.stage(batch).await
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        self.0.prune(select, keep).await
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.commit(batch).await
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        self.0.discard(version).await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.0.versions(select)
    }
}

#[tokio::test(start_paused = true)]
async fn many_accounts_share_a_durable_write() {
    let world = World::new(500);
    let slow = SlowStore(world.store.clone());
    let engine = Engine::new(
        Arc::new(world.backend.clone()),
        Arc::new(slow),
        world.policy.clone(),
    )
    .unwrap();
    engine
        .run(engine.plan(AccountQuery::All).await.unwrap())
        .finish()
        .await;
    let stages = world
        .store
        .calls()
        .iter()
        .filter(|call| call.op == StoreOp::Stage)
        .count();
    assert!(stages <= 500 / 10, "{stages} writes for 500 accounts");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_directory_is_left_alone_by_every_account() {
    let world = World::new(50);
    world
        .backend
        .inject(SetFault::throttled(Duration::from_secs(120)));
    let began = Instant::now();
    let (report, events) = world.run_with_events().await;
    assert_eq!((report.rotated, report.throttled), (50, 1));
    assert!(began.elapsed() >= Duration::from_secs(120));
    let paused = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Paused { .. }))
        .count();
    assert_eq!(paused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_throttles_for_ever_fails_the_account_and_keeps_nothing() {
    let world = World::new(1);
    world
        .backend
        .inject(SetFault::throttled(Duration::from_secs(300)).forever());
    let report = world.run().await;
    assert_eq!((report.failed, report.unsettled), (1, 0));
    assert_eq!(world.states(1), []);
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_replaced_and_dropped() {
    let world = World::new(1);
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Password).times(2));
    let report = world.run().await;
    assert_eq!((report.rotated, report.requests), (1, 3));
    assert_eq!(world.states(1), [VersionState::Current]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_no_password_cures_is_not_repeated() {
    let world = World::new(1);
    world
        .backend
        .inject(SetFault::refused(RefusalReason::NotAllowed));
    let report = world.run().await;
    assert_eq!((report.failed, report.requests), (1, 1));
    assert_eq!(world.states(1), []);
    assert_eq!(report.problems[0].problem.message, "refused");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_the_store_cannot_stage() {
    let world = World::new(30);
    world.store.inject(StoreFault::on(StoreOp::Stage).forever());
    let report = world.run().await;
    assert_eq!(report.failed, 30);
    assert_eq!(world.backend.attempts(), []);
}

#[tokio::test(start_paused = true)]
async fn the_canary_stops_a_run_that_goes_wrong_from_the_start() {
    let mut world = World::new(100);
    world.policy = Policy {
        canary: 5,
        ..world.policy
    };
    world
        .backend
        .inject(SetFault::refused(RefusalReason::NotAllowed).forever());
    let report = world.run().await;
    assert!(
        matches!(report.stopped, Some(StopReason::Canary { canary: 5, .. })),
        "{report:?}"
    );
    assert!(report.tried() <= 5, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_stops_a_run_that_goes_wrong_later() {
    let mut world = World::new(1000);
    world.policy = Policy {
        canary: 5,
        max_failures: "5%".parse().unwrap(),
        max_consecutive_failures: u64::MAX,
        ..world.policy
    };
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Other).skip(200).forever());
    let report = world.run().await;
    assert!(
        matches!(report.stopped, Some(StopReason::Failures { .. })),
        "{report:?}"
    );
    // those under way are seen through
    assert!(report.tried() < 400, "{report:?}");
    assert_eq!(report.rotated, 200);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_stops_a_run_that_fails_from_some_time_on() {
    let mut world = World::new(10_000);
    world.policy = Policy {
        canary: 5,
        max_failures: "50%".parse().unwrap(),
        max_consecutive_failures: 30,
        ..world.policy
    };
    world.backend.inject(
        SetFault::refused(RefusalReason::NotAllowed)
            .skip(5_000)
            .forever(),
    );
    let report = world.run().await;
    let Some(StopReason::ConsecutiveFailures { failures, problem }) = &report.stopped else {
        panic!("{report:?}")
    };
    assert_eq!((*failures, problem.message.as_str()), (31, "refused"));
    assert_eq!(report.rotated, 5_000);
    assert!(report.failed < 1_000, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_accounts_are_verified_although_the_policy_asks_for_no_verification() {
    let mut world = World::new(100);
    world.policy = Policy {
        canary: 5,
        drift: Drift::Ignore,
        ..world.policy
    };
    for number in 0..100 {
        let id = AccountId::new(&format!("user-{number}"));
        world.backend.change_elsewhere(&id);
    }
    // the directory says yes and does nothing
    let applied = Outcome::Applied {
        request_id: None,
        answered_at: None,
    };
    world.backend.inject(SetFault::answer(applied));
    let report = world.run().await;
    assert_eq!(report.rotated, 100);
    assert_eq!(
        world.backend.attempts().len(),
        101,
        "not moved, so set once more"
    );
    world.assert_nothing_lost(100, "a yes that was none");
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_begins_nothing() {
    let world = World::new(1000);
    let engine = world.engine();
    let mut run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
    let stop = run.stop_handle();
    let mut finished = 0;
    let mut report = None;
    while let Some(event) = run.next().await {
        match event.kind {
            EventKind::Finished { .. } => finished += 1,
            EventKind::RunFinished { report: last } => report = Some(last),
            _ => {}
        }
        if finished == 10 {
            stop.stop();
        }
    }
    let report = report.unwrap();
    assert_eq!(report.stopped, Some(StopReason::Interrupted));
    assert!(report.tried() < 1000 && report.unsettled == 0, "{report:?}");
    world.assert_nothing_lost(1000, "after a stop");
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_long_waits_short() {
    let world = World::new(3);
    world
        .backend
        .inject(SetFault::throttled(Duration::from_secs(500)).forever());
    let engine = world.engine();
    let run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
    let stop = run.stop_handle();
    let began = Instant::now();
    let (report, ()) = tokio::join!(run.finish(), async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        stop.stop();
    });
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        (report.failed, report.stopped),
        (3, Some(StopReason::Interrupted))
    );
}

#[tokio::test(start_paused = true)]
async fn verification_waits_for_the_directorys_own_change_time_to_move() {
    let mut world = World::new(1);
    world.policy = Policy {
        verify: Verify::Timestamp,
        ..world.policy
    };
    assert_eq!(world.run().await.rotated, 1);
    world.backend.show_changes_after(20);
    let report = world.run().await;
    assert_eq!(
        (report.rotated, report.requests),
        (1, 1),
        "a lag is waited for"
    );
}

fn claims_success() -> SetFault {
    SetFault::answer(Outcome::Applied {
        request_id: None,
        answered_at: None,
    })
}

#[tokio::test(start_paused = true)]
async fn verification_takes_a_second_set_of_the_same_password_as_proof() {
    let mut world = World::new(1);
    world.policy.verify = Verify::Timestamp;
    assert_eq!(world.run().await.rotated, 1);
    // the directory claims success, and nothing moves
    world.backend.inject(claims_success());
    let report = world.run().await;
    assert_eq!((report.rotated, report.requests), (1, 2), "{report:?}");
    assert_eq!(
        world.states(1),
        [VersionState::Previous, VersionState::Current]
    );
    world.assert_nothing_lost(1, "set twice");

    world.backend.inject(claims_success());
    world
        .backend
        .inject(SetFault::refused(RefusalReason::NotAllowed));
    let report = world.run().await;
    assert_eq!(report.unsettled, 1, "{report:?}");
    assert_eq!(
        world.states(1)[1..],
        [VersionState::Current, VersionState::Pending]
    );
    world.assert_nothing_lost(1, "claimed, but not set");
}

#[tokio::test(start_paused = true)]
async fn verification_by_signing_in_catches_a_directory_that_only_claims() {
    let mut world = World::new(1);
    world.policy.verify = Verify::SignIn;
    assert_eq!(world.run().await.rotated, 1);
    world.backend.inject(claims_success());
    let report = world.run().await;
    assert_eq!(report.unsettled, 1, "{report:?}");
    assert!(
        report.problems[0].problem.message.contains("sign in"),
        "{report:?}"
    );
    world.assert_nothing_lost(1, "claimed, but not set");
}

#[tokio::test(start_paused = true)]
async fn a_version_keeps_who_set_it_when_why_and_by_which_request() {
    let mut world = World::new(1);
    world.policy.verify = Verify::Timestamp;
    let report = world.run().await;
    let [version] = &world.store.versions_of(&world.key(1))[..] else {
        panic!("one version")
    };
    let origin = Origin {
        caller: "caller".to_owned(),
        backend: "memory".to_owned(),
        reason: "age unknown, which the policy takes as due; allowed by Global Administrator"
            .to_owned(),
    };
    assert_eq!((&version.origin, version.run), (&origin, report.run_id));
    let committed = version.committed.as_ref().unwrap();
    assert_eq!(committed.request_id.as_deref(), Some("request-1"));
    let changed = world.backend.password_changed(&account(1)).await.unwrap();
    let slack = jiff::SignedDuration::from_secs(5);
    assert_eq!(committed.baseline, changed.map(|at| at + slack));
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_and_rotated_as_the_policy_says() {
    let mut world = World::new(2);
    world.policy.verify = Verify::Timestamp;
    world.policy.max_age = rotation_core::Age::days(365_000);
    assert_eq!(world.run().await.rotated, 2);
    assert_eq!(world.run().await.skipped, 2, "both are young now");
    // a second each, and the first few may be our own
    for _ in 0..7 {
        world.backend.change_elsewhere(&account(2));
    }
    for (drift, drifted, rotated) in [
        (Drift::Ignore, 0, 0),
        (Drift::Report, 1, 0),
        (Drift::Rotate, 1, 1),
        (Drift::Rotate, 0, 0),
    ] {
        world.policy.drift = drift;
        let (report, events) = world.run_with_events().await;
        let told = events.iter().filter(|event| {
            matches!(&event.kind, EventKind::Drifted { upn, .. } if upn == "user-2@memory.test")
        });
        let found = (report.drifted, report.rotated, told.count() as u64);
        assert_eq!(found, (drifted, rotated, drifted), "{drift:?}: {report:?}");
    }
    world.assert_nothing_lost(2, "after drift");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_after_it_was_given_up_is_drift_and_heals() {
    let mut world = World::new(1);
    world.policy.verify = Verify::Timestamp;
    world.policy.drift = Drift::Rotate;
    world.backend.inject(SetFault::applied_late());
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Other));
    assert_eq!(world.run().await.rotated, 1);
    world.backend.deliver_late();
    let live = world.backend.live_password(&account(1)).unwrap();
    let state = world.store.state_of_password(&world.key(1), &live);
    assert_eq!(
        state,
        Some(VersionState::Previous),
        "kept, though overtaken"
    );
    world.policy.max_age = rotation_core::Age::days(365_000);
    let report = world.run().await;
    assert_eq!((report.drifted, report.rotated), (1, 1), "{report:?}");
    world.assert_nothing_lost(1, "after the drift was rotated away");
}

/// Leaves user-1 unsettled.
async fn unsettle(world: &World) {
    world
        .backend
        .inject(SetFault::answer_lost().for_account(account(1)).forever());
    assert_eq!(world.run().await.unsettled, 1);
    world.backend.heal();
}

#[tokio::test(start_paused = true)]
async fn unsettled_accounts_come_first_and_once() {
    let world = World::new(3);
    unsettle(&world).await;
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let names: Vec<_> = plan
        .map(|planned| {
            let planned = planned.unwrap();
            (planned.account.id, planned.unsettled)
        })
        .collect()
        .await;
    let expected = [(1, true), (2, false), (3, false)];
    assert_eq!(
        names,
        expected.map(|(number, first)| (account(number), first))
    );
}

#[tokio::test(start_paused = true)]
async fn only_unsettled_accounts_are_settled_by_recovery() {
    let mut world = World::new(3);
    world.policy.verify = Verify::Timestamp;
    assert_eq!(world.run().await.rotated, 3);
    unsettle(&world).await;
    let before = world.backend.attempts().len();
    let engine = world.engine();
    let caller = world.backend.caller().await.unwrap();
    let plan = engine.plan_unsettled_as(caller, AccountQuery::All).await;
    let report = engine.run(plan.unwrap()).finish().await;
    assert_eq!((report.rotated, report.skipped), (1, 0));
    assert_eq!(report.drifted, 0, "the change may be our own");
    assert_eq!(world.backend.attempts()[before..], [account(1)]);
    assert_eq!(world.states(1).last(), Some(&VersionState::Current));
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_account_that_may_no_longer_be_rotated_stays_and_is_told() {
    for why in ["excluded", "gone"] {
        let mut world = World::new(2);
        unsettle(&world).await;
        let states = world.states(1);
        if why == "excluded" {
            world.policy.exclude = vec!["user-1@memory.test".parse().unwrap()];
        } else {
            let backend = MemoryBackend::new();
            let other = Account::new(account(2), "user-2@memory.test");
            backend.add(other.holding(Holdings::default()));
            world.backend = backend;
        }
        // one that cannot be settled is no sign of anything going wrong now
        world.policy.canary = 5;
        let (report, events) = world.run_with_events().await;
        assert_eq!(
            (report.unsettled, report.rotated),
            (1, 1),
            "{why}: {report:?}"
        );
        assert_eq!(report.stopped, None);
        assert!(!report.is_complete());
        let told = events.iter().any(|event| {
            matches!(&event.kind, EventKind::Finished { account: id, result: AccountResult::Unsettled { problem }, .. }
                if *id == account(1) && problem.message.contains(if why == "gone" { "no longer in the directory" } else { "excluded" }))
        });
        assert!(told, "{why}");
        assert_eq!(world.states(1), states, "{why}: every version is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn previous_versions_are_pruned_to_what_the_policy_keeps() {
    let world = World::new(2);
    for _ in 0..6 {
        world.run().await;
    }
    let dropped = world.engine().prune(&TenantId::new("memory")).await;
    assert_eq!(dropped.unwrap(), 4);
    let kept = [&[VersionState::Previous; 3][..], &[VersionState::Current]].concat();
    assert_eq!(world.states(1), kept);
    world.assert_nothing_lost(2, "pruned");
}

fn tenant(plan: &Plan<'_>) -> PlanTenant {
    PlanTenant {
        tenant: plan.tenant().clone(),
        caller: plan.caller().clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_listing_ends_the_run_after_what_was_read() {
    let world = World::new(2);
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let tenant = tenant(&plan);
    let broken = plan.chain(futures::stream::iter([Err(BackendError::Unexpected(
        Problem::new("page 2 is HTML"),
    ))]));
    let report = engine
        .run(Plan::new(tenant, SystemClock.now(), broken))
        .finish()
        .await;
    assert_eq!(report.rotated, 2);
    assert!(
        matches!(report.stopped, Some(StopReason::Unreadable { .. })),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_whole_story_of_an_account() {
    let world = World::new(1);
    world.backend.inject(SetFault::answer_lost());
    let (_, events) = world.run_with_events().await;
    let names: Vec<String> = events
        .iter()
        .map(|event| {
            serde_json::to_value(event).unwrap()["event"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "run-started",
            "decided",
            "staged",
            "attempted",
            "attempted",
            "finished",
            "run-finished"
        ]
    );
    assert!(matches!(
        &events[1].kind,
        EventKind::Decided {
            decision: Decision::Rotate { .. },
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn every_event_is_one_flat_object_without_a_key_twice() {
    let mut world = World::new(300);
    world.policy = Policy {
        max_failures: "20".parse().unwrap(),
        exclude: vec!["user-7@*".parse().unwrap()],
        ..world.policy
    };
    let mut guest =
        Account::new(AccountId::new("guest"), "guest@memory.test").holding(Holdings::default());
    guest.kind = AccountKind::Guest;
    world.backend.add(guest);
    world
        .backend
        .inject(SetFault::throttled(Duration::from_millis(1500)));
    world
        .backend
        .inject(SetFault::answer_lost().skip(3).times(20));
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Other).skip(100).times(50));
    let (report, events) = world.run_with_events().await;
    assert!(
        report.stopped.is_some() && report.not_tried > 0,
        "{:?}",
        report.stopped
    );
    for event in events {
        let text = serde_json::to_string(&event).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        // a map keeps a key once, so a key that was there twice makes it shorter
        assert_eq!(value.to_string().len(), text.len(), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_vanishes_during_the_run_fails_alone() {
    let world = World::new(3);
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let ghost =
        Account::new(AccountId::new("ghost"), "ghost@memory.test").holding(Holdings::default());
    let rotate = Decision::Rotate {
        due: Due::UnknownAge,
        by: RoleId::GLOBAL_ADMINISTRATOR,
    };
    let planned = Planned::new(ghost, rotate);
    let plan = Plan::new(
        tenant(&plan),
        plan.planned_at(),
        plan.chain(futures::stream::iter([Ok(planned)])),
    );
    let report = engine.run(plan).finish().await;
    assert_eq!((report.rotated, report.failed), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_rotates_no_more_than_it_was_told_to() {
    let world = World::new(10);
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap().at_most(3);
    let report = engine.run(plan).finish().await;
    assert_eq!((report.rotated, report.skipped), (3, 7));
}

#[tokio::test(start_paused = true)]
async fn a_run_rotates_only_what_was_reviewed_and_is_still_due() {
    let world = World::new(3);
    let engine = world.engine();
    let tenant = PlanTenant {
        tenant: TenantId::new("memory"),
        caller: AccountId::new("caller"),
    };
    let header = PlanHeader::new(SystemClock.now(), world.policy.fingerprint(), vec![tenant]);
    let mut writer = PlanWriter::new(Vec::new(), &header).unwrap();
    let plan = engine
        .plan(AccountQuery::Named(vec!["user-1".to_owned()]))
        .await
        .unwrap();
    let tenant = plan.tenant().clone();
    for planned in plan.collect::<Vec<_>>().await {
        writer
            .entry(&PlanEntry::new(tenant.clone(), &planned.unwrap()))
            .unwrap();
    }
    let reviewed = ReviewedPlan::read(writer.finish().unwrap().as_slice()).unwrap();
    let plan = engine
        .plan(AccountQuery::All)
        .await
        .unwrap()
        .only(&reviewed);
    let report = engine.run(plan).finish().await;
    assert_eq!((report.rotated, report.skipped), (1, 2));
    assert_eq!(world.backend.attempts(), [account(1)]);
}

/// Counts how many sets are under way for one account, and is slow.
struct Slow {
    inner: MemoryBackend,
    under_way: Mutex<HashMap<AccountId, usize>>,
    most: AtomicUsize,
    /// Of all accounts together.
    together: AtomicUsize,
    bears: Option<usize>,
}

impl Slow {
    fn new(inner: MemoryBackend) -> Self {
        Self {
            inner,
            under_way: Mutex::default(),
            most: AtomicUsize::new(0),
            together: AtomicUsize::new(0),
            bears: None,
        }
    }
}

#[async_trait]
impl RotationBackend for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.inner.caller().await
    }

    /// Every account twice, as a directory does whose listing changes while it is read.
    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let twice = |account: Result<Account, BackendError>| {
            futures::stream::iter([account.clone(), account])
        };
        self.inner.accounts(query).flat_map(twice).boxed()
    }

    fn max_requests(&self) -> Option<usize> {
        self.bears
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let count = |by: isize| {
            let mut under_way = self.under_way.lock().unwrap();
            let count = under_way.entry(request.account.clone()).or_default();
            *count = count.checked_add_signed(by).unwrap();
            self.most.fetch_max(*count, Ordering::Relaxed);
            let all = under_way.values().sum();
            self.together.fetch_max(all, Ordering::Relaxed);
        };
        count(1);
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..50))).await;
        let outcome = self.inner.set_password(request).await;
        count(-1);
        outcome
    }

    async fn password_changed(&self, _: &AccountId) -> Result<Option<Timestamp>, BackendError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn never_lost_when_a_directory_lists_an_account_twice() {
    let world = World::new(50);
    let slow = Arc::new(Slow::new(world.backend.clone()));
    let engine = world.engine_through(Arc::clone(&slow) as Arc<dyn RotationBackend>);
    let report = engine
        .run(engine.plan(AccountQuery::All).await.unwrap())
        .finish()
        .await;
    assert_eq!(
        slow.most.load(Ordering::Relaxed),
        1,
        "two sets of one account at once"
    );
    assert_eq!((report.rotated, report.skipped), (50, 50));
    world.assert_nothing_lost(50, "listed twice");
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_the_backend_bears() {
    for (bears, expected) in [(Some(3), 3), (Some(0), 1), (None, 64)] {
        let world = World::new(500);
        let mut slow = Slow::new(world.backend.clone());
        slow.bears = bears;
        let slow = Arc::new(slow);
        let engine = world.engine_through(Arc::clone(&slow) as Arc<dyn RotationBackend>);
        let plan = engine.plan(AccountQuery::All).await.unwrap();
        assert_eq!(engine.run(plan).finish().await.rotated, 500);
        let together = slow.together.load(Ordering::Relaxed);
        assert_eq!(together, expected, "{bears:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_read_of_the_change_time_fails_the_account_before_anything_is_set() {
    let mut world = World::new(2);
    world.policy = Policy {
        verify: Verify::Timestamp,
        ..world.policy
    };
    let engine = world.engine_through(Arc::new(Slow::new(world.backend.clone())));
    let report = engine
        .run(engine.plan(AccountQuery::All).await.unwrap())
        .finish()
        .await;
    assert_eq!(report.failed, 2, "{report:?}");
    assert_eq!(
        (world.backend.attempts(), world.states(1)),
        (vec![], vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_the_events_costs_no_answer() {
    let world = World::new(200);
    let engine = world.engine_through(Arc::new(Slow::new(world.backend.clone())));
    let mut run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
    let mut last = None;
    while let Some(event) = run.next().await {
        // the backend's doubles pause again and again, and at each reading two of them go on
        tokio::time::sleep(Duration::from_millis(250)).await;
        last = Some(event);
    }
    let EventKind::RunFinished { report } = last.unwrap().kind else {
        panic!("no report")
    };
    assert_eq!(report.requests, report.rotated, "{report:?}");
}

#[tokio::test]
async fn a_full_channel_of_events_holds_nothing_up() {
    for concurrency in [1, 40, 64, 128, usize::MAX] {
        let world = World::new(2_000);
        let options = EngineOptions {
            concurrency,
            ..EngineOptions::default()
        };
        let engine = world.engine().with_options(options);
        let run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
        // without tokio's budget nothing forces a pause between two polls
        let report = tokio::task::unconstrained(run.finish());
        let report = tokio::time::timeout(Duration::from_secs(60), report).await;
        assert_eq!(
            report.expect("hangs").rotated,
            2_000,
            "concurrency {concurrency}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_unavailable_for_a_moment_fails_nobody() {
    let world = World::new(40);
    world.store.inject(StoreFault::on(StoreOp::Stage));
    world
        .store
        .inject(StoreFault::on(StoreOp::Stage).answer_lost());
    world
        .store
        .inject(StoreFault::on(StoreOp::Commit).answer_lost());
    let report = world.run().await;
    assert!(report.is_complete(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_says_come_back_at_once_is_not_hammered() {
    let world = World::new(1);
    world
        .backend
        .inject(SetFault::throttled(Duration::ZERO).forever());
    let report = world.run().await;
    assert!(
        report.requests < 10_000,
        "{} requests in half an hour",
        report.requests
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_reported_as_one_even_if_accounts_end_unsettled() {
    for canary in [0, 5] {
        let mut world = World::new(3);
        world.policy = Policy {
            canary,
            max_failures: "0".parse().unwrap(),
            ..world.policy
        };
        world.backend.inject(SetFault::answer_lost().forever());
        let engine = world.engine();
        let run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
        let stop = run.stop_handle();
        let (report, ()) = tokio::join!(run.finish(), async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            stop.stop();
        });
        assert_eq!(
            report.stopped,
            Some(StopReason::Interrupted),
            "canary {canary}"
        );
        assert_eq!(report.unsettled, 3, "{report:?}");
        assert_eq!(
            report.problems[0].problem.message, "answer lost",
            "the cause, not the stop"
        );
    }
}

/// A disk takes its time for every record.
struct SlowRecord;

#[async_trait]
impl AuditLog for SlowRecord {
    async fn append(&self, _: &[Event]) -> Result<(), AuditError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_run_however_slow_the_record_is() {
    let mut stops = 0;
    for millis in (0..1_000).step_by(5) {
        for skipped in [0, 3, 6, 11, 12, 13, 20] {
            let world = World::new(60);
            let options = EngineOptions {
                concurrency: 1,
                ..EngineOptions::default()
            };
            let engine = world
                .engine()
                .with_options(options)
                .with_audit(Arc::new(SlowRecord));
            let plan = engine.plan(AccountQuery::All).await.unwrap();
            let (tenant, planned_at) = (tenant(&plan), plan.planned_at());
            // in the middle of the others, so that the record is full while they wait for it
            let planned = plan.enumerate().map(move |(index, planned)| {
                let mut planned = planned?;
                if (5..5 + skipped).contains(&index) {
                    let why = SkipReason::NotIncluded;
                    planned.decision = Decision::Skip { why };
                }
                Ok(planned)
            });
            let run = engine.run(Plan::new(tenant, planned_at, planned));
            let stop = run.stop_handle();
            let (report, ()) = tokio::join!(
                tokio::time::timeout(Duration::from_secs(3_600), run.finish()),
                async {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    stop.stop();
                }
            );
            assert!(
                report.is_ok(),
                "hangs, stopped after {millis} ms, {skipped} skipped"
            );
            stops += 1;
        }
    }
    println!("{stops} moments at which a run with a slow record is stopped");
}
