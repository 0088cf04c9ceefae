//! A file of version 1, written by the program of that version: every row is kept, and read before and after.

use std::fs;

use futures::TryStreamExt;
use rotation_core::{
    Origin, Password, SecretReader, SecretStore, Select, StoreError, Version, VersionState,
};
use secret_stores::{Identities, Recipients, SqliteReader, SqliteStore, keygen};

use crate::workshop::{Workshop, commit, stage, version_of};

const FILE: &[u8] = include_bytes!("fixtures/v1.db");
const IDENTITIES: &str = include_str!("fixtures/v1.key");

/// What is in it; a version in the midst was discarded.
const VERSIONS: [(&str, &str, VersionState); 5] = [
    ("ada", "ada-previous", VersionState::Previous),
    ("ada", "ada-overtaken", VersionState::Previous),
    ("ada", "ada-current", VersionState::Current),
    ("ada", "ada-pending", VersionState::Pending),
    ("bob", "bob-pending", VersionState::Pending),
];

fn workshop() -> Workshop {
    let shop = Workshop::new();
    fs::write(&shop.path, FILE).unwrap();
    shop
}

async fn reveal(shop: &Workshop) -> Vec<(Version, Password)> {
    let identities = Identities::parse(IDENTITIES).unwrap();
    let reader = SqliteReader::open(&shop.path, identities).await.unwrap();
    reader.reveal(Select::All).try_collect().await.unwrap()
}

fn assert_complete(revealed: &[(Version, Password)]) {
    let found: Vec<_> = revealed
        .iter()
        .map(|(version, password)| {
            let account = version.key.account.account.as_str();
            (account, password.expose(), version.state)
        })
        .collect();
    assert_eq!(found, VERSIONS);
    for (version, _) in revealed {
        assert_eq!(version.origin, Origin::default());
        assert_eq!(version.committed, None);
    }
}

fn file_version(shop: &Workshop) -> i32 {
    shop.sqlite()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn a_reader_takes_a_file_of_version_1_as_it_is() {
    let shop = workshop();
    assert_complete(&reveal(&shop).await);
    let reader = shop.reader().await;
    assert!(reader.leases().await.unwrap().is_empty());
    assert!(fs::read(&shop.path).unwrap() == FILE);
}

#[tokio::test]
async fn never_lost_a_file_of_version_1_keeps_every_row() {
    let shop = workshop();
    let before = reveal(&shop).await;
    let discarded = {
        let sql = "SELECT version FROM log WHERE seq = 5";
        let id = shop.sqlite().query_row(sql, (), |row| row.get(0)).unwrap();
        rotation_core::VersionId::from_bytes(id)
    };
    let store = shop.open().await;
    assert_eq!(file_version(&shop), 2);
    let after = reveal(&shop).await;
    assert_complete(&after);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.0, after.0);
    }

    // The id of what version 1 discarded is not used again.
    let mut again = version_of(&before[0].0.key.account, "ada-again");
    again.key.version = discarded;
    again.run = before[0].0.run;
    let answer = stage(&store, &again).await;
    assert!(
        matches!(answer, Err(StoreError::NotPending(_))),
        "{answer:?}"
    );

    store.release(&again.lease()).await.unwrap();

    // What it left pending can be committed, or be settled by another run.
    let [.., (ada, _), (bob, _)] = after.as_slice() else {
        panic!("{after:?}");
    };
    commit(&store, &ada.key).await.unwrap();
    let settling = version_of(&bob.key.account, "bob-settled");
    stage(&store, &settling).await.unwrap();
    commit(&store, &settling.key).await.unwrap();
    let answer = commit(&store, &bob.key).await;
    assert!(matches!(answer, Err(StoreError::Fenced(_))), "{answer:?}");
    store.close().await;
}

/// It is stopped before it stages what no lease covers.
#[tokio::test]
async fn a_program_of_version_1_that_still_runs_stages_nothing_more() {
    let shop = workshop();
    shop.open().await.close().await;
    let file = shop.sqlite();
    let staged = "INSERT INTO log (event, tenant, account, version, run, staged_at, user_name, data_key, sealed)
                  VALUES ('staged', 't', 'a', randomblob(16), randomblob(16), '2026-01-01T00:00:00Z', 'a@t', 1, x'00')";
    assert!(file.execute(staged, ()).is_err());
    let committed = "INSERT INTO log (event, tenant, account, staged)
                     SELECT 'committed', tenant, account, seq FROM log WHERE seq = 6";
    file.execute(committed, ()).unwrap();
    let states: Vec<_> = reveal(&shop)
        .await
        .into_iter()
        .map(|(version, _)| version.state)
        .collect();
    assert_eq!(states[3], VersionState::Current);
}

#[tokio::test]
async fn many_may_migrate_the_same_file_at_once() {
    let shop = workshop();
    let recipients = Recipients::parse([keygen().public]).unwrap();
    let open = || SqliteStore::open(&shop.path, &recipients);
    let stores = futures::future::join_all((0..8).map(|_| open())).await;
    for store in stores {
        store.unwrap().close().await;
    }
    assert_complete(&reveal(&shop).await);
}

#[tokio::test]
async fn what_version_1_wrote_is_pruned_like_anything_else() {
    let shop = workshop();
    let store = shop.open().await;
    assert_eq!(store.prune(&Select::All, 0).await.unwrap(), 2);
    let left = reveal(&shop).await;
    let passwords: Vec<_> = left.iter().map(|(_, password)| password.expose()).collect();
    assert_eq!(passwords, ["ada-current", "ada-pending", "bob-pending"]);
}
