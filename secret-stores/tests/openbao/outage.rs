//! A server that is sealed, killed and started again while runs are at work.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::{join, join_all};
use rotation_core::{
    AccountKey, NewVersion, SecretStore, Select, StoreError, VersionId, VersionState,
};
use secret_stores::OpenBaoStore;

use crate::server::Server;
use crate::workshop::{HOUR, Workshop, account, commit, fix, stage, tenant};

/// How many runs' worth of calls are under way at once, and how often the server goes away beneath them.
const WORKERS: usize = 8;
const OUTAGES: usize = 6;

/// What one worker was told.
#[derive(Default)]
struct Told {
    staged: Vec<NewVersion>,
    committed: Vec<VersionId>,
    discarded: Vec<VersionId>,
    refused: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_what_was_answered_outlives_a_server_sealed_or_killed_in_the_middle() {
    let Some(server) = Server::durable().await else {
        return;
    };
    let shop = Workshop::sealed(&server).await;
    let store = shop.leased().await;
    let over = AtomicBool::new(false);
    let outages = async {
        for round in 0..OUTAGES {
            tokio::time::sleep(Duration::from_millis(300 + 150 * round as u64)).await;
            if round.is_multiple_of(2) {
                server.crash().await;
            } else {
                server.seal().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                server.unseal().await;
            }
        }
        over.store(true, Ordering::Relaxed);
    };
    let workers = join_all((0..WORKERS).map(|_| work(&shop, &store, &over)));
    let (told, ()) = join(workers, outages).await;

    let revealed: HashMap<_, _> = shop
        .revealed()
        .await
        .into_iter()
        .map(|(version, password)| (version.key.version, (version.state, password)))
        .collect();
    let (mut staged, mut refused) = (0, 0);
    for worker in &told {
        refused += worker.refused;
        for new in &worker.staged {
            let id = new.key.version;
            if worker.discarded.contains(&id) {
                assert!(
                    !revealed.contains_key(&id),
                    "{id} was discarded and is there"
                );
                continue;
            }
            let (state, password) = &revealed[&id];
            assert_eq!(password.expose(), new.password.expose());
            if worker.committed.contains(&id) {
                assert_ne!(*state, VersionState::Pending, "{id} was committed");
            }
            staged += 1;
        }
    }
    // The versions that are pending are those that are found as pending, whatever happened on the way.
    let mut pending: Vec<_> = revealed
        .iter()
        .filter(|(_, (state, _))| *state == VersionState::Pending)
        .map(|(id, _)| *id)
        .collect();
    let found: Vec<_> = store
        .versions(Select::Pending(tenant()))
        .try_collect()
        .await
        .unwrap();
    let mut found: Vec<_> = found.iter().map(|version| version.key.version).collect();
    pending.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, pending);
    println!("{staged} versions kept over {OUTAGES} outages, {refused} calls failed in them");
    assert!(staged > 0 && refused > 0);
}

async fn work(shop: &Workshop<'_>, store: &OpenBaoStore, over: &AtomicBool) -> Told {
    let mut told = Told::default();
    let mut account: AccountKey = account();
    let mut count = 0_usize;
    while !over.load(Ordering::Relaxed) {
        count += 1;
        if count.is_multiple_of(3) {
            account = crate::workshop::account();
        }
        let new = shop.version(&account, &format!("password-{}", VersionId::new()));
        // Again and again until it is answered, as the engine does.
        if !answered(&mut told, over, async || stage(store, &new).await).await {
            break;
        }
        told.staged.push(new.clone());
        if count.is_multiple_of(5) {
            if answered(&mut told, over, async || store.discard(&new.key).await).await {
                told.discarded.push(new.key.version);
            }
        } else if answered(&mut told, over, async || commit(store, &new).await).await {
            told.committed.push(new.key.version);
        }
    }
    told
}

/// Whether `call` succeeded before it was over.
async fn answered(
    told: &mut Told,
    over: &AtomicBool,
    call: impl AsyncFn() -> Result<(), StoreError>,
) -> bool {
    loop {
        match call().await {
            Ok(()) => return true,
            Err(StoreError::Unavailable { .. }) => told.refused += 1,
            Err(error) => panic!("not an outage: {error:?}"),
        }
        if over.load(Ordering::Relaxed) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_sealed_server_and_one_that_is_not_there_are_told_apart() {
    let Some(server) = Server::durable().await else {
        return;
    };
    let shop = Workshop::new(&server).await;
    let store = shop.leased().await;
    let version = shop.version(&account(), "hunter2-hunter2");
    stage(&store, &version).await.unwrap();

    server.seal().await;
    let answers = [
        stage(&store, &version).await,
        commit(&store, &version).await,
        store.discard(&version.key).await,
        store.lease(&shop.lease(), HOUR).await,
        store.prune(&Select::All, 0).await.map(|_| ()),
        store
            .versions(Select::All)
            .try_collect::<Vec<_>>()
            .await
            .map(|_| ()),
        OpenBaoStore::open(shop.config()).await.map(|_| ()),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(fix(&error).contains("unseal the server"), "{}", fix(&error));
    }
    server.unseal().await;
    commit(&store, &version).await.unwrap();

    let address = server.address.clone();
    let (config, lease) = (shop.config(), shop.lease());
    drop(server);
    let error = store.lease(&lease, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(
        fix(&error).contains("check the server, the network"),
        "{}",
        fix(&error)
    );
    let error = OpenBaoStore::open(config).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable { .. }),
        "{address}: {error:?}"
    );
}
