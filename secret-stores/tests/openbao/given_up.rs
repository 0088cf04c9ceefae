//! Calls that were given up, or not answered: what they asked for must not be done after they are over.

use std::time::Duration;

use futures::future::join_all;
use rotation_core::{Lease, RunId, SecretStore, StoreError, VersionState};
use secret_stores::OpenBaoStore;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::server::shared;
use crate::workshop::{HOUR, Workshop, account, commit, stage, tenant};

#[tokio::test]
async fn a_discard_ends_a_staging_that_was_not_answered() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    for writes in [0, 2] {
        let account = account();
        if writes > 0 {
            let current = shop.version(&account, "hunter2-current");
            stage(&store, &current).await.unwrap();
            commit(&store, &current).await.unwrap();
        }
        // Its password is there; the account's document is still on its way.
        let half = shop.version(&account, "hunter2-half");
        let (version, id) = (half.key.version, &account.account);
        let password = shop.data(&format!("passwords/{}/{version}/{id}", tenant()));
        let body = json!({"data": {"password": "hunter2-half", "user_name": "x"}});
        server.put(&password, body).await;

        store.discard(&half.key).await.unwrap();
        let metadata = password.replace("/data/", "/metadata/");
        let ask = async |method: &str, path: &str, body: Value| {
            server.ask(method, path, &server.root, "", body).await.0
        };
        assert_eq!(ask("GET", &metadata, Value::Null).await, 404);
        let late = json!({"data": {}, "options": {"cas": writes}});
        let record = shop.data(&format!("accounts/{}/{id}", tenant()));
        assert_eq!(ask("POST", &record, late).await, 400);
        let error = stage(&store, &half).await.unwrap_err();
        assert!(matches!(error, StoreError::NotPending(_)), "{error:?}");
        assert_eq!(ask("GET", &metadata, Value::Null).await, 404);

        // Again it does nothing, and the account goes on.
        store.discard(&half.key).await.unwrap();
        let next = shop.version(&account, "hunter2-next");
        stage(&store, &next).await.unwrap();
        commit(&store, &next).await.unwrap();
        assert_eq!(shop.states(&account).await.len(), 1 + writes / 2);
    }
}

#[tokio::test]
async fn a_request_whose_call_was_given_up_is_not_sent() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let gate = Gate::before(server).await;
    let mut config = shop.config();
    config.address.clone_from(&gate.address);
    let store = OpenBaoStore::open(config).await.unwrap();
    let release = async |_| {
        let (tenant, run) = (tenant(), RunId::new());
        store.release(&Lease { tenant, run }).await
    };

    gate.hold("DELETE ");
    // As many as are sent at once; the others wait for their turn.
    tokio::select! {
        biased;
        _ = join_all((0..40).map(release)) => panic!("answered while held"),
        () = gate.until("DELETE ", 16) => {}
    }
    gate.open();
    release(0).await.unwrap();
    assert_eq!(gate.count("DELETE "), 17);
}

#[tokio::test]
async fn a_version_that_another_run_forestalled_leaves_no_password() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let gate = Gate::before(server).await;
    let mut config = shop.config();
    config.address.clone_from(&gate.address);
    let slow = OpenBaoStore::open(config).await.unwrap();
    let store = shop.leased().await;
    let other = Workshop {
        run: RunId::new(),
        mount: shop.mount.clone(),
        token: shop.token.clone(),
        keys: None,
        server,
    };
    store.lease(&other.lease(), HOUR).await.unwrap();

    let account = account();
    let late = shop.version(&account, "hunter2-late");
    let first = other.version(&account, "hunter2-first");
    // Held with its password written, and its account not.
    let record = shop.data(&format!("accounts/{}/{}", tenant(), account.account));
    let write: &'static str = format!("POST /v1/{record} ").leak();
    gate.hold(write);
    let (answer, ()) = futures::future::join(stage(&slow, &late), async {
        gate.until(write, 1).await;
        stage(&store, &first).await.unwrap();
        gate.open();
    })
    .await;
    let error = answer.unwrap_err();
    assert!(matches!(error, StoreError::Leased { .. }), "{error:?}");
    let version = late.key.version;
    let password = shop.data(&format!(
        "passwords/{}/{version}/{}",
        tenant(),
        account.account
    ));
    let metadata = password.replace("/data/", "/metadata/");
    let (status, _) = server
        .ask("GET", &metadata, &server.root, "", Value::Null)
        .await;
    assert_eq!(status, 404);
    // Whoever might still stage it finds that it is over: its password may be erased at any time.
    store.release(&other.lease()).await.unwrap();
    let error = stage(&store, &late).await.unwrap_err();
    assert!(matches!(error, StoreError::NotPending(_)), "{error:?}");
    let expected = [("hunter2-first".to_owned(), VersionState::Pending)];
    assert_eq!(shop.states(&account).await, expected);
}

#[tokio::test]
async fn a_lease_prolonged_while_a_staging_reads_is_not_lost() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let gate = Gate::before(server).await;
    let mut config = shop.config();
    config.address.clone_from(&gate.address);
    let slow = OpenBaoStore::open(config).await.unwrap();
    let store = shop.store().await;
    let short = Duration::from_secs(3);
    store.lease(&shop.lease(), short).await.unwrap();

    let version = shop.version(&account(), "hunter2-hunter2");
    let account = &version.key.account.account;
    let record = shop.data(&format!("accounts/{}/{account}", tenant()));
    let read: &'static str = format!("GET /v1/{record} ").leak();
    gate.hold(read);
    let (answer, ()) = futures::future::join(stage(&slow, &version), async {
        gate.until(read, 1).await;
        store.lease(&shop.lease(), HOUR).await.unwrap();
        // Past the end that the lease had when it was read.
        tokio::time::sleep(short).await;
        gate.open();
    })
    .await;
    answer.unwrap();
}
