//! Sealed values that were altered or moved: an error, never a wrong password.

use futures::{StreamExt, TryStreamExt};
use rotation_core::{Password, SecretReader, Select, StoreError, Version};
use rusqlite::params;
use secrecy::ExposeSecret;
use secret_stores::{Identities, Recipients, SqliteReader, SqliteStore, keygen};

use crate::workshop::{Workshop, commit, stage, stage_all, version};

#[tokio::test]
async fn a_sealed_value_with_any_byte_altered_is_an_error() {
    let (shop, version) = Workshop::new().with_one_version().await;
    let connection = shop.sqlite();
    let sealed: Vec<u8> = connection
        .query_row("SELECT sealed FROM log WHERE seq = 1", (), |row| row.get(0))
        .unwrap();
    let put = |value: &[u8]| {
        connection
            .execute("UPDATE log SET sealed = ?1 WHERE seq = 1", [value])
            .unwrap();
    };
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 0x10;
        put(&altered);
        let error = shop.reveal().await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "byte {at}");
        let message = error.to_string();
        assert!(message.contains("row 1 of"), "{message}");
        assert!(
            message.contains(&version.key.version.to_string()),
            "{message}"
        );
    }
    put(&sealed);
    assert_eq!(
        shop.reveal().await.unwrap()[0].1.expose(),
        "hunter2-hunter2"
    );
}

#[tokio::test]
async fn what_a_value_is_sealed_for_cannot_be_changed() {
    for change in [
        "UPDATE log SET account = 'other' WHERE seq = 1",
        "UPDATE log SET tenant = 'other' WHERE seq = 1",
        "UPDATE log SET run = randomblob(16) WHERE seq = 1",
        "UPDATE log SET version = randomblob(16) WHERE seq = 1",
        "UPDATE log SET sealed = (SELECT sealed FROM log WHERE seq = 2) WHERE seq = 1",
        "UPDATE log SET sealed = x'' WHERE seq = 1",
        "UPDATE data_key SET wrapped = x'00'",
        "PRAGMA foreign_keys = OFF; DELETE FROM data_key",
    ] {
        let shop = Workshop::new();
        let store = shop.open().await;
        stage_all(
            &store,
            &[version("first-password"), version("second-password")],
        )
        .await;
        store.close().await;
        shop.sqlite().execute_batch(change).unwrap();
        let revealed: Vec<Result<(Version, Password), _>> =
            shop.reader().await.reveal(Select::All).collect().await;
        let error = revealed.into_iter().find_map(Result::err).expect(change);
        assert!(
            matches!(error, StoreError::Unusable(_)),
            "{change}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_true_is_an_error() {
    let (shop, _) = Workshop::new().with_one_version().await;
    // The version that row 1 staged was committed by row 2 already.
    let row = "INSERT INTO log (event, tenant, account, staged)
               SELECT ?1, tenant, account, 1 FROM log WHERE seq = 1";
    shop.sqlite().execute(row, params!["discarded"]).unwrap();
    let error = shop.reveal().await.unwrap_err().to_string();
    assert!(error.contains("row 3 of"), "{error}");
    assert!(error.contains("settles what was not pending"), "{error}");
}

#[tokio::test]
async fn a_row_of_a_kind_that_is_none_of_ours_is_an_error() {
    let (shop, version) = Workshop::new().with_one_version().await;
    for change in [
        "event = 'forgotten'",
        "event = 'staged'",
        "event = 'committed', staged = 7",
    ] {
        let connection = shop.sqlite();
        connection
            .execute_batch("PRAGMA ignore_check_constraints = ON; BEGIN")
            .unwrap();
        let update = format!("UPDATE log SET {change} WHERE seq = 2");
        connection.execute(&update, ()).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        let error = shop.reveal().await.expect_err(change).to_string();
        assert!(error.contains("row 2 of"), "{change}: {error}");
        // What settles a version looks at the rows since it was staged, and answers no better than they are.
        let store = shop.open().await;
        let answer = commit(&store, &version.key).await;
        assert!(answer.is_err(), "{change}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_private_key_that_does_not_fit_is_told_so() {
    let (shop, _) = Workshop::new().with_one_version().await;
    let stranger = Identities::parse(keygen().private.expose_secret()).unwrap();
    for (identities, expected) in [
        (stranger, "none of the private keys given opens data key 1"),
        (Identities::none(), "without a private key"),
    ] {
        let reader = SqliteReader::open(&shop.path, identities).await.unwrap();
        let revealed: Result<Vec<_>, _> = reader.reveal(Select::All).try_collect().await;
        let error = revealed.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        // Which versions there are is no secret.
        let versions: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
        assert_eq!(versions.len(), 1);
    }
}

#[tokio::test]
async fn each_handle_seals_to_its_own_recipients() {
    let shop = Workshop::new();
    stage(&shop.open().await, &version("for-the-first"))
        .await
        .unwrap();
    let second = keygen();
    let both = Recipients::parse([&shop.keys.public, &second.public]).unwrap();
    let store = SqliteStore::open(&shop.path, &both).await.unwrap();
    stage(&store, &version("for-both")).await.unwrap();

    assert_eq!(shop.reveal().await.unwrap().len(), 2);
    let only_second = Identities::parse(second.private.expose_secret()).unwrap();
    let reader = SqliteReader::open(&shop.path, only_second).await.unwrap();
    let revealed: Vec<_> = reader.reveal(Select::All).collect().await;
    assert!(
        revealed[0].is_err(),
        "sealed before the second recipient was added"
    );
}

/// Whatever byte of the file is altered: the password that was staged, or an error.
#[tokio::test]
async fn never_lost_to_a_wrong_password_wherever_a_bit_flips() {
    let (shop, _) = Workshop::new().with_one_version().await;
    let whole = std::fs::read(&shop.path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut altered = whole.clone();
        altered[at] ^= 1 << (at % 8);
        std::fs::write(&shop.path, &altered).unwrap();
        let identities = shop.identities();
        let revealed: Result<Vec<_>, _> = match SqliteReader::open(&shop.path, identities).await {
            Ok(reader) => reader.reveal(Select::All).try_collect().await,
            Err(error) => Err(error),
        };
        match revealed {
            Ok(revealed) => {
                for (_, password) in revealed {
                    assert_eq!(password.expose(), "hunter2-hunter2", "byte {at}");
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}
