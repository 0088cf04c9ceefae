//! Following a collection page by page, and where not to.

use std::sync::Arc;
use std::time::Duration;

use backend_graph::GraphBackend;
use futures::{StreamExt, TryStreamExt};
use rotation_core::{Account, AccountQuery, BackendError, RotationBackend};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Tenant, config, raw_server, refusal, user};

/// Lets Graph answer the page of `token` ("" is the first) with `users`, then the link to page `next`.
async fn page(tenant: &Tenant, token: &str, users: &[Value], next: Option<&str>) {
    let mut body = json!({"value": users});
    if let Some(next) = next {
        body["@odata.nextLink"] = json!(next);
    }
    answer(
        tenant,
        token,
        ResponseTemplate::new(200).set_body_json(body),
    )
    .await;
}

async fn answer(tenant: &Tenant, token: &str, answer: ResponseTemplate) {
    at(token).respond_with(answer).mount(&tenant.graph).await;
}

fn at(token: &str) -> wiremock::MockBuilder {
    let users = Mock::given(method("GET")).and(path("/v1.0/users"));
    match token {
        "" => users.and(query_param_is_missing("$skiptoken")),
        token => users.and(query_param("$skiptoken", token)),
    }
}

fn link(tenant: &Tenant, token: &str) -> String {
    format!("{}/v1.0/users?$skiptoken={token}", tenant.graph.uri())
}

async fn tenant() -> Tenant {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    tenant
}

async fn list(tenant: &Tenant) -> Result<Vec<Account>, BackendError> {
    tenant
        .backend()
        .accounts(AccountQuery::All)
        .try_collect()
        .await
}

fn names(accounts: &[Account]) -> Vec<&str> {
    accounts
        .iter()
        .map(|account| account.user_name.trim_end_matches("@contoso.com"))
        .collect()
}

#[tokio::test]
async fn pages_are_followed_to_the_last_even_through_an_empty_one() {
    let tenant = tenant().await;
    page(&tenant, "", &[user(1), user(2)], Some(&link(&tenant, "b"))).await;
    page(&tenant, "b", &[], Some(&link(&tenant, "c"))).await;
    page(&tenant, "c", &[user(3)], None).await;
    assert_eq!(
        names(&list(&tenant).await.unwrap()),
        ["user1", "user2", "user3"]
    );
}

#[tokio::test]
async fn a_full_page_with_all_fields_is_asked_for() {
    let tenant = tenant().await;
    page(&tenant, "", &[], None).await;
    list(&tenant).await.unwrap();
    let received = tenant.graph.received_requests().await.unwrap();
    let users = received
        .iter()
        .find(|request| request.url.path() == "/v1.0/users")
        .unwrap();
    let query = users.url.query().unwrap();
    assert!(query.contains("$top=999"), "{query}");
    assert!(query.contains("isManagementRestricted"), "{query}");
}

#[tokio::test]
async fn our_token_never_goes_to_another_host() {
    let tenant = tenant().await;
    let other = MockServer::start().await;
    page(
        &tenant,
        "",
        &[user(1)],
        Some(&format!("{}/v1.0/users", other.uri())),
    )
    .await;
    let error = list(&tenant).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
    assert!(error.to_string().contains(&tenant.graph.uri()), "{error}");
    assert!(error.to_string().contains(&other.uri()), "{error}");
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let tenant = tenant().await;
    let other = MockServer::start().await;
    let away = ResponseTemplate::new(302).insert_header("location", other.uri());
    answer(&tenant, "", away).await;
    let error = list(&tenant).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_an_error() {
    let tenant = tenant().await;
    page(&tenant, "", &[user(1)], Some(&link(&tenant, "b"))).await;
    page(&tenant, "b", &[user(2)], Some(&link(&tenant, "c"))).await;
    page(&tenant, "c", &[user(3)], Some(&link(&tenant, "b"))).await;
    let error = list(&tenant).await.unwrap_err();
    assert!(error.to_string().contains("in a circle"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_page_says_what_it_is() {
    for (answer, words) in [
        (
            ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
            "text/html",
        ),
        (ResponseTemplate::new(200), "nothing"),
        (
            ResponseTemplate::new(200).set_body_raw("{\"value\":[{\"id\"", "application/json"),
            "ends in the middle",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({"values": []})),
            "missing field `value`",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({"value": [{"id": 5}]})),
            "invalid type: integer `5`",
        ),
        (ResponseTemplate::new(204), "answered 204"),
    ] {
        let tenant = tenant().await;
        self::answer(&tenant, "", answer).await;
        let error = list(&tenant).await.unwrap_err();
        assert!(
            matches!(error, BackendError::Unexpected(_)),
            "{words}: {error:?}"
        );
        assert!(error.to_string().contains("/v1.0/users"), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[tokio::test]
async fn a_broken_answer_is_asked_for_again_and_then_unavailable() {
    let tenant = Tenant::start().await;
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"value\":[";
    let config = config(&tenant.authority.uri(), &raw_server(broken).await);
    let backend = GraphBackend::new(config.with_pim(false)).unwrap();
    let error = backend.caller().await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("broke off"), "{error}");
    assert!(backend.traffic().requests >= 5);
}

#[tokio::test]
async fn a_busy_answer_is_asked_for_again_when_it_says() {
    for status in [429, 500, 502, 503, 504] {
        let tenant = tenant().await;
        let busy = ResponseTemplate::new(status).insert_header("retry-after", "0");
        at("")
            .respond_with(busy)
            .up_to_n_times(4)
            .mount(&tenant.graph)
            .await;
        page(&tenant, "", &[user(1)], None).await;
        assert_eq!(list(&tenant).await.unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_stays_busy_or_asks_for_hours_is_unavailable() {
    for (wait, tries) in [("0", 5), ("86400", 1)] {
        let tenant = tenant().await;
        let busy = refusal(503, "ServiceUnavailable", "x").insert_header("retry-after", wait);
        at("")
            .respond_with(busy)
            .expect(tries)
            .mount(&tenant.graph)
            .await;
        let error = list(&tenant).await.unwrap_err();
        assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
        assert!(error.problem().request_id.is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn an_expired_page_link_starts_again_and_gives_no_account_twice() {
    let tenant = tenant().await;
    page(&tenant, "", &[user(1), user(2)], Some(&link(&tenant, "b"))).await;
    let expired = refusal(
        400,
        "Directory_ExpiredPageToken",
        "The page token has expired.",
    );
    at("b")
        .respond_with(expired)
        .up_to_n_times(1)
        .mount(&tenant.graph)
        .await;
    page(&tenant, "b", &[user(3)], None).await;
    assert_eq!(
        names(&list(&tenant).await.unwrap()),
        ["user1", "user2", "user3"]
    );
}

#[tokio::test]
async fn a_page_link_that_expires_again_and_again_is_an_error() {
    let tenant = tenant().await;
    page(&tenant, "", &[user(1)], Some(&link(&tenant, "b"))).await;
    let expired = refusal(
        400,
        "Directory_ExpiredPageToken",
        "The page token has expired.",
    );
    answer(&tenant, "b", expired).await;
    let error = list(&tenant).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_listing_ends_after_its_first_error() {
    let tenant = tenant().await;
    page(&tenant, "", &[user(1)], Some("https://graph.example/next")).await;
    let found: Vec<_> = tenant.backend().accounts(AccountQuery::All).collect().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].is_err());
}

#[tokio::test]
async fn one_page_is_read_ahead_and_no_more() {
    let tenant = Arc::new(tenant().await);
    for (token, n, next) in [("", 1, Some("b")), ("b", 2, Some("c")), ("c", 3, None)] {
        let next = next.map(|next| link(&tenant, next));
        page(&tenant, token, &[user(n)], next.as_deref()).await;
    }
    let backend = tenant.backend();
    let mut accounts = backend.accounts(AccountQuery::All);
    accounts.next().await.unwrap().unwrap();
    // While nobody asks for the next account, its page comes in, and no other.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let received = tenant.graph.received_requests().await.unwrap();
    let pages = received
        .iter()
        .filter(|request| request.url.path() == "/v1.0/users");
    assert_eq!(pages.count(), 2);
}

/// While it is read, accounts move to later pages, or to earlier ones, and some vanish.
#[tokio::test]
async fn a_listing_that_changes_while_it_is_read_gives_every_account_once() {
    let tenant = tenant().await;
    page(
        &tenant,
        "",
        &[user(1), user(2), user(2)],
        Some(&link(&tenant, "b")),
    )
    .await;
    // 2 came again, 3 moved to a later page before this one was read
    page(
        &tenant,
        "b",
        &[user(2), user(4), user(1)],
        Some(&link(&tenant, "c")),
    )
    .await;
    // a page that holds nothing new, and one that lost all of its accounts
    page(&tenant, "c", &[user(4), user(2)], Some(&link(&tenant, "d"))).await;
    page(&tenant, "d", &[], Some(&link(&tenant, "e"))).await;
    page(&tenant, "e", &[user(3), user(1), user(5)], None).await;
    assert_eq!(
        names(&list(&tenant).await.unwrap()),
        ["user1", "user2", "user4", "user3", "user5"]
    );
}

#[tokio::test]
async fn an_account_that_is_gone_when_the_listing_starts_again_was_given_once() {
    let tenant = tenant().await;
    at("")
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "value": [user(1), user(2)],
            "@odata.nextLink": link(&tenant, "b"),
        })))
        .up_to_n_times(1)
        .mount(&tenant.graph)
        .await;
    page(&tenant, "", &[user(2), user(4)], Some(&link(&tenant, "b"))).await;
    let expired = refusal(400, "Directory_ExpiredPageToken", "x");
    at("b")
        .respond_with(expired)
        .up_to_n_times(1)
        .mount(&tenant.graph)
        .await;
    page(&tenant, "b", &[user(3), user(4)], None).await;
    assert_eq!(
        names(&list(&tenant).await.unwrap()),
        ["user1", "user2", "user4", "user3"]
    );
}

/// A page that leads to itself is a circle as well, even if no account comes of it.
#[tokio::test]
async fn pages_without_accounts_that_lead_in_a_circle_are_an_error_too() {
    let tenant = tenant().await;
    page(&tenant, "", &[], Some(&link(&tenant, "b"))).await;
    page(&tenant, "b", &[], Some(&link(&tenant, "b"))).await;
    let error = list(&tenant).await.unwrap_err();
    assert!(error.to_string().contains("in a circle"), "{error}");
}
