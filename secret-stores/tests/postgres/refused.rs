//! What a person must put right first: an error that says so, and nothing changed.

use std::net::TcpListener;

use futures::TryStreamExt;
use futures::future::join_all;
use rotation_core::{Select, StoreError};
use secret_stores::{Identities, PostgresReader};

use crate::cluster::Cluster;
use crate::workshop::{LOGIN, Workshop, rotate, version};

#[tokio::test]
async fn a_login_that_fails_is_told_without_the_password() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let wrong = shop
        .config()
        .with_password("n0t-the-l0gin".to_owned().into());
    let (message, fix) = shop.refusal(wrong).await;
    assert!(message.contains("28P01"), "{message}");
    assert!(fix.contains("password of this role"), "{fix}");
    for secret in [LOGIN, "n0t-the-l0gin"] {
        assert!(!message.contains(secret) && !fix.contains(secret));
    }

    let mut elsewhere = Workshop::new(cluster).await;
    elsewhere
        .cluster
        .admin("postgres")
        .await
        .batch_execute(&format!("DROP DATABASE {}", elsewhere.name))
        .await
        .unwrap();
    let (message, fix) = elsewhere.refusal(elsewhere.config()).await;
    assert!(message.contains("3D000"), "{message}");
    assert!(
        fix.contains(&format!("CREATE DATABASE \"{}\"", elsewhere.name)),
        "{fix}"
    );
    elsewhere.name = "nobody".to_owned();
    let (message, _) = elsewhere.refusal(elsewhere.config()).await;
    assert!(message.contains("28P01"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    match shop
        .open_with(shop.config_for(&format!("127.0.0.1:{port}")))
        .await
    {
        Err(StoreError::Unavailable { problem, .. }) => {
            assert!(problem.message.contains("refused"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn missing_privileges_are_named_as_they_are_granted() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let role = &shop.name;
    let admin = cluster.admin(role).await;
    let run = async |sql: &str| admin.batch_execute(sql).await.unwrap();

    run(&format!("ALTER DATABASE {role} OWNER TO postgres")).await;
    let (message, fix) = shop.refusal(shop.config()).await;
    assert!(message.contains("42501"), "{message}");
    assert!(
        fix.contains(&format!(
            "GRANT CREATE ON DATABASE \"{role}\" TO \"{role}\""
        )),
        "{fix}"
    );

    // An administrator makes it, as the fix says, and takes the right back.
    run(&format!("GRANT CREATE ON DATABASE {role} TO {role}")).await;
    shop.open().await.close().await;
    run(&format!(
        "REVOKE CREATE ON DATABASE {role} FROM {role}; REASSIGN OWNED BY {role} TO postgres"
    ))
    .await;
    for (granted, works) in [
        ("SELECT".to_owned(), false),
        (format!("GRANT USAGE ON SCHEMA rotation TO {role}"), false),
        (
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA rotation TO {role}"),
            false,
        ),
        (
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rotation TO {role}"
            ),
            true,
        ),
    ] {
        run(&granted).await;
        if works {
            break;
        }
        let (message, fix) = shop.refusal(shop.config()).await;
        assert!(
            message.contains("role may not") || message.contains("42501"),
            "{granted}: {message}"
        );
        assert!(fix.contains("GRANT USAGE ON SCHEMA \"rotation\""), "{fix}");
        assert!(
            fix.contains("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"),
            "{fix}"
        );
    }
    let store = shop.open().await;
    rotate(&store, &version("hunter2-hunter2")).await;
    store.close().await;

    // A right that is taken away in the midst of things.
    let store = shop.open().await;
    run(&format!("REVOKE INSERT ON rotation.version FROM {role}")).await;
    let new = version("hunter3-hunter3");
    crate::workshop::lease(&store, &new).await;
    match crate::workshop::stage(&store, &new).await {
        Err(StoreError::Unusable(problem)) => {
            assert!(problem.message.contains("42501"), "{problem}");
            assert!(problem.fix.unwrap().contains("GRANT"));
        }
        other => panic!("{other:?}"),
    }
    // Whoever only reads needs only this.
    run(&format!(
        "REVOKE ALL ON ALL TABLES IN SCHEMA rotation FROM {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA rotation TO {role}"
    ))
    .await;
    assert_eq!(shop.reveal().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_schema_that_is_not_for_us_is_left_as_it_is() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    for (made, expected) in [
        (
            "CREATE SCHEMA rotation; CREATE TABLE rotation.stuff (id int)",
            "another program",
        ),
        (
            "CREATE SCHEMA rotation; CREATE VIEW rotation.version AS SELECT 1 AS id",
            "another program",
        ),
        (
            "CREATE SCHEMA rotation; CREATE TABLE rotation.rotation_store (name text)",
            "42703",
        ),
    ] {
        let shop = Workshop::new(cluster).await;
        shop.sql(made).await;
        shop.sql(&format!("GRANT ALL ON SCHEMA rotation TO {0}; GRANT ALL ON ALL TABLES IN SCHEMA rotation TO {0}", shop.name)).await;
        let before = cluster.dump(&shop.name);
        let (message, _) = shop.refusal(shop.config()).await;
        assert!(message.contains(expected), "{made}: {message}");
        assert!(
            cluster.dump(&shop.name) == before,
            "{made}: something was changed"
        );
    }
}

#[tokio::test]
async fn a_store_that_was_changed_is_refused() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    for (change, expected, undo) in [
        (
            "INSERT INTO rotation.rotation_store VALUES (99)",
            "version 99",
            "DELETE FROM rotation.rotation_store WHERE version = 99",
        ),
        (
            "ALTER TABLE rotation.version SET UNLOGGED",
            "unlogged",
            "ALTER TABLE rotation.version SET LOGGED",
        ),
        (
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER forget BEFORE INSERT ON rotation.version FOR EACH ROW EXECUTE FUNCTION forget()",
            "trigger",
            "DROP TRIGGER forget ON rotation.version",
        ),
        (
            "CREATE RULE forget AS ON INSERT TO rotation.lease DO INSTEAD NOTHING",
            "rule",
            "",
        ),
        (
            "ALTER TABLE rotation.version ENABLE ROW LEVEL SECURITY",
            "policy",
            "ALTER TABLE rotation.version DISABLE ROW LEVEL SECURITY",
        ),
        ("DROP TABLE rotation.lease", "missing", ""),
    ] {
        let shop = Workshop::new(cluster).await;
        let store = shop.open().await;
        rotate(&store, &version("hunter2-hunter2")).await;
        store.close().await;
        shop.sql(change).await;
        let (message, _) = shop.refusal(shop.config()).await;
        assert!(message.contains(expected), "{change}: {message}");
        let reader = PostgresReader::open(shop.config(), Identities::none()).await;
        assert!(matches!(reader, Err(StoreError::Unusable(_))), "{change}");
        if !undo.is_empty() {
            shop.sql(undo).await;
            assert_eq!(shop.reveal().await.unwrap().len(), 1, "{change}");
        }
    }
}

#[tokio::test]
async fn a_reader_finds_no_store_where_there_is_none() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    match PostgresReader::open(shop.config(), Identities::none()).await {
        Err(StoreError::Unusable(problem)) => {
            assert!(problem.message.contains("no store"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_write_durably_is_refused() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Workshop::new(&cluster).await;
    tokio::task::block_in_place(|| {
        cluster.down();
        cluster.configure("fsync = off\n");
        cluster.up();
    });
    let (message, fix) = shop.refusal(shop.config()).await;
    assert!(message.contains("fsync = off"), "{message}");
    assert!(fix.contains("fsync = on"), "{fix}");
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let admin = cluster.admin("postgres").await;
    let name = &shop.name;
    admin
        .batch_execute(&format!("DROP DATABASE {name}"))
        .await
        .unwrap();
    let create =
        format!("CREATE DATABASE {name} OWNER {name} ENCODING 'LATIN1' TEMPLATE template0");
    admin.batch_execute(&create).await.unwrap();
    let (message, _) = shop.refusal(shop.config()).await;
    assert!(message.contains("LATIN1"), "{message}");
}

#[tokio::test]
async fn two_schemas_are_two_stores() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let shop = Workshop::new(cluster).await;
    let open = async |schema: &str| {
        shop.open_with(shop.config().with_schema(schema))
            .await
            .unwrap()
    };
    let stores = join_all([open("one"), open("two")]).await;
    rotate(&stores[0], &version("hunter2-hunter2")).await;
    for (store, expected) in stores.iter().zip([1, 0]) {
        let versions: Vec<_> = rotation_core::SecretStore::versions(store, Select::All)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(versions.len(), expected);
    }
}
