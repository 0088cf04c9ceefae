//! Documents that somebody else changed, and servers that are something else.

use std::time::Duration;

use futures::TryStreamExt;
use rotation_core::{SecretStore, Select, StoreError};
use secrecy::ExposeSecret;
use secret_stores::{Identities, OpenBaoAuth, OpenBaoConfig, OpenBaoReader, OpenBaoStore, keygen};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::shared;
use crate::workshop::{HOUR, Workshop, account, commit, fix, stage, tenant};

#[tokio::test]
async fn an_altered_record_is_an_error_that_names_it_and_stays_as_it_is() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let (store, account) = (shop.leased().await, account());
    let first = shop.version(&account, "hunter2-first");
    stage(&store, &first).await.unwrap();
    commit(&store, &first).await.unwrap();
    let second = shop.version(&account, "hunter2-second");
    stage(&store, &second).await.unwrap();
    let place = shop.data(&format!("accounts/{}/{}", tenant(), account.account));
    let good = server.get(&place).await["data"]["data"].clone();

    let with = |field: &str, value: Value| {
        let mut altered = good.clone();
        altered[field] = value;
        altered
    };
    let without = |field: &str| {
        let mut altered = good.clone();
        altered.as_object_mut().unwrap().remove(field);
        altered
    };
    let versions = good["versions"].as_str().unwrap();
    let altered = [
        (with("format", json!(2)), "format 2"),
        (with("format", json!("one")), "expected u32"),
        (with("more", json!(true)), "more"),
        (without("versions"), "versions"),
        (without("account"), "account"),
        (without("current"), "current"),
        (with("current", json!(null)), "current"),
        (
            with("current", json!(second.key.version.to_string())),
            "current",
        ),
        (with("current", json!("../../other")), "line 1"),
        (
            with("account", json!({"tenant": "t", "account": "a"})),
            "t/a",
        ),
        (with("versions", json!("[")), "EOF"),
        (with("versions", json!([])), "string"),
        (
            with("versions", json!(versions.replace("pending", "live"))),
            "live",
        ),
        (
            with("versions", json!(versions.replace("pending", "current"))),
            "current",
        ),
        (
            with(
                "versions",
                json!(format!(
                    "{},{}",
                    &versions[..versions.len() - 1],
                    &versions[1..]
                )),
            ),
            "current",
        ),
        (with("dropped", json!("{}")), "sequence"),
        (json!({}), "missing"),
        (json!({"x": "y".repeat(1000)}), "unknown"),
        (with("versions", json!("[".repeat(100_000))), "sequence"),
    ];
    for (document, expected) in &altered {
        server.put(&place, json!({"data": document})).await;
        let answers = [
            stage(&store, &shop.version(&account, "hunter2-third")).await,
            commit(&store, &second).await,
            store.discard(&second.key).await,
            store.prune(&Select::Tenant(tenant()), 0).await.map(|_| ()),
            store
                .versions(Select::All)
                .try_collect::<Vec<_>>()
                .await
                .map(|_| ()),
            store
                .versions(Select::Pending(tenant()))
                .try_collect::<Vec<_>>()
                .await
                .map(|_| ()),
            shop.reveal().await.map(|_| ()),
        ];
        for answer in answers {
            let error = answer.expect_err(expected);
            assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
            let text = fix(&error);
            let name = format!(
                "{}/rotation/accounts/{}/{}",
                shop.mount,
                tenant(),
                account.account
            );
            assert!(
                text.contains(&name) && text.contains(expected),
                "{expected}: {text}"
            );
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert_eq!(server.get(&place).await["data"]["data"], *document);
    }
    println!("{} altered records", altered.len());

    // Put back, everything is as it was.
    server.put(&place, json!({"data": good})).await;
    commit(&store, &second).await.unwrap();
    assert_eq!(shop.states(&account).await.len(), 2);
}

#[tokio::test]
async fn a_document_that_was_deleted_or_has_grown_is_not_taken_for_none() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let (store, account) = (shop.leased().await, account());
    let first = shop.version(&account, "hunter2-first");
    stage(&store, &first).await.unwrap();
    let place = shop.data(&format!("accounts/{}/{}", tenant(), account.account));

    server
        .ask("DELETE", &place, &server.root, "", Value::Null)
        .await;
    let second = shop.version(&account, "hunter2-second");
    for answer in [stage(&store, &second).await, commit(&store, &first).await] {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        assert!(fix(&error).contains("bao kv undelete"), "{}", fix(&error));
    }
    let undelete = place.replace("/data/", "/undelete/");
    server.put(&undelete, json!({"versions": [1]})).await;
    commit(&store, &first).await.unwrap();

    let huge = "x".repeat(1 << 20);
    let huge: serde_json::Map<_, _> = (0..5)
        .map(|n| (format!("field-{n}"), json!(huge)))
        .collect();
    server.put(&place, json!({"data": huge})).await;
    let error = stage(&store, &second).await.unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error:?}");
}

#[tokio::test]
async fn an_altered_password_is_an_error_that_tells_nothing_of_it() {
    let Some(server) = shared().await else { return };
    for sealed in [false, true] {
        let shop = match sealed {
            true => Workshop::sealed(server).await,
            false => Workshop::new(server).await,
        };
        let (store, account) = (shop.leased().await, account());
        let version = shop.version(&account, "hunter2-hunter2");
        stage(&store, &version).await.unwrap();
        let place = shop.data(&format!(
            "passwords/{}/{}/{}",
            tenant(),
            version.key.version,
            account.account
        ));
        let good = server.get(&place).await["data"]["data"].clone();
        let mut altered = vec![
            json!({}),
            json!({"user_name": "x"}),
            json!({"password": 123_456_789, "user_name": "x"}),
            json!({"password": "hunter2-hunter2"}),
            json!({"password": "hunter2-hunter2", "user_name": "x", "more": "hunter2-hunter2"}),
            json!({"sealed": "hunter2-hunter2", "key": "hunter2-hunter2", "user_name": "x"}),
        ];
        if sealed {
            let text = good["sealed"].as_str().unwrap();
            for at in [0, 10, text.len() - 5] {
                let mut flipped = text.as_bytes().to_vec();
                flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
                let mut document = good.clone();
                document["sealed"] = json!(String::from_utf8(flipped).unwrap());
                altered.push(document);
            }
        } else {
            assert_eq!(good["password"], "hunter2-hunter2");
        }
        for document in altered {
            server.put(&place, json!({"data": document})).await;
            let error = shop.reveal().await.expect_err(&document.to_string());
            assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
            let printed = format!("{} {error:?}", fix(&error));
            assert!(
                !printed.contains("hunter2") && !printed.contains("123456789"),
                "{printed}"
            );
        }
        let metadata = place.replace("/data/", "/metadata/");
        server
            .ask("DELETE", &metadata, &server.root, "", Value::Null)
            .await;
        let error = shop.reveal().await.unwrap_err();
        assert!(
            error.to_string().contains("was deleted from the server"),
            "{error}"
        );
        // Its states are as they were, and the account can still be rotated.
        let next = shop.version(&account, "hunter3-hunter3");
        stage(&store, &next).await.unwrap();
        commit(&store, &next).await.unwrap();
    }
}

#[tokio::test]
async fn sealed_passwords_open_with_the_right_key_alone() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::sealed(server).await;
    let store = shop.leased().await;
    stage(&store, &shop.version(&account(), "hunter2-hunter2"))
        .await
        .unwrap();
    assert_eq!(shop.revealed().await[0].1.expose(), "hunter2-hunter2");
    let stranger = Identities::parse(keygen().private.expose_secret()).unwrap();
    for identities in [Identities::none(), stranger] {
        let auth = OpenBaoAuth::Token(server.root.as_str().into());
        let reader = OpenBaoReader::open(shop.config_with(auth), identities)
            .await
            .unwrap();
        let found: Result<Vec<_>, _> = rotation_core::SecretReader::reveal(&reader, Select::All)
            .try_collect()
            .await;
        let error = found.unwrap_err();
        assert!(fix(&error).contains("private key"), "{}", fix(&error));
    }
}

#[tokio::test]
async fn altered_leases_and_intents_are_errors_that_name_them() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    let lease = shop.data(&format!("leases/{}/{}", tenant(), shop.run));
    for note in [
        json!({}),
        json!({"begun": {}}),
        json!({"begun": {"ttl_ms": -1}}),
        json!({"other": 1}),
    ] {
        server.put(&lease, json!({"data": note})).await;
        for answer in [
            store.lease(&shop.lease(), HOUR).await,
            stage(&store, &shop.version(&account(), "hunter2-hunter2")).await,
        ] {
            let error = answer.unwrap_err();
            assert!(fix(&error).contains("rotation/leases/"), "{}", fix(&error));
        }
    }
    store.release(&shop.lease()).await.unwrap();
    store.lease(&shop.lease(), Duration::MAX).await.unwrap();

    let intent = shop.data(&format!("pending/{}/x", tenant()));
    for intents in [
        json!({}),
        json!({"accounts": "[]"}),
        json!({"accounts": "{\"a\":-1}"}),
    ] {
        server.put(&intent, json!({"data": intents})).await;
        let found: Result<Vec<_>, _> = store
            .versions(Select::Pending(tenant()))
            .try_collect()
            .await;
        let error = found.unwrap_err();
        assert!(fix(&error).contains("rotation/pending/"), "{}", fix(&error));
    }
    let foreign = shop.data(&format!("accounts/{}/NotOurs", tenant()));
    server.put(&foreign, json!({"data": {}})).await;
    let found: Result<Vec<_>, _> = store.versions(Select::All).try_collect().await;
    let error = found.unwrap_err();
    assert!(
        fix(&error).contains("accounts/") && fix(&error).contains("NotOurs"),
        "{}",
        fix(&error)
    );
}

#[tokio::test]
async fn a_mount_that_is_not_kv_version_2_is_refused_before_anything_is_written() {
    let Some(server) = shared().await else { return };
    let mount = |name: &str, body: Value| {
        let path = format!("sys/mounts/{name}");
        async move { server.put(&path, body).await }
    };
    mount("first", json!({"type": "kv", "options": {"version": "1"}})).await;
    mount("plain", json!({"type": "kv"})).await;
    mount("keys", json!({"type": "transit"})).await;
    let open = async |mount: &str| {
        let auth = OpenBaoAuth::Token(server.root.as_str().into());
        let mut config = OpenBaoConfig::new(&server.address, auth);
        config.mount = mount.to_owned();
        OpenBaoStore::open(config).await
    };
    for (name, found) in [
        ("first", "kv version 1, expected kv version 2"),
        ("plain", "kv version 1, expected kv version 2"),
        ("keys", "transit"),
        ("nowhere", "check `mount`"),
    ] {
        let error = open(name).await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        assert!(fix(&error).contains(found), "{name}: {}", fix(&error));
    }
    let (status, answer) = server
        .ask("GET", "first?list=true", &server.root, "", Value::Null)
        .await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test]
async fn a_mount_that_deletes_by_itself_is_not_trusted_with_a_password() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    let config = format!("{}/config", shop.mount);
    server
        .put(&config, json!({"delete_version_after": "24h"}))
        .await;
    let error = stage(&store, &shop.version(&account(), "hunter2-hunter2"))
        .await
        .unwrap_err();
    assert!(
        fix(&error).contains("delete_version_after=0s"),
        "{}",
        fix(&error)
    );
    assert!(shop.revealed().await.is_empty());
}

/// What other programs answer at an address that was mistyped, and a server that never does.
#[tokio::test]
async fn whatever_else_answers_is_not_taken_for_openbao() {
    let answers: [&[u8]; 9] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"data\"",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://example.com/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\n\r\n<html></html>",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 13\r\n\r\n<html></html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ];
    for answer in answers {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serve = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                socket.read_exact(&mut [0; 16]).await.ok();
                socket.write_all(answer).await.ok();
            }
        });
        let config = OpenBaoConfig::new(&address, OpenBaoAuth::Token("root-token".into()));
        let error = OpenBaoStore::open(config).await.unwrap_err();
        let said = String::from_utf8_lossy(answer);
        assert!(
            matches!(
                error,
                StoreError::Unusable(_) | StoreError::Unavailable { .. }
            ),
            "{said}: {error:?}"
        );
        assert!(!format!("{error:?}").contains("root-token"), "{error:?}");
        serve.abort();
    }
}
