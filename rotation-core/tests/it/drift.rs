//! What somebody else did to a password, and what was only another run of ours.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::testkit::{MemoryBackend, SetFault};
use rotation_core::{
    Account, AccountId, AccountQuery, Age, BackendError, Caller, Drift, Outcome, RotationBackend,
    SetPassword, Verify,
};

use crate::world::{World, account, plan_now};

/// Lists each account as it is when the listing comes to it, and takes its time to set a password.
struct Lazy(MemoryBackend);

#[async_trait]
impl RotationBackend for Lazy {
    fn name(&self) -> &'static str {
        "lazy"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.0.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let listed = self.0.accounts(query);
        let as_it_is = move |mut account: Account| async move {
            account.password_changed = self.0.password_changed(&account.id).await?;
            Ok(account)
        };
        listed.and_then(as_it_is).boxed()
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.0.set_password(request).await
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.0.password_changed(account).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_run_of_ours_changed_is_not_drift() {
    let mut world = World::new(3_000);
    world.policy.verify = Verify::Timestamp;
    assert_eq!(world.run().await.rotated, 3_000);
    let lazy = || world.engine_through(Arc::new(Lazy(world.backend.clone())));
    let (one, two) = (lazy(), lazy());
    let first = one.run(one.plan(AccountQuery::All).await.unwrap());
    let second = two.run(two.plan(AccountQuery::All).await.unwrap());
    let (first, second) = tokio::join!(first.finish(), second.finish());
    assert!(
        first.rotated > 0 && second.rotated > 0,
        "{first:?} {second:?}"
    );
    assert_eq!((first.drifted, second.drifted), (0, 0));
    world.assert_nothing_lost(3_000, "two runs");
}

#[tokio::test(start_paused = true)]
async fn what_another_run_has_under_way_is_not_drift() {
    let mut world = World::new(2);
    world.policy.exclude = vec!["user-2@memory.test".parse().unwrap()];
    assert_eq!(world.run().await.rotated, 1);
    // so that the clock of the directory goes on
    for _ in 0..7 {
        world.backend.change_elsewhere(&account(2));
    }
    let lazy = world.engine_through(Arc::new(Lazy(world.backend.clone())));
    let plan = lazy.plan(AccountQuery::All).await.unwrap();
    let applied = SetFault::answer_lost().hangs();
    world.backend.inject(applied);
    let mut other = Box::pin(world.run());
    let under_way = tokio::time::timeout(Duration::from_secs(1), &mut other).await;
    assert!(under_way.is_err(), "{under_way:?}");

    let (report, other) = tokio::join!(lazy.run(plan).finish(), other);
    assert_eq!(
        (report.drifted, report.left_to_others),
        (0, 1),
        "{report:?}"
    );
    assert_eq!((other.drifted, other.rotated), (0, 1), "{other:?}");
}

#[tokio::test(start_paused = true)]
async fn drift_that_another_run_saw_to_since_the_plan_is_not_told_again() {
    let mut world = World::new(1);
    assert_eq!(world.run().await.rotated, 1);
    world.policy.drift = Drift::Rotate;
    world.policy.max_age = Age::days(365_000);
    // a second each, and the first few may be our own
    for _ in 0..7 {
        world.backend.change_elsewhere(&account(1));
    }
    let engine = world.engine();
    let plan = plan_now(&engine).await;
    let told = world.run().await;
    assert_eq!((told.drifted, told.rotated), (1, 1), "{told:?}");

    let report = engine.run(plan).finish().await;
    assert_eq!(
        (report.drifted, report.left_to_others),
        (0, 1),
        "{report:?}"
    );
}
