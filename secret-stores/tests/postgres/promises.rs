//! The promises of the design that a store has to keep, by their names.

use std::fs;
use std::path::Path;

use futures::TryStreamExt;
use rotation_core::{SecretReader, SecretStore, Select, StoreError, VersionState};
use secret_stores::{Identities, PostgresReader};

use crate::cluster::Cluster;
use crate::workshop::{LOGIN, Workshop, lease, occurs, rotate, stage, version};

#[tokio::test]
async fn write_only_a_run_keeps_no_key_that_opens_what_it_staged() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    let new = version("hunter2-hunter2");
    lease(&store, &new).await;
    stage(&store, &new).await.unwrap();
    // With everything the run has, its login and its public key, it lists versions and reveals none.
    let reader = PostgresReader::open(shop.config(), Identities::none())
        .await
        .unwrap();
    let versions: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
    assert_eq!(versions[0].key, new.key);
    let revealed: Result<Vec<_>, _> = reader.reveal(Select::All).try_collect().await;
    assert!(matches!(revealed, Err(StoreError::Unusable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_no_password_occurs_in_what_the_server_keeps_logs_or_dumps() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    let store = shop.open().await;
    for number in 0..20 {
        let new = version(&format!("Secret-{number:04}-correct-horse"));
        rotate(&store, &new).await;
        let dropped = version(&format!("Secret-{number:04}-correct-horse"));
        lease(&store, &dropped).await;
        stage(&store, &dropped).await.unwrap();
        store.discard(&dropped.key).await.unwrap();
    }
    // A statement that fails is logged with its parameters.
    shop.sql("ALTER TABLE rotation.version ADD CHECK (position < 0) NOT VALID")
        .await;
    let failed = version("Secret-9999-correct-horse");
    lease(&store, &failed).await;
    let error = stage(&store, &failed).await.unwrap_err();
    let dump = cluster.dump(&shop.name);
    assert!(dump.contains("contoso.com"), "nothing was dumped");
    let log = cluster.log();
    assert!(
        occurs("INSERT INTO version", &log) && occurs("parameters: $1", &log),
        "nothing was logged"
    );
    assert_eq!(shop.reveal().await.unwrap().len(), 20);
    store.close().await;
    cluster.down();
    for secret in ["correct-horse", LOGIN] {
        for (what, bytes) in [
            ("dump", dump.as_bytes()),
            ("log", log.as_slice()),
            ("error", format!("{error:?} {error}").as_bytes()),
        ] {
            assert!(!occurs(secret, bytes), "{secret} in the {what}");
        }
        assert_absent(secret, &cluster.data());
    }
    cluster.up();
}

/// No file under `directory` holds `secret`: not the tables, and not the write-ahead log.
fn assert_absent(secret: &str, directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent(secret, &path);
        } else {
            assert!(
                !occurs(secret, &fs::read(&path).unwrap()),
                "{secret} in {}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn silent_debug_shows_a_place_and_nothing_else() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let (store, name) = (shop.open().await, &shop.name);
    let place = format!("schema rotation of Postgres database {name} at 127.0.0.1");
    assert_eq!(
        format!("{store:?}"),
        format!("PostgresStore {{ place: {place:?}, .. }}")
    );
    let reader = shop.reader().await;
    assert_eq!(
        format!("{reader:?}"),
        format!("PostgresReader {{ place: {place:?}, .. }}")
    );
    assert!(!format!("{:?}", shop.config()).contains(LOGIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flat_a_reader_who_stops_holds_nothing_up() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    let new = version("hunter2-hunter2");
    lease(&store, &new).await;
    let batch: Vec<_> = (0..3000)
        .map(|_| {
            crate::workshop::version_of(&crate::workshop::account(), new.run, "hunter2-hunter2")
        })
        .collect();
    assert!(store.stage(&batch).await.iter().all(Result::is_ok));
    // More readers than connections in the pool, each of which reads one version and then dawdles.
    let mut readers: Vec<_> = (0..20).map(|_| store.versions(Select::All)).collect();
    for reader in &mut readers {
        assert_eq!(
            reader.try_next().await.unwrap().unwrap().state,
            VersionState::Pending
        );
    }
    rotate(&store, &new).await;
    let rest: Vec<_> = readers.pop().unwrap().try_collect().await.unwrap();
    assert_eq!(rest.len(), 2999);
}
