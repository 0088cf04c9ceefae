//! The promises of the design that a store has to keep, by their names.

use futures::TryStreamExt;
use futures::future::join_all;
use rotation_core::{RunId, SecretStore, Select, StoreError, VersionState};
use secret_stores::{Identities, SqliteReader};

use crate::workshop::{
    HOUR, Workshop, account, commit, contents, occurs, stage, stage_all, version, version_by,
};

#[tokio::test]
async fn write_only_a_run_keeps_no_key_that_opens_what_it_staged() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let version = version("hunter2-hunter2");
    stage(&store, &version).await.unwrap();
    // With everything the run has, its file and its public key, it lists versions and reveals none.
    let reader = SqliteReader::open(&shop.path, Identities::none())
        .await
        .unwrap();
    let versions: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
    assert_eq!(versions[0].key, version.key);
    let revealed: Result<Vec<_>, _> = rotation_core::SecretReader::reveal(&reader, Select::All)
        .try_collect()
        .await;
    assert!(matches!(revealed, Err(StoreError::Unusable(_))));
}

#[tokio::test]
async fn silent_no_password_occurs_in_any_file_of_the_store() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let passwords: Vec<_> = (0..50)
        .map(|n| format!("Secret-{n:04}-correct-horse"))
        .collect();
    let batch: Vec<_> = passwords.iter().map(|password| version(password)).collect();
    stage_all(&store, &batch).await;
    for version in &batch {
        commit(&store, &version.key).await.unwrap();
    }
    // While the log is beside the database, and after it was folded in.
    for files in [contents(shop.directory.path()), {
        store.close().await;
        contents(shop.directory.path())
    }] {
        for (path, bytes) in files {
            assert!(!occurs("correct-horse", &bytes), "{}", path.display());
        }
    }
    assert_eq!(shop.reveal().await.unwrap().len(), 50);
}

#[tokio::test]
async fn silent_debug_shows_a_path_and_nothing_else() {
    let (shop, _) = Workshop::new().with_one_version().await;
    let store = shop.open().await;
    let reader = shop.reader().await;
    let path = shop.path.canonicalize().unwrap();
    assert_eq!(
        format!("{store:?}"),
        format!("SqliteStore {{ path: {path:?}, .. }}")
    );
    assert_eq!(
        format!("{reader:?}"),
        format!("SqliteReader {{ path: {path:?}, .. }}")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durable_before_applied_an_answer_means_another_reader_sees_it() {
    let shop = Workshop::new();
    let store = shop.open().await;
    join_all((0..200).map(async |_| {
        let version = version("hunter2-hunter2");
        stage(&store, &version).await.unwrap();
        let select = Select::Account(version.key.account.clone());
        let seen: Vec<_> = shop
            .reader()
            .await
            .versions(select)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(seen.len(), 1);
    }))
    .await;
}

#[tokio::test]
async fn never_lost_what_was_handed_over_is_written_after_the_store_is_dropped() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let batch: Vec<_> = (0..100).map(|_| version("hunter2-hunter2")).collect();
    stage_all(&store, &batch).await;
    let commits = batch
        .iter()
        .map(|version| Box::pin(commit(&store, &version.key)));
    // Polled once, so that each is handed over, and dropped before the answer.
    let mut commits: Vec<_> = commits.collect();
    for commit in &mut commits {
        drop(futures::poll!(commit));
    }
    drop(commits);
    store.close().await;
    let versions: Vec<_> = shop
        .reader()
        .await
        .versions(Select::All)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(versions.len(), 100);
    assert!(
        versions
            .iter()
            .all(|version| version.state == VersionState::Current)
    );
}

#[tokio::test]
async fn never_lost_a_failed_write_leaves_what_was_there_and_the_store_goes_on() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let account = account();
    let run = RunId::new();
    let first = version_by(run, &account, "first-password");
    stage(&store, &first).await.unwrap();

    // Another process changes the file so that no row can be appended, as a full disk would.
    let other = shop.sqlite();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT raise(ABORT, 'full'); END",
        )
        .unwrap();
    let second = version_by(run, &account, "second-password");
    let error = stage(&store, &second).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let answer = commit(&store, &first.key).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })));

    other.execute_batch("DROP TRIGGER full").unwrap();
    stage(&store, &second).await.unwrap();
    commit(&store, &first.key).await.unwrap();
    let states: Vec<_> = shop.reveal().await.unwrap();
    let states: Vec<_> = states
        .iter()
        .map(|(version, password)| (password.expose(), version.state))
        .collect();
    let expected = [
        ("first-password", VersionState::Current),
        ("second-password", VersionState::Pending),
    ];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn never_lost_what_a_failed_write_undid_is_forgotten() {
    let shop = Workshop::new();
    let store = shop.open().await;
    let run = RunId::new();
    let [first, second] = ["first", "second"].map(|password| version_by(run, &account(), password));
    let lease = first.lease();
    store.lease(&lease, HOUR).await.unwrap();
    // The second of two in one transaction cannot be appended, so neither is there.
    let other = shop.sqlite();
    other
        .execute_batch(&format!(
            "CREATE TRIGGER full BEFORE INSERT ON log WHEN new.account = '{}' BEGIN SELECT raise(ABORT, 'full'); END",
            second.key.account.account
        ))
        .unwrap();
    for answer in store.stage(&[first.clone(), second]).await {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    other.execute_batch("DROP TRIGGER full").unwrap();

    // So the account is free for another run, and whatever is staged now opens.
    let rival = version_by(RunId::new(), &first.key.account, "of-another-run");
    stage(&store, &rival).await.unwrap();
    let answer = commit(&store, &first.key).await;
    assert!(
        matches!(answer, Err(StoreError::NotPending(_))),
        "{answer:?}"
    );
    let revealed = shop.reveal().await.unwrap();
    assert_eq!(revealed.len(), 1);
    assert_eq!(revealed[0].1.expose(), "of-another-run");
}
