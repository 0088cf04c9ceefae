//! Sealed values that were altered or moved: an error, never a wrong password.

use futures::{StreamExt, TryStreamExt};
use rotation_core::{Password, SecretReader, SecretStore, Select, StoreError, Version};
use secrecy::ExposeSecret;
use secret_stores::{Identities, PostgresReader, keygen};

use crate::cluster::Cluster;
use crate::workshop::{Workshop, lease, rotate, stage, states, version};

#[tokio::test]
async fn a_sealed_value_with_any_byte_altered_is_an_error() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let new = version("hunter2-hunter2");
    rotate(&shop.open().await, &new).await;
    let admin = cluster.admin(&shop.name).await;
    let row = admin
        .query_one("SELECT sealed FROM rotation.version", &[])
        .await
        .unwrap();
    let sealed: Vec<u8> = row.get(0);
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 0x10;
        admin
            .execute("UPDATE rotation.version SET sealed = $1", &[&altered])
            .await
            .unwrap();
        let error = shop.reveal().await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "byte {at}");
        let message = error.to_string();
        assert!(message.contains(&new.key.version.to_string()), "{message}");
    }
    admin
        .execute("UPDATE rotation.version SET sealed = $1", &[&sealed])
        .await
        .unwrap();
    assert_eq!(
        shop.reveal().await.unwrap()[0].1.expose(),
        "hunter2-hunter2"
    );
}

#[tokio::test]
async fn what_a_value_is_sealed_for_cannot_be_changed() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    for change in [
        "UPDATE account SET tenant = 'other'",
        "UPDATE account SET object_id = object_id || 'other'",
        "UPDATE version SET run = gen_random_uuid()",
        "UPDATE version SET id = gen_random_uuid()",
        "UPDATE version SET sealed = (SELECT sealed FROM version ORDER BY position LIMIT 1)",
        "UPDATE version SET sealed = ''",
        "UPDATE version SET account = (SELECT min(id) FROM account)",
        "UPDATE data_key SET wrapped = '\\x00'",
        "UPDATE version SET staged = '{}'",
        "UPDATE version SET committed = '[]'",
    ] {
        let shop = Workshop::new(cluster).await;
        let store = shop.open().await;
        for password in ["first-password", "second-password"] {
            rotate(&store, &version(password)).await;
        }
        shop.sql(&format!("SET search_path = rotation; {change}"))
            .await;
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
async fn a_data_key_in_use_cannot_be_removed() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    rotate(&shop.open().await, &version("hunter2-hunter2")).await;
    let admin = cluster.admin(&shop.name).await;
    for table in ["data_key", "account"] {
        assert!(
            admin
                .batch_execute(&format!("DELETE FROM rotation.{table}"))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_private_key_that_does_not_fit_is_told_so() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    rotate(&shop.open().await, &version("hunter2-hunter2")).await;
    let stranger = Identities::parse(keygen().private.expose_secret()).unwrap();
    for (identities, expected) in [
        (stranger, "none of the private keys given opens data key 1"),
        (Identities::none(), "without a private key"),
    ] {
        let reader = PostgresReader::open(shop.config(), identities)
            .await
            .unwrap();
        let revealed: Result<Vec<_>, _> = reader.reveal(Select::All).try_collect().await;
        let error = revealed.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        // Which versions there are is no secret.
        let versions: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
        assert_eq!(versions.len(), 1);
    }
}

#[tokio::test]
async fn a_discarded_version_sheds_its_password() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let store = shop.open().await;
    let new = version("hunter2-hunter2");
    lease(&store, &new).await;
    stage(&store, &new).await.unwrap();
    store.discard(&new.key).await.unwrap();
    assert!(states(&store, &new.key.account).await.is_empty());
    let admin = cluster.admin(&shop.name).await;
    let rows = admin
        .query("SELECT sealed FROM rotation.version", &[])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, Option<Vec<u8>>>(0), None);
}
