//! Verification takes its turn with the other requests, and bears a directory that is unavailable for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::testkit::MemoryBackend;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, EngineOptions, Outcome, Password,
    Problem, RotationBackend, SetPassword, SignIn, Verify,
};

use crate::world::World;

/// Takes its time for whatever verification asks, and counts how much of that it is asked at once.
struct Asked {
    inner: MemoryBackend,
    /// Which read of a change time it is unavailable for, from 0.
    unavailable: Option<usize>,
    reads: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Asked {
    fn of(world: &World, unavailable: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            inner: world.backend.clone(),
            unavailable,
            reads: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    async fn ask(&self) {
        let under_way = self.under_way.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(under_way, Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.under_way.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl RotationBackend for Asked {
    fn name(&self) -> &'static str {
        "asked"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.inner.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        self.inner.accounts(query)
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        self.inner.set_password(request).await
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.ask().await;
        if Some(self.reads.fetch_add(1, Relaxed)) == self.unavailable {
            return Err(BackendError::Unavailable(Problem::new("503")));
        }
        self.inner.password_changed(account).await
    }

    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        self.ask().await;
        self.inner.signs_in(account, password).await
    }
}

#[tokio::test(start_paused = true)]
async fn verification_asks_no_more_at_once_than_the_engine_may() {
    for verify in [Verify::Timestamp, Verify::SignIn] {
        let mut world = World::new(200);
        world.policy.verify = verify;
        let asked = Asked::of(&world, None);
        let options = EngineOptions {
            concurrency: 4,
            ..EngineOptions::default()
        };
        let backend = Arc::<Asked>::clone(&asked);
        let engine = world.engine_through(backend).with_options(options);
        let plan = engine.plan(AccountQuery::All).await.unwrap();
        let report = engine.run(plan).finish().await;
        assert_eq!(report.rotated, 200, "{verify:?}: {report:?}");
        assert_eq!(asked.most.load(Relaxed), 4, "{verify:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_time_that_is_unavailable_once_fails_neither_an_account_nor_a_canary() {
    for verify in [Verify::Timestamp, Verify::SignIn] {
        // each read of the canaries, and some later ones
        for unavailable in (0..12).chain([30, 60]) {
            let mut world = World::new(50);
            world.policy.verify = verify;
            world.policy.canary = 5;
            world.policy.max_failures = "0".parse().unwrap();
            let asked = Asked::of(&world, Some(unavailable));
            let engine = world.engine_through(asked);
            let plan = engine.plan(AccountQuery::All).await.unwrap();
            let report = engine.run(plan).finish().await;
            let found = (report.rotated, report.failed, &report.stopped);
            assert_eq!(found, (50, 0, &None), "{verify:?}, read {unavailable}");
        }
    }
}
