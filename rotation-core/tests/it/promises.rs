//! The promises of the design that the engine keeps, each by exhaustion over what can go wrong.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use rotation_core::testkit::{
    MemoryAudit, MemoryBackend, MemoryStore, SetFault, StoreFault, StoreOp,
};
use rotation_core::{
    Account, AccountId, AccountKey, AccountQuery, AuditError, AuditLog, BackendError, Caller,
    Clock, EngineOptions, Event, EventKind, Outcome, Problem, RefusalReason, RotationBackend,
    SetPassword, StopReason, SystemClock, TenantId, Verify, VersionState,
};

use crate::world::{World, crash_after};

type Strike = (&'static str, fn() -> SetFault);

/// What the directory may do to one attempt.
const STRIKES: [Strike; 8] = [
    ("answer lost", SetFault::answer_lost),
    ("request lost", SetFault::request_lost),
    ("password refused", || {
        SetFault::refused(RefusalReason::Password)
    }),
    ("not allowed", || {
        SetFault::refused(RefusalReason::NotAllowed)
    }),
    ("throttled", || SetFault::throttled(Duration::from_secs(3))),
    ("not sent", || {
        SetFault::answer(Outcome::NotSent(Problem::new("no route")))
    }),
    ("applied, hangs", || SetFault::answer_lost().hangs()),
    ("busy, applied all the same", || {
        let problem = Problem::new("503");
        SetFault::answer(Outcome::Throttled {
            retry_after: None,
            ambiguous: true,
            problem,
        })
        .applied()
    }),
];

/// What the store may do.
fn store_faults() -> Vec<(&'static str, Option<StoreFault>)> {
    let lost = |op| Some(StoreFault::on(op).answer_lost());
    vec![
        ("sound", None),
        ("stage fails", Some(StoreFault::on(StoreOp::Stage))),
        (
            "stage fails for good",
            Some(StoreFault::on(StoreOp::Stage).forever()),
        ),
        ("stage answer lost", lost(StoreOp::Stage)),
        (
            "second stage fails",
            Some(StoreFault::on(StoreOp::Stage).skip(1)),
        ),
        ("commit fails once", Some(StoreFault::on(StoreOp::Commit))),
        (
            "commit fails for good",
            Some(StoreFault::on(StoreOp::Commit).forever()),
        ),
        ("commit answer lost", lost(StoreOp::Commit)),
        ("discard fails", Some(StoreFault::on(StoreOp::Discard))),
        ("discard answer lost", lost(StoreOp::Discard)),
        ("lease fails", Some(StoreFault::on(StoreOp::Lease))),
        (
            "lease fails for good",
            Some(StoreFault::on(StoreOp::Lease).forever()),
        ),
        (
            "lease is never renewed",
            Some(StoreFault::on(StoreOp::Lease).skip(1).forever()),
        ),
        ("release fails", Some(StoreFault::on(StoreOp::Release))),
        (
            "staging takes longer than the lease",
            Some(StoreFault::on(StoreOp::Stage).delayed(Duration::from_secs(100))),
        ),
        (
            "committing takes longer than the lease",
            Some(StoreFault::on(StoreOp::Commit).delayed(Duration::from_secs(100))),
        ),
    ]
}

/// A world whose one account has a current version, with the given faults to come.
async fn struck(strikes: &[usize], store_fault: Option<StoreFault>) -> (World, String) {
    let world = World::new(1);
    assert_eq!(
        world.run().await.rotated,
        1,
        "a first rotation without faults"
    );
    let names: Vec<&str> = strikes.iter().map(|strike| STRIKES[*strike].0).collect();
    for strike in strikes {
        world.backend.inject(STRIKES[*strike].1());
    }
    if let Some(fault) = store_fault {
        world.store.inject(fault);
    }
    (world, names.join(", "))
}

/// Every sequence of strikes up to this length.
fn sequences(length: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..length {
        longest = longest
            .iter()
            .flat_map(|shorter: &Vec<usize>| {
                (0..STRIKES.len()).map(move |next| [shorter.as_slice(), &[next]].concat())
            })
            .collect();
        all.extend(longest.clone());
    }
    all
}

#[tokio::test(start_paused = true)]
async fn never_lost_whatever_directory_and_store_do() {
    let mut runs = 0;
    for sequence in sequences(3) {
        for (store_name, store_fault) in store_faults() {
            let (world, names) = struck(&sequence, store_fault).await;
            let context = format!("directory: [{names}], store: {store_name}");
            let report = world.run().await;
            world.assert_nothing_lost(1, &context);
            let pending = world.states(1).contains(&VersionState::Pending);
            let lost_its_lease = matches!(report.stopped, Some(StopReason::LeaseLost { .. }));
            assert_eq!(
                report.tried(),
                u64::from(!lost_its_lease),
                "{context}: {report:?}"
            );
            if store_name == "sound" {
                assert_eq!(pending, report.unsettled == 1, "{context}: {report:?}");
            }
            runs += 1;
        }
    }
    println!("{runs} sequences of directory faults × store faults");
    assert_eq!(runs, (1 + 8 + 64 + 512) * store_faults().len());
}

#[tokio::test(start_paused = true)]
async fn never_lost_at_any_cancellation_point() {
    let mut crashes = 0;
    for sequence in sequences(2) {
        for (store_name, store_fault) in store_faults() {
            for polls in 0.. {
                let (world, names) = struck(&sequence, store_fault.clone()).await;
                let engine = world.engine();
                let plan = engine.plan(AccountQuery::All).await.unwrap();
                let crashed = crash_after(polls, engine.run(plan)).await;
                world.assert_nothing_lost(
                    1,
                    &format!("[{names}], {store_name}, dropped after {polls} polls"),
                );
                if !crashed {
                    break;
                }
                crashes += 1;
            }
        }
    }
    println!("{crashes} cancellation points");
    assert!(crashes > 2_000, "only {crashes} cancellation points");
}

#[tokio::test(start_paused = true)]
async fn never_lost_at_any_cancellation_point_of_a_verified_rotation() {
    let mut crashes = 0;
    // the last directory shows no change, so the password is set once more, and that is what goes wrong
    for (verify, lag, spared) in [
        (Verify::Timestamp, 0, 0),
        (Verify::SignIn, 0, 0),
        (Verify::Timestamp, usize::MAX, 1),
    ] {
        for sequence in sequences(1) {
            for (store_name, store_fault) in store_faults() {
                for polls in 0.. {
                    let (mut world, _) = struck(&[], store_fault.clone()).await;
                    let strikes = sequence.iter().map(|strike| STRIKES[*strike]);
                    let (names, strikes): (Vec<_>, Vec<_>) = strikes.unzip();
                    for strike in strikes {
                        world.backend.inject(strike().skip(spared));
                    }
                    world.backend.show_changes_after(lag);
                    world.policy.verify = verify;
                    let audit = MemoryAudit::new();
                    let options = EngineOptions {
                        verify_timeout: Duration::from_secs(2),
                        ..EngineOptions::default()
                    };
                    let engine = world
                        .engine()
                        .with_options(options)
                        .with_audit(Arc::new(SlowRecord(audit.clone())));
                    let plan = engine.plan(AccountQuery::All).await.unwrap();
                    let before = world.backend.attempts().len();
                    let crashed = crash_after(polls, engine.run(plan)).await;
                    let context = format!(
                        "{verify:?}, {spared} spared, {names:?}, {store_name}, dropped after {polls} polls"
                    );
                    world.assert_nothing_lost(1, &context);
                    let sent = world.backend.attempts().len() > before;
                    assert!(
                        !sent || has_staged(&audit),
                        "sent without being on record: {context}"
                    );
                    if !crashed {
                        break;
                    }
                    crashes += 1;
                }
            }
        }
    }
    println!("{crashes} cancellation points of verified rotations on record");
    assert!(crashes > 10_000, "only {crashes} cancellation points");
}

#[tokio::test(start_paused = true)]
async fn after_any_crash_the_next_run_settles_the_account() {
    for sequence in sequences(1) {
        for polls in 0.. {
            let (world, names) = struck(&sequence, None).await;
            let engine = world.engine();
            let plan = engine.plan(AccountQuery::All).await.unwrap();
            let crashed = crash_after(polls, engine.run(plan)).await;
            let unsettled = world.states(1).contains(&VersionState::Pending);
            // young enough not to be due, were it not unsettled
            let world = World {
                policy: rotation_core::Policy {
                    max_age: rotation_core::Age::days(365_000),
                    ..world.policy
                },
                ..world
            };
            world.backend.heal();
            let report = world.run().await;
            assert_eq!(
                report.rotated,
                u64::from(unsettled),
                "[{names}] dropped after {polls} polls"
            );
            let states = world.states(1);
            assert!(
                !states.contains(&VersionState::Pending),
                "[{names}] dropped after {polls} polls: {states:?}"
            );
            assert_eq!(states.last(), Some(&VersionState::Current));
            world.assert_nothing_lost(1, "after settling");
            if !crashed {
                break;
            }
        }
    }
}

/// A disk takes its time for every record, longer than the directory for an answer.
struct SlowRecord(MemoryAudit);

#[async_trait]
impl AuditLog for SlowRecord {
    async fn append(&self, events: &[Event]) -> Result<(), AuditError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.append(events).await
    }
}

fn has_staged(audit: &MemoryAudit) -> bool {
    let events = audit.events();
    let mut kinds = events.iter().map(|event| &event.kind);
    kinds.any(|kind| matches!(kind, EventKind::Staged { .. }))
}

/// Asks the store, at the moment a password arrives, whether it has it, and the audit record whether it says so.
struct Witness {
    inner: MemoryBackend,
    store: MemoryStore,
    audit: MemoryAudit,
}

/// The accounts whose version was recorded as staged, but for those whose rotation is over.
fn staged(audit: &MemoryAudit) -> Vec<AccountId> {
    let mut staged = Vec::new();
    for event in audit.events() {
        match event.kind {
            EventKind::Staged { account, .. } => staged.push(account),
            EventKind::Finished { account, .. } => staged.retain(|other| *other != account),
            _ => {}
        }
    }
    staged
}

#[async_trait]
impl RotationBackend for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.inner.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        self.inner.accounts(query)
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let key = AccountKey {
            tenant: TenantId::new("memory"),
            account: request.account.clone(),
        };
        let state = self
            .store
            .state_of_password(&key, request.password.expose());
        assert_eq!(
            state,
            Some(VersionState::Pending),
            "a password reached the directory before the store"
        );
        assert!(
            staged(&self.audit).contains(&request.account),
            "a password reached the directory before the audit record"
        );
        self.inner.set_password(request).await
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.inner.password_changed(account).await
    }
}

#[tokio::test(start_paused = true)]
async fn durable_before_applied() {
    for sequence in sequences(2) {
        for (_, store_fault) in store_faults() {
            let (world, _) = struck(&sequence, store_fault).await;
            let audit = MemoryAudit::new();
            let witness = Witness {
                inner: world.backend.clone(),
                store: world.store.clone(),
                audit: audit.clone(),
            };
            let engine = world
                .engine_through(Arc::new(witness))
                .with_audit(Arc::new(audit));
            engine
                .run(engine.plan(AccountQuery::All).await.unwrap())
                .finish()
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_record_before_the_next_step_whenever_the_record_fails() {
    let mut cells = 0;
    for sequence in sequences(1) {
        for calls in 0.. {
            let (world, names) = struck(&sequence, None).await;
            let audit = MemoryAudit::new();
            audit.fail_after(calls);
            let before = world.backend.attempts().len();
            let engine = world.engine().with_audit(Arc::new(audit.clone()));
            let plan = engine.plan(AccountQuery::All).await.unwrap();
            let events: Vec<_> = engine.run(plan).collect().await;
            let report = crate::world::report_of(&events);
            let context = format!("[{names}], the record fails after {calls} calls: {report:?}");
            world.assert_nothing_lost(1, &context);
            let failed = audit.calls() > calls;
            let unrecorded = matches!(report.stopped, Some(StopReason::Unrecorded { .. }));
            assert_eq!(failed, unrecorded, "{context}");
            let sent = world.backend.attempts().len() > before;
            assert!(
                !sent || has_staged(&audit),
                "sent without being on record: {context}"
            );
            // what was applied is committed, although the record failed meanwhile
            let live = world
                .backend
                .live_password(&crate::world::account(1))
                .unwrap();
            let state = world.store.state_of_password(&world.key(1), &live);
            if report.rotated == 1 {
                assert_eq!(state, Some(VersionState::Current), "{context}");
            }
            cells += 1;
            if !failed {
                let finished = audit.events();
                assert_eq!(finished.len(), events.len(), "{context}");
                break;
            }
        }
    }
    println!("{cells} points at which the audit record fails");
}

#[tokio::test(start_paused = true)]
async fn a_version_is_never_dropped_once_it_may_have_been_applied() {
    for sequence in sequences(3) {
        let (world, names) = struck(&sequence, None).await;
        let (_, events) = world.run_with_events().await;
        let mut ambiguous = HashSet::new();
        for event in &events {
            match &event.kind {
                EventKind::Attempted {
                    version, outcome, ..
                } if outcome.outcome == "unknown"
                    || outcome.problem.as_ref().is_some_and(|p| p.message == "503") =>
                {
                    ambiguous.insert(*version);
                }
                EventKind::Discarded { version, .. } => {
                    assert!(!ambiguous.contains(version), "[{names}] dropped {version}");
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ambiguity_is_kept_and_a_lost_answer_is_retried_with_the_same_password() {
    let world = World::new(1);
    world.backend.inject(SetFault::answer_lost().times(2));
    let report = world.run().await;
    assert_eq!((report.rotated, report.requests), (1, 3));
    assert_eq!(
        world.states(1),
        [VersionState::Current],
        "one version, sent three times"
    );
}

#[tokio::test(start_paused = true)]
async fn ambiguity_is_kept_when_the_repeat_is_refused_and_a_fresh_password_is_set() {
    let world = World::new(1);
    world.backend.inject(SetFault::answer_lost());
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Other));
    let report = world.run().await;
    assert_eq!(report.rotated, 1);
    // the first may arrive late: it stays retrievable
    assert_eq!(
        world.states(1),
        [VersionState::Previous, VersionState::Current]
    );
}

#[tokio::test(start_paused = true)]
async fn ambiguity_is_kept_when_every_answer_is_lost() {
    let world = World::new(1);
    world.backend.inject(SetFault::answer_lost().forever());
    let report = world.run().await;
    assert_eq!((report.unsettled, report.requests), (1, 5));
    assert_eq!(world.states(1), [VersionState::Pending]);
    world.backend.heal();
    assert_eq!(world.run().await.rotated, 1);
    assert_eq!(
        world.states(1),
        [VersionState::Previous, VersionState::Current]
    );
}

#[tokio::test(start_paused = true)]
async fn ambiguity_is_kept_when_fresh_passwords_are_refused_too() {
    let world = World::new(1);
    world.backend.inject(SetFault::answer_lost());
    world
        .backend
        .inject(SetFault::refused(RefusalReason::NotAllowed).forever());
    let report = world.run().await;
    assert_eq!(report.unsettled, 1, "{report:?}");
    assert_eq!(
        world.states(1),
        [VersionState::Pending],
        "only the one that may be live is kept"
    );
    world.assert_nothing_lost(1, "refused after a lost answer");
}

#[tokio::test(start_paused = true)]
async fn silent_no_password_in_events_report_or_debug() {
    let world = World::new(20);
    world
        .backend
        .inject(SetFault::answer_lost().skip(3).times(4));
    world
        .backend
        .inject(SetFault::refused(RefusalReason::Password).skip(5).times(3));
    let engine = world.engine();
    let run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
    let mut said = format!("{engine:?} {run:?}");
    let events: Vec<_> = run.collect().await;
    for event in &events {
        said.push_str(&format!(
            "{event:?} {}",
            serde_json::to_string(event).unwrap()
        ));
    }
    said.push_str(&format!("{:?} {:?}", world.backend, world.store));
    for number in 1..=20 {
        let live = world
            .backend
            .live_password(&crate::world::account(number))
            .unwrap();
        assert!(!said.contains(&live), "user-{number}");
    }
}

/// A clock that somebody sets, once it was read `readings` times.
#[derive(Debug)]
struct SetClock {
    readings: AtomicUsize,
    by: SignedDuration,
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let jumped = self
            .readings
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
            .is_err();
        let by = if jumped {
            self.by
        } else {
            SignedDuration::ZERO
        };
        SystemClock.now() + by
    }
}

#[tokio::test(start_paused = true)]
async fn never_lost_when_the_clock_is_set_in_the_middle() {
    let mut cells = 0;
    for (strike_name, strike) in STRIKES {
        for hours in [-9_000, -1, 1, 9_000] {
            for readings in 0..16 {
                let (world, _) = struck(&[], None).await;
                world.backend.inject(strike());
                let clock = SetClock {
                    readings: AtomicUsize::new(readings),
                    by: SignedDuration::from_hours(hours),
                };
                let engine = world.engine().with_clock(Arc::new(clock));
                let plan = engine.plan(AccountQuery::All).await.unwrap();
                let report = engine.run(plan).finish().await;
                let context = format!("{strike_name}, set by {hours} h after {readings} readings");
                world.assert_nothing_lost(1, &context);
                let refused = strike_name == "not allowed";
                assert_eq!(report.rotated, u64::from(!refused), "{context}: {report:?}");
                cells += 1;
            }
        }
    }
    println!("{cells} clocks set in the middle of a run");
}
