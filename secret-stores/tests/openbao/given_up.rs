//! Calls that were given up, or not answered: what they asked for must not be done after they are over.

use rotation_core::{SecretStore, StoreError};
use serde_json::{Value, json};

use crate::server::shared;
use crate::workshop::{Workshop, account, commit, stage, tenant};

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
