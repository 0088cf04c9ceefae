//! Getting a token, keeping it, and getting another one.

use std::io::Write;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rotation_core::{SecretStore, StoreError, VersionState};
use secret_stores::{
    Identities, JwtSource, OpenBaoAuth, OpenBaoConfig, OpenBaoReader, OpenBaoStore,
};
use serde_json::{Value, json};

use crate::server::{Server, shared};
use crate::workshop::{HOUR, Workshop, account, commit, fix, stage};

/// An application on the server, whose tokens live for `ttl` and are renewed up to `max`.
async fn app_role(shop: &Workshop<'_>, ttl: &str, max: &str) -> OpenBaoAuth {
    let server = shop.server;
    let (method, policy) = (
        format!("approle-{}", shop.mount),
        format!("run-{}", shop.mount),
    );
    let text = OpenBaoStore::policy(&shop.config());
    let path = format!("sys/policies/acl/{policy}");
    server.put(&path, json!({"policy": text})).await;
    let path = format!("sys/auth/{method}");
    server.put(&path, json!({"type": "approle"})).await;
    let role = format!("auth/{method}/role/rotation");
    let body = json!({"token_policies": [policy], "token_ttl": ttl, "token_max_ttl": max});
    server.put(&role, body).await;
    let id = server.get(&format!("{role}/role-id")).await;
    let secret = server.put(&format!("{role}/secret-id"), json!({})).await;
    OpenBaoAuth::AppRole {
        role_id: id["data"]["role_id"].as_str().unwrap().to_owned(),
        secret_id: secret["data"]["secret_id"].as_str().unwrap().into(),
        mount: method,
    }
}

async fn rotate(shop: &Workshop<'_>, store: &OpenBaoStore) {
    let account = account();
    let version = shop.version(&account, "hunter2-hunter2");
    stage(store, &version).await.unwrap();
    commit(store, &version).await.unwrap();
    let expected = [("hunter2-hunter2".to_owned(), VersionState::Current)];
    assert_eq!(shop.states(&account).await, expected);
}

#[tokio::test]
async fn an_app_role_logs_in_and_outlives_its_tokens() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let auth = app_role(&shop, "2s", "3s").await;
    let store = OpenBaoStore::open(shop.config_with(auth)).await.unwrap();
    store.lease(&shop.lease(), HOUR).await.unwrap();
    // Renewed within the first seconds, logged in anew when that is no longer possible.
    for _ in 0..14 {
        rotate(&shop, &store).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // Longer than any token lives, without a call that could renew it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    rotate(&shop, &store).await;
}

#[tokio::test]
async fn a_token_revoked_in_the_middle_of_a_run_is_replaced() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let auth = app_role(&shop, "1h", "1h").await;
    let store = OpenBaoStore::open(shop.config_with(auth)).await.unwrap();
    store.lease(&shop.lease(), HOUR).await.unwrap();
    for _ in 0..3 {
        rotate(&shop, &store).await;
        let path = format!("sys/leases/revoke-prefix/auth/approle-{}", shop.mount);
        server.put(&path, json!({"sync": true})).await;
    }
    let batch: Vec<_> = (0..50)
        .map(|_| shop.version(&account(), "hunter2-hunter2"))
        .collect();
    for answer in store.stage(&batch).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_given_token_that_is_gone_is_an_error_that_says_so() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    server
        .put("auth/token/revoke", json!({"token": shop.token}))
        .await;
    let error = stage(&store, &shop.version(&account(), "hunter2-hunter2"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    assert!(fix(&error).contains("give another token"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_an_error_that_does_not_repeat_it() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let OpenBaoAuth::AppRole { role_id, mount, .. } = app_role(&shop, "1h", "1h").await else {
        unreachable!()
    };
    let auth = OpenBaoAuth::AppRole {
        role_id,
        secret_id: "hunter2-hunter2".into(),
        mount: mount.clone(),
    };
    let config = shop.config_with(auth);
    let error = OpenBaoStore::open(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    assert!(
        fix(&error).contains(&format!("log in at auth/{mount}")),
        "{error:?}"
    );
    let printed = format!("{error} {error:?} {config:?} {:?}", config.auth);
    assert!(!printed.contains("hunter2"), "{printed}");
}

/// A key pair of an issuer, and a token of it.
fn issuer() -> (String, impl Fn(&str) -> String) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(der.as_ref())
    );
    let token = move |subject: &str| {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        // Long past and far ahead, so that no clock is asked.
        let claims =
            json!({"sub": subject, "aud": "bao", "iat": 1_700_000_000, "exp": 4_000_000_000_u64});
        let text = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!(
            "{text}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())
        )
    };
    (pem, token)
}

#[tokio::test]
async fn an_identity_token_logs_in_from_a_file_that_others_keep_fresh() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let (key, token) = issuer();
    let (method, policy) = (format!("jwt-{}", shop.mount), format!("ci-{}", shop.mount));
    let text = OpenBaoStore::policy(&shop.config());
    let path = format!("sys/policies/acl/{policy}");
    server.put(&path, json!({"policy": text})).await;
    let path = format!("sys/auth/{method}");
    server.put(&path, json!({"type": "jwt"})).await;
    let path = format!("auth/{method}/config");
    server
        .put(&path, json!({"jwt_validation_pubkeys": [key]}))
        .await;
    let body = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "bound_subject": "repo",
        "token_policies": [policy], "token_ttl": "1h"
    });
    server
        .put(&format!("auth/{method}/role/rotation"), body)
        .await;

    let auth = |jwt| OpenBaoAuth::Jwt {
        role: "rotation".to_owned(),
        jwt,
        mount: method.clone(),
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", token("repo")).unwrap();
    let config = shop.config_with(auth(JwtSource::File(file.path().to_owned())));
    let store = OpenBaoStore::open(config).await.unwrap();
    store.lease(&shop.lease(), HOUR).await.unwrap();
    rotate(&shop, &store).await;
    let given = JwtSource::Text(token("repo").into());
    let store = OpenBaoStore::open(shop.config_with(auth(given)))
        .await
        .unwrap();
    rotate(&shop, &store).await;

    let wrong = token("another-repo");
    let given = JwtSource::Text(wrong.as_str().into());
    let error = OpenBaoStore::open(shop.config_with(auth(given)))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains(&wrong), "{error:?}");
    let missing = JwtSource::File("/nowhere/token".into());
    let error = OpenBaoStore::open(shop.config_with(auth(missing)))
        .await
        .unwrap_err();
    assert!(fix(&error).contains("/nowhere/token"), "{error:?}");
}

#[tokio::test]
async fn a_namespace_holds_a_store_of_its_own() {
    let Some(server) = shared().await else { return };
    let outer = Workshop::new(server).await;
    server.put("sys/namespaces/team", json!({})).await;
    let body = json!({"type": "kv", "options": {"version": "2"}});
    let path = format!("sys/mounts/{}", outer.mount);
    let (status, answer) = server.ask("PUT", &path, &server.root, "team", body).await;
    assert!(status < 300, "{answer}");
    let root = OpenBaoAuth::Token(server.root.as_str().into());
    let mut config = outer.config_with(root);
    config.namespace = Some("team".to_owned());
    let store = OpenBaoStore::open(config.clone()).await.unwrap();
    store.lease(&outer.lease(), HOUR).await.unwrap();
    let version = outer.version(&account(), "hunter2-hunter2");
    stage(&store, &version).await.unwrap();
    assert!(
        outer.revealed().await.is_empty(),
        "found outside of its namespace"
    );

    config.namespace = Some("nobody".to_owned());
    let error = OpenBaoReader::open(config, Identities::none())
        .await
        .unwrap_err();
    assert!(fix(&error).contains("`namespace`"), "{error:?}");
}

#[tokio::test]
async fn over_tls_the_server_must_be_who_it_says() {
    let Some((server, authority)) = Server::tls().await else {
        return;
    };
    let mut config = OpenBaoConfig::new(&server.address, OpenBaoAuth::Token("root".into()));
    let error = OpenBaoStore::open(config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    config.ca_pem = Some("not a certificate".to_owned());
    let error = OpenBaoStore::open(config.clone()).await.unwrap_err();
    assert!(fix(&error).contains("PEM"), "{error:?}");
    config.ca_pem = Some(authority);
    // Ready once it answers as one that is unsealed.
    let mut answer = OpenBaoStore::open(config.clone()).await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = OpenBaoStore::open(config.clone()).await;
    }
    answer.unwrap();
}

#[tokio::test]
async fn a_token_is_sent_to_no_address_where_it_could_be_read() {
    for (address, found) in [
        ("http://bao.example.com", "not a loopback address"),
        ("http://10.0.0.1:8200", "not a loopback address"),
        ("http://127.0.0.1.example.com", "not a loopback address"),
        ("ftp://127.0.0.1", "neither https nor http"),
        (
            "https://user:hunter2@bao.example.com",
            "user name or password",
        ),
        ("s.hunter2", "not a URL"),
    ] {
        let config = OpenBaoConfig::new(address, OpenBaoAuth::Token("root".into()));
        let error = OpenBaoStore::open(config).await.unwrap_err();
        assert!(error.to_string().contains(found), "{address}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    for (mount, prefix) in [
        ("", "rotation"),
        ("secret/", "rotation"),
        ("secret", "../sys"),
    ] {
        let mut config =
            OpenBaoConfig::new("http://127.0.0.1:1", OpenBaoAuth::Token("root".into()));
        (config.mount, config.prefix) = (mount.to_owned(), prefix.to_owned());
        let error = OpenBaoStore::open(config).await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    }
}
