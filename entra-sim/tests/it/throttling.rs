//! Quotas as a caller meets them.

use std::time::{Duration, Instant};

use entra_sim::{Config, Quota, RetryAfter, Server, Tenant, Throttle};
use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, body, code, password_change, user_path};

const UPN: &str = "user000000@contoso.onmicrosoft.com";

async fn server(throttle: Throttle) -> Server {
    let config = Config::default()
        .tenant(Tenant::demo(100))
        .throttle(throttle);
    Server::start(config).await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

async fn get(client: &Client, path: &str) -> Response {
    client.request(Method::GET, path).send().await.unwrap()
}

async fn patch(client: &Client) -> Response {
    let request = client.request(Method::PATCH, &user_path(UPN));
    request
        .json(&password_change(PASSWORD))
        .send()
        .await
        .unwrap()
}

fn items(count: usize) -> Value {
    let item = |id: usize| {
        json!({
            "id": id.to_string(),
            "method": "PATCH",
            "url": user_path(&format!("user{id:06}@contoso.onmicrosoft.com")),
            "headers": {"Content-Type": "application/json"},
            "body": password_change(PASSWORD),
        })
    };
    json!({"requests": (0..count).map(item).collect::<Vec<_>>()})
}

#[tokio::test]
async fn writes_beyond_the_quota_are_refused_until_time_has_passed() {
    let quota = Quota::new(5, Duration::from_secs(50));
    let server = server(Throttle::app_in_tenant(quota)).await;
    let client = Client::first_app(&server).await;
    for _ in 0..5 {
        assert_eq!(client.reset(UPN).await, 204);
    }
    let response = patch(&client).await;
    // One token for the refused request, which counts, and one for the next.
    assert_eq!(header(&response, "retry-after"), Some("20"));
    assert_eq!(
        header(&response, "x-ms-throttle-information"),
        Some("WriteLimitExceeded")
    );
    assert_eq!(
        header(&response, "x-ms-throttle-limit-percentage"),
        Some("1.20")
    );
    let tenant = server.tenant();
    let scope = format!(
        "Tenant_Application/Write/{}/{}",
        tenant.client_id(),
        tenant.id()
    );
    assert_eq!(
        header(&response, "x-ms-throttle-scope"),
        Some(scope.as_str())
    );
    let (status, answer) = body(response).await;
    assert_eq!((status, code(&answer)), (429, "TooManyRequests"));
    assert_eq!(answer["error"]["innerError"]["status"], "429");
    assert_eq!(client.get("/users?$top=1").await.0, 200, "reads still pass");

    server.advance(Duration::from_secs(20));
    assert_eq!(client.reset(UPN).await, 204);
    assert_eq!((server.totals().throttled, server.totals().writes), (1, 6));
}

#[tokio::test]
async fn the_scopes_have_the_names_of_the_documentation() {
    let quota = || Quota::new(1, Duration::from_secs(1_000));
    let none = Throttle::default;
    for (throttle, scope, information) in [
        (
            none().with_app_in_tenant(quota()),
            "Tenant_Application/Write/{app}/{tenant}",
            "WriteLimitExceeded",
        ),
        (
            none().with_app(quota()),
            "Application/Write/{app}/{app}",
            "WriteLimitExceeded",
        ),
        (
            none().with_tenant(quota()),
            "Tenant/Write/{app}/{tenant}",
            "WriteLimitExceeded",
        ),
        (
            none().with_units(quota()),
            "Tenant_Application/ReadWrite/{app}/{tenant}",
            "ResourceUnitLimitExceeded",
        ),
        (
            none().with_app_units(quota()),
            "Application/ReadWrite/{app}/{app}",
            "ResourceUnitLimitExceeded",
        ),
    ] {
        let server = server(throttle).await;
        let client = Client::first_app(&server).await;
        assert_eq!(client.reset(UPN).await, 204);
        let refused = patch(&client).await;
        let tenant = server.tenant();
        let scope = scope
            .replace("{app}", &tenant.client_id().to_string())
            .replace("{tenant}", &tenant.id().to_string());
        assert_eq!(
            header(&refused, "x-ms-throttle-scope"),
            Some(scope.as_str())
        );
        assert_eq!(
            header(&refused, "x-ms-throttle-information"),
            Some(information)
        );
    }
}

#[tokio::test]
async fn answers_say_how_many_resource_units_they_cost() {
    let server = server(Throttle::documented()).await;
    let client = Client::first_app(&server).await;
    let group = client.get("/groups").await.1["value"][0]["id"].clone();
    let members = format!("/groups/{}/members", group.as_str().unwrap());
    for (path, units) in [
        ("/users".to_owned(), "2"),
        ("/users?$select=id&$top=999".to_owned(), "1"),
        ("/users?$top=19".to_owned(), "1"),
        ("/users?$top=20".to_owned(), "2"),
        ("/users?$select=id&$top=5".to_owned(), "1"),
        (user_path(UPN), "1"),
        (members.clone(), "3"),
        (format!("{members}?$select=id"), "2"),
        ("/domains".to_owned(), "1"),
    ] {
        let response = get(&client, &path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(
            header(&response, "x-ms-resource-unit"),
            Some(units),
            "{path}"
        );
        assert_eq!(header(&response, "x-ms-throttle-limit-percentage"), None);
    }
    let response = patch(&client).await;
    assert_eq!(header(&response, "x-ms-resource-unit"), Some("1"));
}

#[tokio::test]
async fn reads_beyond_their_units_are_refused() {
    let quota = Quota::new(4, Duration::from_secs(1_000));
    let server = server(Throttle::default().with_units(quota)).await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.get("/users").await.0, 200);
    let near = get(&client, "/users?$select=id").await;
    assert_eq!(header(&near, "x-ms-throttle-limit-percentage"), None);
    let full = get(&client, "/users?$select=id").await;
    assert_eq!(
        header(&full, "x-ms-throttle-limit-percentage"),
        Some("1.00")
    );
    let refused = get(&client, "/users?$select=id").await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "retry-after")),
        (429, Some("500"))
    );
    assert_eq!(header(&refused, "x-ms-resource-unit"), None);
}

#[tokio::test]
async fn retry_after_and_percentage_may_be_missing() {
    let quota = Quota::new(1, Duration::from_secs(10));
    let throttle = Throttle::app_in_tenant(quota)
        .without_percentage()
        .retry_after(RetryAfter::Absent);
    let server = server(throttle).await;
    let client = Client::first_app(&server).await;
    let passed = patch(&client).await;
    let refused = patch(&client).await;
    assert_eq!(
        (passed.status(), refused.status().as_u16()),
        (204.try_into().unwrap(), 429)
    );
    for response in [passed, refused] {
        assert_eq!(header(&response, "x-ms-throttle-limit-percentage"), None);
        assert_eq!(header(&response, "retry-after"), None);
    }
}

#[tokio::test]
async fn the_items_of_a_batch_count_one_by_one_and_are_refused_one_by_one() {
    let quota = Quota::new(5, Duration::from_secs(3_000));
    let server = server(Throttle::default().with_tenant(quota)).await;
    let client = Client::first_app(&server).await;
    let (status, answer) = client.batch(&items(20)).await;
    assert_eq!(status, 200);
    let responses = answer["responses"].as_array().unwrap();
    let with = |status: u16| {
        responses
            .iter()
            .filter(move |item| item["status"] == status)
    };
    assert_eq!((with(204).count(), with(429).count()), (5, 15));
    for refused in with(429) {
        assert_eq!(refused["headers"]["retry-after"], "1200");
        assert_eq!(
            refused["headers"]["x-ms-throttle-information"],
            "WriteLimitExceeded"
        );
        assert_eq!(code(&refused["body"]), "TooManyRequests");
    }
    let announced =
        with(204).filter(|item| !item["headers"]["x-ms-throttle-limit-percentage"].is_null());
    assert_eq!(announced.count(), 1);
    assert_eq!(server.totals().throttled, 15);
}

#[tokio::test]
async fn one_tenant_may_be_throttled_and_the_others_not() {
    let hard = Throttle::app_in_tenant(Quota::new(1, Duration::from_secs(1_000)));
    let config = Config::default()
        .tenant(Tenant::demo(100))
        .tenant(Tenant::demo_at("b.example", 100).throttle(hard.clone()))
        .tenant(Tenant::demo_at("c.example", 100));
    let server = Server::start(config).await.unwrap();
    let passed = async || {
        let mut passed = Vec::new();
        for tenant in server.tenants() {
            let (id, secret) = (tenant.client_id(), tenant.client_secret());
            let client = Client::app(&server, &tenant, id, secret).await;
            let upn = format!("user000000@{}", tenant.domain());
            let mut count = 0;
            for _ in 0..5 {
                count += u32::from(client.reset(&upn).await == 204);
            }
            passed.push(count);
        }
        passed
    };
    assert_eq!(passed().await, [5, 1, 5]);
    server.tenants()[2].set_throttle(Some(hard));
    server.tenants()[1].set_throttle(None);
    assert_eq!(passed().await, [5, 5, 1]);
    server.set_throttle(Throttle::app_in_tenant(Quota::new(
        3,
        Duration::from_secs(1_000),
    )));
    assert_eq!(passed().await, [3, 3, 1]);
    server.reset();
    assert_eq!(passed().await, [3, 3, 1]);
}

#[tokio::test]
async fn without_a_throttle_nothing_is_refused() {
    let server = Server::start(Config::default().tenant(Tenant::demo(100)))
        .await
        .unwrap();
    let client = Client::first_app(&server).await;
    for _ in 0..50 {
        assert_eq!(client.reset(UPN).await, 204);
    }
}

#[tokio::test]
async fn answers_of_graph_take_as_long_as_told_however_many_there_are() {
    let latency = Duration::from_millis(100);
    let config = Config::default().tenant(Tenant::demo(100)).latency(latency);
    let server = Server::start(config).await.unwrap();
    let began = Instant::now();
    let client = Client::first_app(&server).await;
    join_all((0..50).map(|_| client.reset(UPN))).await;
    assert!((latency..20 * latency).contains(&began.elapsed()));

    let began = Instant::now();
    let (status, _) = client.batch(&items(20)).await;
    assert_eq!(status, 200);
    assert!((latency..20 * latency).contains(&began.elapsed()));
}
