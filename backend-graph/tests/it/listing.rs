//! What an account is made of, and how it is found by name.

use backend_graph::GraphBackend;
use futures::TryStreamExt;
use rotation_core::{Account, AccountId, AccountKind, AccountQuery, BackendError, RotationBackend};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::{Tenant, guid, refusal, user};

async fn find(tenant: &Tenant, query: AccountQuery) -> Result<Vec<Account>, BackendError> {
    tenant.backend().accounts(query).try_collect().await
}

fn named(references: &[&str]) -> AccountQuery {
    AccountQuery::Named(references.iter().map(ToString::to_string).collect())
}

fn with(n: u32, properties: Value) -> Value {
    let mut user = user(n);
    for (name, value) in properties.as_object().unwrap() {
        user[name] = value.clone();
    }
    user
}

#[tokio::test]
async fn an_account_is_described_as_the_directory_has_it() {
    let tenant = Tenant::start().await;
    let domains = json!([
        {"id": "contoso.com", "authenticationType": "Managed"},
        {"id": "ADFS.contoso.com", "authenticationType": "Federated"},
    ]);
    tenant.has("domains", domains).await;
    tenant.has_no_roles().await;
    let users = json!([
        user(1),
        with(2, json!({"userType": "Guest", "accountEnabled": false})),
        with(
            3,
            json!({"onPremisesSyncEnabled": true, "lastPasswordChangeDateTime": null})
        ),
        with(
            4,
            json!({"userPrincipalName": "u4@adfs.contoso.com", "displayName": null})
        ),
    ]);
    tenant.has("users", users).await;

    let accounts = find(&tenant, AccountQuery::All).await.unwrap();
    let kinds: Vec<AccountKind> = accounts.iter().map(|account| account.kind).collect();
    let expected = [
        AccountKind::Cloud,
        AccountKind::Guest,
        AccountKind::Synced,
        AccountKind::Federated,
    ];
    assert_eq!(kinds, expected);
    let first = &accounts[0];
    assert_eq!(first.id, AccountId::new(&guid(1)));
    assert_eq!(first.user_name, "user1@contoso.com");
    assert_eq!(first.display_name, "User 1");
    assert!(first.enabled && !accounts[1].enabled);
    assert_eq!(first.created, Some("2024-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(
        first.password_changed,
        Some("2025-01-02T03:04:05Z".parse().unwrap())
    );
    assert_eq!(accounts[2].password_changed, None);
    assert_eq!(accounts[3].display_name, "");
}

#[tokio::test]
async fn what_an_account_holds_is_unknown_if_our_permissions_do_not_show_it() {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    let basic_profile =
        json!({"id": guid(1), "userPrincipalName": "a@contoso.com", "displayName": "A"});
    tenant.has("users", json!([basic_profile, user(2)])).await;
    let accounts = find(&tenant, AccountQuery::All).await.unwrap();
    assert_eq!(accounts[0].holdings, None);
    assert!(accounts[1].holdings.is_some());
}

#[tokio::test]
async fn named_accounts_are_read_one_by_one_and_missing_ones_left_out() {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    let one = |n| ResponseTemplate::new(200).set_body_json(user(n));
    tenant.says(&format!("users/{}", guid(1)), one(1)).await;
    tenant.says("users/user1@contoso.com", one(1)).await;
    tenant
        .says("users/a_b.com%23EXT%23@contoso.com", one(2))
        .await;
    tenant.says("users('$odd@contoso.com')", one(3)).await;
    let gone = refusal(404, "Request_ResourceNotFound", "Resource does not exist.");
    tenant.says("users/gone@contoso.com", gone).await;

    let query = named(&[
        &guid(1),
        "user1@contoso.com",
        "gone@contoso.com",
        "a_b.com#EXT#@contoso.com",
        "$odd@contoso.com",
    ]);
    let accounts = find(&tenant, query).await.unwrap();
    let ids: Vec<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
    assert_eq!(ids, [guid(1), guid(2), guid(3)]);
}

#[tokio::test]
async fn a_404_that_is_not_graphs_hides_no_account() {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    let html = ResponseTemplate::new(404).set_body_raw("<html>", "text/html");
    tenant.says("users/a@contoso.com", html).await;
    let error = find(&tenant, named(&["a@contoso.com"])).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
}

#[tokio::test]
async fn no_name_reads_anything_but_one_user() {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    tenant.has("users", json!([user(1)])).await;
    for name in ["", ".", "..", "../users", "?$top=1", "#"] {
        let outcome = find(&tenant, named(&[name])).await;
        assert!(
            !outcome.is_ok_and(|accounts| !accounts.is_empty()),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn the_last_change_of_a_password_is_read_from_the_user() {
    let tenant = Tenant::start().await;
    let changed = json!({"lastPasswordChangeDateTime": "2026-05-06T07:08:09Z"});
    let changed = ResponseTemplate::new(200).set_body_json(changed);
    tenant.says(&format!("users/{}", guid(1)), changed).await;
    let silent = ResponseTemplate::new(200).set_body_json(json!({}));
    tenant.says(&format!("users/{}", guid(2)), silent).await;

    let backend: GraphBackend = tenant.backend();
    let at = |n| AccountId::new(&guid(n));
    let found = backend.password_changed(&at(1)).await.unwrap();
    assert_eq!(found, Some("2026-05-06T07:08:09Z".parse().unwrap()));
    assert_eq!(backend.password_changed(&at(2)).await.unwrap(), None);
}
