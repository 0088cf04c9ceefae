//! A server that is killed, shut down, or turned into a standby under a store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use rotation_core::{SecretStore, StoreError, VersionId, VersionState};
use secret_stores::PostgresStore;
use tokio::task::block_in_place;

use crate::cluster::Cluster;
use crate::workshop::{
    HOUR, Workshop, commit, is_unavailable, lease, rotate, stage, states, version,
};

const KILLS: u64 = 12;
const WORKERS: usize = 8;

/// What a worker was answered with `Ok`, by version.
type Answers = Mutex<HashMap<VersionId, VersionState>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_lost_whatever_was_answered_survives_a_kill_of_the_server() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    let store = Arc::new(shop.open().await);
    let (answers, over) = (
        Arc::new(Answers::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            tokio::spawn(work(
                Arc::clone(&store),
                Arc::clone(&answers),
                Arc::clone(&over),
            ))
        })
        .collect();
    for kill in 0..KILLS {
        // Each life has its answers, and ends in the midst of more.
        let before = answers.lock().unwrap().len();
        while answers.lock().unwrap().len() < before + 40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * kill)).await;
        block_in_place(|| {
            cluster.kill();
            cluster.up();
        });
    }
    over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }

    let answers = std::mem::take(&mut *answers.lock().unwrap());
    let committed = answers
        .values()
        .filter(|state| **state == VersionState::Current)
        .count();
    println!(
        "{KILLS} kills, {} versions answered for, {committed} of them committed",
        answers.len()
    );
    assert!(committed > 100, "only {committed} commits");
    let revealed = shop.reveal().await.unwrap();
    let found: HashMap<_, _> = revealed
        .iter()
        .map(|(version, password)| {
            assert_eq!(password.expose(), version.key.account.account.as_str());
            (version.key.version, version.state)
        })
        .collect();
    for (version, answered) in answers {
        let state = found
            .get(&version)
            .unwrap_or_else(|| panic!("{version}: lost"));
        // A commit whose answer was lost may have been made.
        assert!(
            *state == answered || *state == VersionState::Current,
            "{version}: {state:?}"
        );
    }
}

/// Stages and commits accounts of its own until it is over.
async fn work(store: Arc<PostgresStore>, answers: Arc<Answers>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let mut new = version("to be replaced");
        // The account's id is its password, so that a wrong one is seen.
        let text = new.key.account.account.as_str().to_owned();
        new.password = Arc::new(rotation_core::Password::new(text.into()));
        let id = new.key.version;
        let answer = async {
            store.lease(&new.lease(), HOUR).await?;
            stage(&store, &new).await?;
            answers.lock().unwrap().insert(id, VersionState::Pending);
            commit(&store, &new).await?;
            answers.lock().unwrap().insert(id, VersionState::Current);
            Ok::<_, StoreError>(())
        };
        if let Err(error) = answer.await {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_no_writes_and_can_be_read() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    let store = shop.open().await;
    let (old, new) = (version("old-password"), version("new-password"));
    rotate(&store, &old).await;
    lease(&store, &new).await;

    block_in_place(|| {
        cluster.down();
        cluster.set_standby(true);
        cluster.up();
    });
    // The connections from before are gone, and the server there now is not the one to write to.
    for _ in 0..3 {
        let answer = stage(&store, &new).await;
        assert!(is_unavailable(&answer), "{answer:?}");
    }
    let Err(StoreError::Unavailable { problem, .. }) = stage(&store, &new).await else {
        panic!("expected Unavailable");
    };
    assert!(
        problem.message.contains("does not allow writes"),
        "{problem}"
    );
    assert_eq!(shop.reveal().await.unwrap()[0].1.expose(), "old-password");

    block_in_place(|| cluster.set_standby(false));
    stage(&store, &new).await.unwrap();
    commit(&store, &new).await.unwrap();
    assert_eq!(
        states(&store, &new.key.account).await,
        [VersionState::Current]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_outlives_its_connections() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    // Several at once, so that the pool holds several.
    let versions: Vec<_> = (0..8).map(|_| version("any-password")).collect();
    join_all(versions.iter().map(|version| rotate(&store, version))).await;
    shop.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    let answers = join_all(versions.iter().map(|version| commit(&store, version))).await;
    for answer in &answers {
        assert!(answer.is_ok() || is_unavailable(answer), "{answer:?}");
    }
    for version in &versions {
        commit(&store, version).await.unwrap();
    }
}
