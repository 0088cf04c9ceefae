//! What a plan asks of the store, and when: some accounts at a time, whichever the directory lists.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use rotation_core::testkit::{MemoryBackend, MemoryStore, SetFault, StoreFault, StoreOp};
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Clock, Commit, Drift, Engine, Lease,
    NewVersion, Outcome, Plan, PlanTenant, Policy, Problem, RotationBackend, SecretStore, Select,
    SetPassword, StopReason, StoreError, SystemClock, Version, VersionKey,
};

use crate::world::{World, account, policy};

/// The most accounts that are looked up at once.
const CHUNK: usize = 500;

/// A store that remembers what it was asked for, and how many answers were being read at once.
#[derive(Clone, Default)]
struct Watched {
    store: MemoryStore,
    asked: Arc<Mutex<Vec<Select>>>,
    reading: Arc<AtomicUsize>,
    most_reading: Arc<AtomicUsize>,
}

/// Counts as one that reads until it is dropped.
struct Reading(Arc<AtomicUsize>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl SecretStore for Watched {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.store.lease(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.store.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        self.store.stage(batch).await
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        self.store.commit(batch).await
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        self.store.discard(version).await
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        self.store.prune(select, keep).await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.asked.lock().unwrap().push(select.clone());
        let now = self.reading.fetch_add(1, Relaxed) + 1;
        self.most_reading.fetch_max(now, Relaxed);
        let reading = Reading(Arc::clone(&self.reading));
        let versions = self.store.versions(select);
        versions.inspect(move |_| _ = &reading).boxed()
    }
}

impl Watched {
    fn engine(&self, backend: impl RotationBackend + 'static, policy: Policy) -> Engine {
        Engine::new(Arc::new(backend), Arc::new(self.clone()), policy).unwrap()
    }

    /// What was asked for since.
    fn asked(&self) -> Vec<Select> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// The accounts of a [`MemoryBackend`], listed in the way that a test wants.
struct Listing<F> {
    backend: MemoryBackend,
    list: F,
}

impl<F> Listing<F>
where
    F: Fn() -> BoxStream<'static, Result<Account, BackendError>> + Send + Sync,
{
    fn new(backend: &MemoryBackend, list: F) -> Self {
        let backend = backend.clone();
        Self { backend, list }
    }
}

#[async_trait]
impl<F> RotationBackend for Listing<F>
where
    F: Fn() -> BoxStream<'static, Result<Account, BackendError>> + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.backend.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        match query {
            AccountQuery::All => (self.list)(),
            named => self.backend.accounts(named),
        }
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        self.backend.set_password(request).await
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.backend.password_changed(account).await
    }
}

/// A clock that is ahead by so much.
#[derive(Debug)]
struct Ahead(SignedDuration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

async fn accounts_of(backend: &MemoryBackend) -> Vec<Account> {
    let accounts = backend.accounts(AccountQuery::All);
    accounts.try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn flat_a_plan_asks_for_some_accounts_at_a_time_and_never_for_a_whole_tenant() {
    let (backend, store) = (MemoryBackend::with_accounts(2_200), Watched::default());
    let engine = store.engine(backend.clone(), policy());
    let report = engine
        .run(engine.plan(AccountQuery::All).await.unwrap())
        .finish()
        .await;
    assert_eq!(report.rotated, 2_200);
    store.asked();
    let takes_time = StoreFault::on(StoreOp::Read).delayed(Duration::from_millis(1));
    store.store.inject(takes_time.forever());

    let planned: Vec<_> = engine
        .plan(AccountQuery::All)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let listed = accounts_of(&backend).await;
    let order = |accounts: &[Account]| accounts.iter().map(|a| a.id.clone()).collect::<Vec<_>>();
    let planned: Vec<_> = planned.into_iter().map(|planned| planned.account).collect();
    assert_eq!(order(&planned), order(&listed));

    let asked = store.asked();
    let mut looked_up = Vec::new();
    for (at, select) in asked.into_iter().enumerate() {
        match select {
            Select::Pending(_) if at == 0 => {}
            Select::Accounts(keys) if keys.len() <= CHUNK => looked_up.extend(keys),
            other => panic!("asked for {other:?}"),
        }
    }
    let looked_up: Vec<AccountId> = looked_up.into_iter().map(|key| key.account).collect();
    assert_eq!(looked_up, order(&listed));
    assert_eq!(store.most_reading.load(Relaxed), 2, "lookups overlap");
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_ignores_drift_looks_nothing_up() {
    let (backend, store) = (MemoryBackend::with_accounts(3), Watched::default());
    let policy = Policy {
        drift: Drift::Ignore,
        ..policy()
    };
    let engine = store.engine(backend, policy);
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    assert_eq!(plan.count().await, 3);
    assert!(matches!(store.asked()[..], [Select::Pending(_)]));
}

#[tokio::test(start_paused = true)]
async fn flat_a_plan_reads_the_listing_no_further_than_its_reader_goes() {
    let backend = MemoryBackend::with_accounts(10_000);
    let accounts = accounts_of(&backend).await;
    let listed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&listed);
    let list = move || {
        let count = Arc::clone(&count);
        let accounts = stream::iter(accounts.clone());
        let counted = accounts.inspect(move |_| _ = count.fetch_add(1, Relaxed));
        counted.map(Ok).boxed()
    };
    let engine = Watched::default().engine(Listing::new(&backend, list), policy());
    let mut plan = engine.plan(AccountQuery::All).await.unwrap();
    for read in 1..=3_000 {
        plan.next().await.unwrap().unwrap();
        let ahead = listed.load(Relaxed) - read;
        assert!(ahead <= 3 * CHUNK, "{ahead} accounts ahead");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_decides_on_what_is_there_while_the_listing_is_slow() {
    let backend = MemoryBackend::with_accounts(3);
    let accounts = accounts_of(&backend).await;
    let list = move || {
        let accounts = stream::iter(accounts.clone()).map(Ok);
        accounts.chain(stream::pending()).boxed()
    };
    let engine = Watched::default().engine(Listing::new(&backend, list), policy());
    let mut plan = engine.plan(AccountQuery::All).await.unwrap();
    for number in 1..=3 {
        let planned = plan.next().await.unwrap().unwrap();
        assert_eq!(planned.account.id, account(number));
    }
    assert!(plan.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_off_is_planned_up_to_there() {
    let backend = MemoryBackend::with_accounts(700);
    let accounts = accounts_of(&backend).await;
    let list = move || {
        let broken = BackendError::Unavailable(Problem::new("a page is missing"));
        let accounts = stream::iter(accounts.clone()).map(Ok);
        accounts.chain(stream::iter([Err(broken)])).boxed()
    };
    let engine = Watched::default().engine(Listing::new(&backend, list), policy());
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let planned: Vec<_> = plan.collect().await;
    assert_eq!(planned.len(), 701);
    assert!(planned[..700].iter().all(Result::is_ok));
    let last = planned[700].as_ref().unwrap_err().to_string();
    assert_eq!(last, "a page is missing");
}

#[tokio::test(start_paused = true)]
async fn an_account_listed_twice_at_once_has_drifted_both_times() {
    let world = World::new(2);
    world.run().await;
    for _ in 0..10 {
        world.backend.change_elsewhere(&account(1));
    }
    let accounts = accounts_of(&world.backend).await;
    let list = move || {
        let twice = accounts.clone().into_iter().chain(accounts.clone());
        stream::iter(twice).map(Ok).boxed()
    };
    let engine = world.engine_through(Arc::new(Listing::new(&world.backend, list)));
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let planned: Vec<_> = plan.try_collect().await.unwrap();
    let drifted: Vec<_> = planned.iter().map(|one| one.drifted.is_some()).collect();
    assert_eq!(drifted, [true, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_stops_the_plan_there_and_is_named() {
    let world = World::new(1_200);
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    world
        .store
        .inject(StoreFault::on(StoreOp::Read).skip(1).forever());
    let report = engine.run(plan).finish().await;
    let Some(StopReason::Unreadable { problem }) = &report.stopped else {
        panic!("{:?}", report.stopped);
    };
    assert!(problem.message.contains("store"), "{problem}");
    assert_eq!((report.rotated, report.failed), (CHUNK as u64, 0));
    world.assert_nothing_lost(1_200, "the store could not be read");
    // the last of the listing, which is sorted as text
    assert_eq!(world.store.versions_of(&world.key(999)), []);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_briefly_unavailable_does_not_stop_a_plan() {
    let world = World::new(1_200);
    let engine = world.engine();
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    world
        .store
        .inject(StoreFault::on(StoreOp::Read).skip(1).times(3));
    let report = engine.run(plan).finish().await;
    assert_eq!((report.rotated, report.stopped), (1_200, None));
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_dated_into_the_future_is_no_rotation_since() {
    for hours in [1, 24, 9_000] {
        let world = World::new(2);
        let ahead = Arc::new(Ahead(SignedDuration::from_hours(hours)));
        let early = world.engine().with_clock(ahead);
        let run = early.run(early.plan(AccountQuery::All).await.unwrap());
        assert_eq!(run.finish().await.rotated, 2);

        world.backend.inject(SetFault::answer_lost().forever());
        let report = world.run().await;
        assert_eq!(report.unsettled, 2, "{hours} h: {report:?}");
        world.backend.heal();
        let report = world.run().await;
        assert_eq!(report.rotated, 2, "{hours} h, unsettled: {report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_run_rotates_after_the_plan_began_is_left_to_it() {
    // whether the plan looks the account up before the other run commits it, or after
    for before in [true, false] {
        for drift in [Drift::Ignore, Drift::Report, Drift::Rotate] {
            let mut world = World::new(1);
            world.policy.drift = drift;
            let engine = world.engine();
            let mut plan = engine.plan(AccountQuery::All).await.unwrap();
            let first = match before {
                true => plan.next().await,
                false => None,
            };
            assert_eq!(world.run().await.rotated, 1);
            let tenant = PlanTenant {
                tenant: plan.tenant().clone(),
                caller: plan.caller().clone(),
            };
            let begun = plan.planned_at();
            let plan = Plan::new(tenant, begun, stream::iter(first).chain(plan));
            let report = engine.run(plan).finish().await;
            assert_eq!(report.left_to_others, 1, "{before} {drift:?}: {report:?}");
            assert_eq!(world.backend.attempts().len(), 1);
        }
    }
}
