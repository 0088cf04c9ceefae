//! Where the file is, and who may open it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rotation_core::StoreError;
use secret_stores::{Identities, SqliteReader, SqliteStore};

use crate::workshop::{Workshop, contents, stage, version};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn refusal(shop: &Workshop, path: &Path) -> String {
    let error = SqliteStore::open(path, &shop.recipients())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn every_file_of_a_store_belongs_to_its_owner_alone() {
    let shop = Workshop::new();
    let store = shop.open().await;
    stage(&store, &version("hunter2-hunter2")).await.unwrap();
    let files = contents(shop.directory.path());
    assert_eq!(files.len(), 3, "database, log and index of the log");
    for (path, _) in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_that_others_may_read_is_made_private() {
    let (shop, _) = Workshop::new().with_one_version().await;
    fs::set_permissions(&shop.path, Permissions::from_mode(0o664)).unwrap();
    shop.open().await.close().await;
    assert_eq!(mode(&shop.path), 0o600);
}

#[tokio::test]
async fn a_new_store_leaves_nothing_else_behind() {
    let shop = Workshop::new();
    shop.open().await.close().await;
    let files = contents(shop.directory.path());
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].0, shop.path);
}

#[tokio::test]
async fn many_may_create_the_same_store_at_once() {
    let shop = Workshop::new();
    let stores = futures::future::join_all((0..8).map(|_| shop.try_open())).await;
    for store in stores {
        stage(&store.unwrap(), &version("hunter2-hunter2"))
            .await
            .unwrap();
    }
    assert_eq!(shop.reveal().await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_place_where_no_store_can_be_is_named() {
    let shop = Workshop::new();
    let directory = shop.directory.path();
    let message = refusal(&shop, directory).await;
    assert!(message.contains("is a directory"), "{message}");

    let missing = directory.join("no/such/directory/rotation.db");
    let message = refusal(&shop, &missing).await;
    assert!(message.contains("no/such/directory"), "{message}");

    let device = Path::new("/dev/null");
    let message = refusal(&shop, device).await;
    assert!(message.contains("no regular file"), "{message}");

    let dangling = directory.join("dangling.db");
    symlink(directory.join("nowhere.db"), &dangling).unwrap();
    let message = refusal(&shop, &dangling).await;
    assert!(message.contains("is a link"), "{message}");
    assert!(!directory.join("nowhere.db").exists());
}

#[tokio::test]
async fn a_link_to_a_store_is_the_store() {
    let (shop, _) = Workshop::new().with_one_version().await;
    let link = shop.directory.path().join("link.db");
    symlink(&shop.path, &link).unwrap();
    let through_link = SqliteStore::open(&link, &shop.recipients()).await.unwrap();
    let direct = shop.open().await;
    stage(&through_link, &version("one-password"))
        .await
        .unwrap();
    stage(&direct, &version("another-password")).await.unwrap();
    assert_eq!(shop.reveal().await.unwrap().len(), 3);
}

#[tokio::test]
async fn reading_what_is_not_there_creates_nothing() {
    let shop = Workshop::new();
    let error = SqliteReader::open(&shop.path, Identities::none())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("there is no store at"),
        "{error}"
    );
    assert!(contents(shop.directory.path()).is_empty());
}

#[tokio::test]
async fn a_name_with_characters_that_mean_something_in_a_uri_is_only_a_name() {
    let shop = Workshop::new();
    let path = shop.directory.path().join("a store? 100%#1 ü.db");
    for _ in 0..2 {
        let store = SqliteStore::open(&path, &shop.recipients()).await.unwrap();
        store.close().await;
    }
    assert_eq!(contents(shop.directory.path()).len(), 1);
}
