//! Many runners on one store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use rotation_core::{
    AccountId, AccountKey, Commit, Lease, NewVersion, RunId, SecretStore, Select, StoreError,
    TenantId, VersionId, VersionState,
};
use secret_stores::PostgresStore;

use crate::cluster::Cluster;
use crate::workshop::{
    HOUR, LATER, Workshop, account, commit, lease, occurs, stage, version, version_of,
};

const RUNNERS: usize = 8;
const ACCOUNTS: usize = 2000;
const BATCH: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_writer_eight_runners_share_the_work_and_none_touches_what_another_has() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    // They open it at once: one of them makes the tables.
    let stores = join_all((0..RUNNERS).map(|_| shop.open())).await;
    let shares = join_all(
        stores
            .iter()
            .enumerate()
            .map(|(number, store)| run(store, number)),
    )
    .await;

    let mut owner = HashMap::new();
    for (number, share) in shares.iter().enumerate() {
        for key in share {
            assert_eq!(
                owner.insert(key.account.clone(), (number, key.version)),
                None,
                "{key:?}"
            );
        }
    }
    assert_eq!(owner.len(), ACCOUNTS);
    let counts: Vec<_> = shares.iter().map(Vec::len).collect();
    println!("{RUNNERS} runners, {ACCOUNTS} accounts, shares {counts:?}");
    assert!(
        counts.iter().filter(|count| **count > 0).count() > 1,
        "one of them did it all"
    );

    let found: HashMap<AccountKey, (VersionId, VersionState)> = stores[0]
        .versions(Select::All)
        .map_ok(|version| (version.key.account, (version.key.version, version.state)))
        .try_collect()
        .await
        .unwrap();
    let versions: Vec<_> = stores[0].versions(Select::All).try_collect().await.unwrap();
    assert_eq!(
        versions.len(),
        ACCOUNTS,
        "an account has more than one version"
    );
    for (account, (_, version)) in owner {
        assert_eq!(found[&account], (version, VersionState::Current));
    }
}

/// Goes through every account, from a place of its own on, and rotates those it gets.
async fn run(store: &PostgresStore, number: usize) -> Vec<rotation_core::VersionKey> {
    let run = RunId::new();
    let tenant = TenantId::new("contoso");
    let held = Lease {
        tenant: tenant.clone(),
        run,
    };
    store.lease(&held, HOUR).await.unwrap();
    let mut mine = Vec::new();
    // Half of them begin at the same account, so that they meet all the time.
    let first = ACCOUNTS / RUNNERS * (number / 2);
    for start in (0..ACCOUNTS).step_by(BATCH) {
        let batch: Vec<_> = (start..start + BATCH)
            .map(|at| {
                let account = AccountKey {
                    tenant: tenant.clone(),
                    account: AccountId::new(&format!("account-{}", (first + at) % ACCOUNTS)),
                };
                version_of(&account, run, "any-password")
            })
            .collect();
        let answers = store.stage(&batch).await;
        let staged: Vec<&NewVersion> = batch
            .iter()
            .zip(answers)
            .filter_map(|(new, answer)| match answer {
                Ok(()) => Some(new),
                Err(StoreError::Leased {
                    run: other,
                    lapses_in,
                    ..
                }) => {
                    assert!(other != run && lapses_in <= HOUR);
                    None
                }
                Err(StoreError::RotatedSince { run: other, .. }) => {
                    assert_ne!(other, run);
                    None
                }
                Err(error) => panic!("{error}"),
            })
            .collect();
        let commits: Vec<_> = staged
            .iter()
            .map(|new| Commit::new(new.key.clone(), LATER))
            .collect();
        for answer in store.commit(&commits).await {
            answer.unwrap();
        }
        mine.extend(staged.into_iter().map(|new| new.key.clone()));
    }
    store.release(&held).await.unwrap();
    mine
}

/// Accounts in opposite orders, in batches that overlap: with locks taken in the order asked, they would wait for each
/// other in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_opposite_orders_do_not_stand_in_each_others_way() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    let run = RunId::new();
    let accounts: Vec<_> = (0..200)
        .map(|_| version("any-password").key.account)
        .collect();
    let held = lease(&store, &version_of(&accounts[0], run, "any-password")).await;
    for _ in 0..10 {
        let batch = |accounts: Vec<&AccountKey>| -> Vec<_> {
            accounts
                .into_iter()
                .map(|account| version_of(account, run, "any-password"))
                .collect()
        };
        let (forth, back) = (
            batch(accounts.iter().collect()),
            batch(accounts.iter().rev().collect()),
        );
        let answers = join_all([store.stage(&forth), store.stage(&back)]).await;
        assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
        let commits = |batch: &[NewVersion]| -> Vec<_> {
            batch
                .iter()
                .map(|new| Commit::new(new.key.clone(), LATER))
                .collect()
        };
        let (forth, back) = (commits(&forth), commits(&back));
        let answers = join_all([store.commit(&forth), store.commit(&back)]).await;
        for answer in answers.into_iter().flatten() {
            assert!(
                matches!(answer, Ok(()) | Err(StoreError::NotPending(_))),
                "{answer:?}"
            );
        }
    }
    // Nor did the server have to break a circle, after which the store would have tried again.
    assert!(!occurs("deadlock detected", &cluster.log()));
    store.release(&held).await.unwrap();
}

/// A claim waits for another transaction no longer than that one takes, and never for a client.
#[tokio::test]
async fn a_runner_that_hangs_keeps_no_account_locked() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    let version = version("any-password");
    lease(&store, &version).await;
    stage(&store, &version).await.unwrap();
    // Somebody locks the account and goes to sleep over it.
    let sleeper = cluster.admin(&shop.name).await;
    sleeper
        .batch_execute("BEGIN; SELECT FROM rotation.account FOR UPDATE")
        .await
        .unwrap();
    let hasty = shop
        .open_with(shop.config().with_timeout(Duration::from_secs(1)))
        .await
        .unwrap();
    let late = commit(&hasty, &version).await;
    assert!(
        matches!(late, Err(StoreError::Unavailable { .. })),
        "{late:?}"
    );
    sleeper.batch_execute("ROLLBACK").await.unwrap();
    commit(&hasty, &version).await.unwrap();
}

/// A renewal that was judged in time and is not committed yet keeps its lease: a run that would take over waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_a_renewal_under_way_is_waited_for_by_who_would_take_over() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = Arc::new(shop.open().await);
    for committed in [true, false] {
        let first = version("any-password");
        let held = lease(&store, &first).await;
        stage(&store, &first).await.unwrap();
        let other = version_of(&first.key.account, RunId::new(), "any-password");
        let own = version_of(&account(), first.run, "any-password");
        lease(&store, &other).await;
        let of_first = format!("WHERE run = '{}'", first.run);
        shop.sql(&format!(
            "UPDATE rotation.lease SET lapses_at = clock_timestamp() {of_first}"
        ))
        .await;
        let renewal = cluster.admin(&shop.name).await;
        renewal
            .batch_execute(&format!(
                "BEGIN; UPDATE rotation.lease SET lapses_at = clock_timestamp() + interval '1 hour' {of_first}"
            ))
            .await
            .unwrap();

        let staging = [&other, &own].map(|new| {
            let (store, new) = (Arc::clone(&store), new.clone());
            tokio::spawn(async move { stage(&store, &new).await })
        });
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let admin = cluster.admin(&shop.name).await;
        while staging.iter().any(|task| !task.is_finished()) {
            let row = admin.query_one(waiting, &[]).await.unwrap();
            if row.get::<_, i64>(0) == 2 {
                break;
            }
        }
        let end = if committed { "COMMIT" } else { "ROLLBACK" };
        renewal.batch_execute(end).await.unwrap();

        let [others, owns] = staging;
        let (others, owns) = (others.await.unwrap(), owns.await.unwrap());
        let renewed = store.lease(&held, HOUR).await;
        if committed {
            assert!(
                matches!(&others, Err(StoreError::Leased { run, .. }) if *run == first.run),
                "{others:?}"
            );
            assert!(owns.is_ok() && renewed.is_ok(), "{owns:?} {renewed:?}");
        } else {
            others.unwrap();
            for lost in [owns, renewed] {
                assert!(
                    matches!(&lost, Err(StoreError::LeaseLost(of)) if *of == held),
                    "{lost:?}"
                );
            }
        }
    }
}
