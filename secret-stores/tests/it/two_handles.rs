//! What a handle must know of the work of others on the same file: it keeps this in memory, so it must follow them.

use std::time::Duration;

use jiff::Timestamp;
use rotation_core::{Commit, Lease, RunId, SecretStore, StoreError, TenantId, VersionState};

use crate::workshop::{
    HOUR, LATER, Workshop, account, commit, stage, stage_leased, states, version, version_by,
    version_of,
};

#[tokio::test]
async fn one_writer_an_account_belongs_to_the_run_of_another_handle() {
    let shop = Workshop::new();
    let (one, two) = (shop.open().await, shop.open().await);
    let account = account();
    // Both have looked at the file before.
    stage(&one, &version("a-password")).await.unwrap();
    stage(&two, &version("a-password")).await.unwrap();

    let first = version_of(&account, "first-password");
    stage(&one, &first).await.unwrap();
    let second = version_of(&account, "second-password");
    let answer = stage(&two, &second).await;
    assert!(
        matches!(&answer, Err(StoreError::Leased { run, lapses_in, .. })
            if *run == first.run && *lapses_in <= HOUR),
        "{answer:?}"
    );

    one.release(&first.lease()).await.unwrap();
    stage(&two, &second).await.unwrap();
    let answer = commit(&one, &first.key).await;
    assert!(matches!(answer, Err(StoreError::Fenced(_))), "{answer:?}");
    let answer = commit(&two, &second.key).await;
    assert!(matches!(answer, Err(StoreError::Fenced(_))), "{answer:?}");
    let expected = [
        (first.key.version, VersionState::Pending),
        (second.key.version, VersionState::Pending),
    ];
    assert_eq!(states(&one, &account).await, expected);
}

#[tokio::test]
async fn one_writer_a_pending_version_is_known_to_a_handle_that_is_opened_later() {
    let shop = Workshop::new();
    let first = version("first-password");
    let store = shop.open().await;
    stage(&store, &first).await.unwrap();
    store.close().await;

    let store = shop.open().await;
    let second = version_of(&first.key.account, "second-password");
    let answer = stage(&store, &second).await;
    assert!(
        matches!(answer, Err(StoreError::Leased { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn one_writer_a_commit_since_the_plan_is_known_however_it_is_learnt() {
    let shop = Workshop::new();
    let early = shop.open().await;
    // A handle that has begun to follow commits, and one that is opened after them.
    let run = RunId::new();
    stage(&early, &version_by(run, &account(), "a-password"))
        .await
        .unwrap();
    let account = account();
    let other = version_of(&account, "by-another-run");
    let store = shop.open().await;
    stage(&store, &other).await.unwrap();
    commit(&store, &other.key).await.unwrap();
    store.release(&other.lease()).await.unwrap();
    let late = shop.open().await;

    for store in [&early, &late, &store] {
        let before = version_by(run, &account, "a-password").with_planned_at(LATER);
        let answer = stage_leased(store, &before).await;
        assert!(
            matches!(&answer, Err(StoreError::RotatedSince { run, .. }) if *run == other.run),
            "{answer:?}"
        );
        // Long before anything that was looked at until now.
        let long_before = version_by(run, &account, "a-password").with_planned_at(Timestamp::MIN);
        let answer = stage_leased(store, &long_before).await;
        assert!(matches!(answer, Err(StoreError::RotatedSince { .. })));
    }
    let just_after = LATER + Duration::from_nanos(1);
    let after = version_by(run, &account, "a-password").with_planned_at(just_after);
    stage_leased(&early, &after).await.unwrap();
}

/// What was planned earlier than anything before may have been rotated by commits that nobody looked at until now.
#[tokio::test]
async fn one_writer_a_commit_long_ago_is_found_for_a_plan_of_long_ago() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let (other, run) = (version("by-another-run"), RunId::new());
    stage(&store, &other).await.unwrap();
    commit(&store, &other.key).await.unwrap();
    let days = |count: u64| LATER + Duration::from_secs(count * 24 * 60 * 60);
    let fresh = version_by(run, &account(), "a-password").with_planned_at(days(2));
    stage(&store, &fresh).await.unwrap();
    let stale = version_by(run, &other.key.account, "a-password").with_planned_at(LATER);
    let answer = stage_leased(&store, &stale).await;
    assert!(
        matches!(answer, Err(StoreError::RotatedSince { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn one_writer_a_runs_own_commits_do_not_stand_in_its_way() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let (run, account) = (RunId::new(), account());
    for _ in 0..3 {
        let version = version_by(run, &account, "a-password");
        stage(&store, &version).await.unwrap();
        commit(&store, &version.key).await.unwrap();
    }
}

/// Times are compared as times, though the file has them as text.
#[tokio::test]
async fn one_writer_commits_within_one_second_are_told_apart() {
    let times = [0, 1, 500_000_000, 500_000_001, 999_999_999];
    let times = times.map(|nanos| Timestamp::constant(1_700_000_100, nanos));
    for committed_at in times {
        let shop = Workshop::new();
        let store = shop.open().await;
        let other = version("by-another-run");
        stage(&store, &other).await.unwrap();
        store
            .commit(&[Commit::new(other.key.clone(), committed_at)])
            .await[0]
            .clone()
            .unwrap();
        for planned_at in times {
            let store = shop.open().await;
            let version = version_of(&other.key.account, "a-password").with_planned_at(planned_at);
            let answer = stage(&store, &version).await;
            let rotated = matches!(answer, Err(StoreError::RotatedSince { .. }));
            assert_eq!(
                rotated,
                committed_at >= planned_at,
                "{committed_at} {planned_at}"
            );
            store.discard(&version.key).await.unwrap();
            store.release(&version.lease()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_lapsed_lease_is_lost_until_it_is_released() {
    let shop = Workshop::new();
    let (one, two) = (shop.open().await, shop.open().await);
    let version = version("a-password");
    let lease = version.lease();
    one.lease(&lease, HOUR).await.unwrap();
    // A renewal counts from now, so this one ends it at once.
    two.lease(&lease, Duration::ZERO).await.unwrap();
    for store in [&one, &two] {
        let answer = store.lease(&lease, HOUR).await;
        assert!(
            matches!(answer, Err(StoreError::LeaseLost(_))),
            "{answer:?}"
        );
        let answer = stage_leased(store, &version).await;
        assert!(
            matches!(answer, Err(StoreError::LeaseLost(_))),
            "{answer:?}"
        );
    }
    two.release(&lease).await.unwrap();
    one.lease(&lease, HOUR).await.unwrap();
    stage_leased(&one, &version).await.unwrap();
}

#[tokio::test]
async fn a_lease_may_be_asked_for_longer_than_time_goes_on() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let version = version("a-password");
    store.lease(&version.lease(), Duration::MAX).await.unwrap();
    stage_leased(&store, &version).await.unwrap();
}

#[tokio::test]
async fn a_reader_tells_who_is_at_work() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let reader = shop.reader().await;
    let lease = |tenant| Lease {
        tenant: TenantId::new(tenant),
        run: RunId::new(),
    };
    let (alive, lapsed, released) = (lease("alive"), lease("lapsed"), lease("released"));
    store.lease(&alive, HOUR).await.unwrap();
    store.lease(&lapsed, Duration::ZERO).await.unwrap();
    store.lease(&released, HOUR).await.unwrap();
    store.release(&released).await.unwrap();
    let leases = reader.leases().await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].0, alive);
    assert!(leases[0].1 <= HOUR);
}

/// Files know of no tenant of their own: another tenant's accounts are other accounts, also under the same id.
#[tokio::test]
async fn a_file_from_another_tenant_is_simply_other_accounts() {
    let (shop, former) = Workshop::new().with_one_version().await;
    let store = shop.open().await;
    let mut account = former.key.account.clone();
    account.tenant = TenantId::new("another");
    let version = version_of(&account, "a-password").with_planned_at(Timestamp::UNIX_EPOCH);
    stage(&store, &version).await.unwrap();
    commit(&store, &version.key).await.unwrap();
    for key in [former.key, version.key] {
        let expected = [(key.version, VersionState::Current)];
        assert_eq!(states(&store, &key.account).await, expected);
    }
}
