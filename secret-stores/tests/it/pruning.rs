//! Previous versions that are dropped: gone from the file, with everything else as it was.

use futures::TryStreamExt;
use rotation_core::{AccountKey, RunId, SecretStore, Select, StoreError, VersionId, VersionState};
use rusqlite::Connection;
use secret_stores::SqliteStore;

use crate::workshop::{
    HOUR, Workshop, account, commit, contents, stage, stage_leased, states, version, version_by,
    version_of,
};

/// Commits that many versions of `account`, one after the other, and names them.
async fn rotate(store: &SqliteStore, account: &AccountKey, times: usize) -> Vec<VersionId> {
    let run = RunId::new();
    let mut versions = Vec::new();
    for number in 0..times {
        let version = version_by(run, account, &format!("password-{number}"));
        stage(store, &version).await.unwrap();
        commit(store, &version.key).await.unwrap();
        versions.push(version.key.version);
    }
    versions
}

fn sealed(connection: &Connection, version: VersionId) -> Vec<u8> {
    connection
        .query_row(
            "SELECT sealed FROM log WHERE version = ?1",
            [version.as_bytes()],
            |row| row.get(0),
        )
        .unwrap()
}

fn occurs(shop: &Workshop, bytes: &[u8]) -> bool {
    contents(shop.directory.path())
        .iter()
        .any(|(_, file)| file.windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test]
async fn what_is_pruned_is_gone_from_every_file_of_the_store() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let account = account();
    let versions = rotate(&store, &account, 6).await;
    let sealed: Vec<_> = {
        let connection = shop.sqlite();
        let sealed = |version: &VersionId| sealed(&connection, *version);
        versions.iter().map(sealed).collect()
    };
    assert!(sealed.iter().all(|bytes| occurs(&shop, bytes)));

    let pruned = store.prune(&Select::All, 2).await.unwrap();
    assert_eq!(pruned, 3);
    for (number, bytes) in sealed.iter().enumerate() {
        assert_eq!(occurs(&shop, bytes), number >= 3, "version {number}");
    }
    let revealed = shop.reveal().await.unwrap();
    let passwords: Vec<_> = revealed
        .iter()
        .map(|(_, password)| password.expose())
        .collect();
    assert_eq!(passwords, ["password-3", "password-4", "password-5"]);
    // The rows that committed what is gone are gone too.
    let rows: i64 = shop
        .sqlite()
        .query_row("SELECT count(*) FROM log", (), |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 6);
}

/// Its id stays known, so that staging it again, late, does not bring it back.
#[tokio::test]
async fn the_password_of_a_discarded_version_is_erased_where_it_is_selected() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let [one, two, kept] = ["one-password", "two-password", "kept-password"].map(version);
    for version in [&one, &two, &kept] {
        stage(&store, version).await.unwrap();
    }
    for version in [&one, &two] {
        store.discard(&version.key).await.unwrap();
    }
    let sealed = {
        let connection = shop.sqlite();
        [&one, &two, &kept].map(|version| sealed(&connection, version.key.version))
    };
    let found = || sealed.each_ref().map(|bytes| occurs(&shop, bytes));

    let pending = Select::Pending(one.key.account.tenant.clone());
    assert_eq!(store.prune(&pending, 9).await.unwrap(), 0);
    assert_eq!(found(), [true, true, true]);
    let select = Select::Account(one.key.account.clone());
    assert_eq!(store.prune(&select, 9).await.unwrap(), 0);
    assert_eq!(found(), [false, true, true]);
    assert_eq!(store.prune(&Select::All, 9).await.unwrap(), 0);
    assert_eq!(found(), [false, false, true]);

    let revealed = shop.reveal().await.unwrap();
    assert_eq!(revealed.len(), 1);
    assert_eq!(revealed[0].1.expose(), "kept-password");
    for store in [store, shop.open().await] {
        let answer = stage_leased(&store, &one).await;
        assert!(
            matches!(answer, Err(StoreError::NotPending(_))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn pending_and_current_versions_are_never_pruned() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let (account, run) = (account(), RunId::new());
    let [older, current, newer] = [1, 2, 3].map(|_| version_by(run, &account, "a-password"));
    for version in [&older, &current, &newer] {
        stage(&store, version).await.unwrap();
    }
    commit(&store, &current.key).await.unwrap();
    assert_eq!(store.prune(&Select::All, 0).await.unwrap(), 1);
    let expected = [
        (current.key.version, VersionState::Current),
        (newer.key.version, VersionState::Pending),
    ];
    assert_eq!(states(&store, &account).await, expected);
    assert_eq!(store.prune(&Select::All, 0).await.unwrap(), 0);
}

#[tokio::test]
async fn only_what_is_selected_is_pruned() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let (one, two) = (account(), account());
    rotate(&store, &one, 3).await;
    rotate(&store, &two, 3).await;
    let pending = Select::Pending(one.tenant.clone());
    assert_eq!(store.prune(&pending, 0).await.unwrap(), 0);
    let select = Select::Account(one.clone());
    assert_eq!(store.prune(&select, 1).await.unwrap(), 1);
    assert_eq!(states(&store, &one).await.len(), 2);
    assert_eq!(states(&store, &two).await.len(), 3);
}

#[tokio::test]
async fn what_was_pruned_can_neither_be_committed_nor_discarded() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let account = account();
    let mut versions = rotate(&store, &account, 2).await;
    store.prune(&Select::All, 0).await.unwrap();
    let key = rotation_core::VersionKey {
        account,
        version: versions.remove(0),
    };
    let answer = commit(&store, &key).await;
    assert!(matches!(answer, Err(StoreError::NotPending(_))));
    store.discard(&key).await.unwrap();
}

/// A version that fences and is fenced leaves three rows.
#[tokio::test]
async fn a_contested_version_is_pruned_with_all_its_rows() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let account = account();
    let (one, two) = (
        version_of(&account, "first-password"),
        version_of(&account, "second-password"),
    );
    stage(&store, &one).await.unwrap();
    store.release(&one.lease()).await.unwrap();
    stage(&store, &two).await.unwrap();
    for key in [&one.key, &two.key] {
        assert!(commit(&store, key).await.is_err());
    }
    let three = version_by(two.run, &account, "third-password");
    stage(&store, &three).await.unwrap();
    commit(&store, &three.key).await.unwrap();
    assert_eq!(store.prune(&Select::All, 0).await.unwrap(), 2);
    let expected = [(three.key.version, VersionState::Current)];
    assert_eq!(states(&store, &account).await, expected);
    let rows: i64 = shop
        .sqlite()
        .query_row("SELECT count(*) FROM log", (), |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}

/// Pruning goes on while two handles rotate: the log stays sound, and nothing else is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_pruning_disturbs_no_writer() {
    let shop = Workshop::new();
    let (one, two, pruner) = (shop.open().await, shop.open().await, shop.open().await);
    let work = async |store: &SqliteStore| {
        let (run, account) = (RunId::new(), account());
        let lease = version_by(run, &account, "").lease();
        store.lease(&lease, HOUR).await.unwrap();
        let mut last = None;
        for number in 0..150 {
            let version = version_by(run, &account, &format!("password-{number}"));
            stage_leased(store, &version).await.unwrap();
            commit(store, &version.key).await.unwrap();
            last = Some(version.key);
        }
        last.unwrap()
    };
    let prune = async {
        let mut pruned = 0;
        for _ in 0..20 {
            pruned += pruner.prune(&Select::All, 1).await.unwrap();
        }
        pruned
    };
    let (first, second, mut pruned) = tokio::join!(work(&one), work(&two), prune);
    pruned += pruner.prune(&Select::All, 1).await.unwrap();
    assert_eq!(pruned, 2 * 148);
    for last in [first, second] {
        let states = states(&one, &last.account).await;
        assert_eq!(states.len(), 2);
        assert_eq!(states[1], (last.version, VersionState::Current));
    }
    // A handle that knows nothing yet finds a sound log.
    let all: Vec<_> = shop
        .open()
        .await
        .versions(Select::All)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 4);
}
