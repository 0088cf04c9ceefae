//! What a run's policy lets it do, and what it does not.

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{SecretReader, SecretStore, Select, StoreError};
use secret_stores::{Identities, OpenBaoReader, OpenBaoStore};
use serde_json::{Value, json};

use crate::server::shared;
use crate::workshop::{HOUR, Workshop, account, commit, fix, stage, tenant};

#[tokio::test]
async fn write_only_a_run_rotates_with_a_token_that_reads_no_password() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let (store, account) = (shop.leased().await, account());
    let version = shop.version(&account, "hunter2-hunter2");
    stage(&store, &version).await.unwrap();
    commit(&store, &version).await.unwrap();
    assert_eq!(shop.revealed().await[0].1.expose(), "hunter2-hunter2");

    // Neither through our reader with the token that a run has …
    let reader = OpenBaoReader::open(shop.config(), Identities::none())
        .await
        .unwrap();
    let listed: Vec<_> = reader.versions(Select::All).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    let revealed: Result<Vec<_>, _> = reader.reveal(Select::All).try_collect().await;
    let error = fix(&revealed.unwrap_err());
    let place = format!(
        "{}/data/rotation/passwords/{}/{}/{}",
        shop.mount,
        tenant(),
        version.key.version,
        account.account
    );
    assert!(
        error.contains(&format!("`read` on a path that covers {place}")),
        "{error}"
    );
    // … nor by asking the server for it, nor by putting another one in its place.
    for (method, path, body) in [
        ("GET", place.clone(), Value::Null),
        ("GET", format!("{place}?version=1"), Value::Null),
        (
            "POST",
            place.clone(),
            json!({"data": {"password": "other"}}),
        ),
        (
            "PATCH",
            place.clone(),
            json!({"data": {"password": "other"}}),
        ),
        ("GET", place.replace("/data/", "/subkeys/"), Value::Null),
    ] {
        let (status, answer) = server.ask(method, &path, &shop.token, "", body).await;
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn an_application_reads_the_current_password_of_its_account_and_no_other() {
    let Some(server) = shared().await else { return };
    let shop = Workshop::new(server).await;
    let store = shop.leased().await;
    let (mine, other) = (account(), account());
    for account in [&mine, &other] {
        for password in ["first-password", "second-password"] {
            let version = shop.version(account, password);
            stage(&store, &version).await.unwrap();
            commit(&store, &version).await.unwrap();
        }
        let pending = shop.version(account, "third-password");
        stage(&store, &pending).await.unwrap();
    }
    // The two lines of policy and the two reads that the documentation of the store gives.
    let (mount, tenant) = (&shop.mount, tenant());
    let id = &mine.account;
    let token = shop
        .token_with(&format!(
            r#"path "{mount}/data/rotation/accounts/{tenant}/{id}" {{ capabilities = ["read"] }}
               path "{mount}/data/rotation/passwords/{tenant}/+/{id}" {{ capabilities = ["read"] }}"#
        ))
        .await;
    let read = async |path: String| {
        let path = shop.data(&path);
        server.ask("GET", &path, &token, "", Value::Null).await
    };
    let (_, found) = read(format!("accounts/{tenant}/{id}")).await;
    let now = found["data"]["data"]["current"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, found) = read(format!("passwords/{tenant}/{now}/{id}")).await;
    assert_eq!(found["data"]["data"]["password"], "second-password");

    let id = &other.account;
    assert_eq!(read(format!("accounts/{tenant}/{id}")).await.0, 403);
    assert_eq!(read(format!("passwords/{tenant}/{now}/{id}")).await.0, 403);
}

/// The documented policy is no larger than it must be; and whoever gives less hears what is missing and where.
#[tokio::test]
async fn each_capability_of_the_policy_is_needed_and_asked_for_by_name() {
    let Some(server) = shared().await else { return };
    let mut tried = 0;
    let whole = OpenBaoStore::policy(&Workshop::new(server).await.config());
    for at in 0..whole.matches('[').count() {
        let list = whole.match_indices('[').nth(at).unwrap().0;
        let list = &whole[list + 1..list + whole[list..].find(']').unwrap()];
        for (nth, capability) in list.split(", ").enumerate() {
            let mut shop = Workshop::new(server).await;
            let policy = OpenBaoStore::policy(&shop.config());
            let begin = policy.match_indices('[').nth(at).unwrap().0 + 1;
            let mut left: Vec<_> = list.split(", ").collect();
            left.remove(nth);
            if left.is_empty() {
                left.push("\"deny\"");
            }
            let end = begin + policy[begin..].find(']').unwrap();
            let less = format!("{}{}{}", &policy[..begin], left.join(", "), &policy[end..]);
            shop.token = shop.token_with(&less).await;
            let error = whole_life(&shop).await.expect_err(&less);
            let error = fix(&error);
            // The server tells "update" from "create" by what is there, and asks for both alike.
            let named = match capability {
                "\"update\"" => "`create`",
                other => &other.replace('"', "`"),
            };
            assert!(
                error.contains(named),
                "without {capability} in\n{less}\n{error}"
            );
            assert!(error.contains(&format!("{}/", shop.mount)), "{error}");
            tried += 1;
        }
    }
    println!("{tried} capabilities, each needed");
    assert_eq!(tried, 16);
}

/// Everything that a store can be asked for; all errors are of missing rights.
async fn whole_life(shop: &Workshop<'_>) -> Result<(), StoreError> {
    let (store, account) = (OpenBaoStore::open(shop.config()).await?, account());
    store.lease(&shop.lease(), HOUR).await?;
    store.lease(&shop.lease(), HOUR).await?;
    for password in ["one-password", "two-password"] {
        let version = shop.version(&account, password);
        stage(&store, &version).await?;
        commit(&store, &version).await?;
    }
    let dropped = shop.version(&account, "three-password");
    stage(&store, &dropped).await?;
    store.discard(&dropped.key).await?;
    // As after a stage whose answer was lost.
    let half = shop.version(&account, "four-password");
    let path = format!(
        "passwords/{}/{}/{}",
        tenant(),
        half.key.version,
        account.account
    );
    let body = json!({"data": {"password": "four-password", "user_name": "x"}});
    shop.server.put(&shop.data(&path), body).await;
    stage(&store, &half.clone().with_planned_at(Timestamp::MAX)).await?;
    store.discard(&half.key).await?;
    assert_eq!(store.prune(&Select::Tenant(tenant()), 0).await?, 1);
    // History that nobody removes is found here.
    for select in [Select::Pending(tenant()), Select::All] {
        store.versions(select).try_collect::<Vec<_>>().await?;
    }
    store.release(&shop.lease()).await?;
    // Tidying is nobody's wish, so that it says nothing when it is not allowed.
    let left = format!("{}/metadata/rotation/pending/{}", shop.mount, tenant());
    let path = format!("{left}?list=true");
    let (status, _) = shop
        .server
        .ask("GET", &path, &shop.server.root, "", Value::Null)
        .await;
    if status != 404 {
        return Err(StoreError::Unusable(
            rotation_core::Problem::new("intents are left").with_fix(format!("`delete` on {left}")),
        ));
    }
    Ok(())
}
