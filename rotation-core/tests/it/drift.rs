//! What somebody else did to a password, and what was only another run of ours.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::testkit::MemoryBackend;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Outcome, RotationBackend, SetPassword,
    Verify,
};

use crate::world::World;

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
