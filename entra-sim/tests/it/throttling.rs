//! Write quotas.

use std::time::Duration;

use entra_sim::{Config, Quota, Server, Tenant, Throttle};
use reqwest::Method;

use crate::support::{Client, PASSWORD, body, code, password_change, user_path};

const UPN: &str = "user000000@contoso.onmicrosoft.com";

async fn server(throttle: Throttle) -> Server {
    let config = Config::default()
        .tenant(Tenant::demo(100))
        .throttle(throttle);
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn writes_beyond_the_quota_are_refused_until_time_has_passed() {
    let quota = Quota::new(5, Duration::from_secs(50));
    let server = server(Throttle::app_in_tenant(quota)).await;
    let client = Client::first_app(&server).await;
    for _ in 0..5 {
        assert_eq!(client.reset(UPN).await, 204);
    }
    let request = client.request(Method::PATCH, &user_path(UPN));
    let response = request
        .json(&password_change(PASSWORD))
        .send()
        .await
        .unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("retry-after"), "10");
    assert_eq!(header("x-ms-throttle-information"), "WriteLimitExceeded");
    let tenant = server.tenant();
    assert_eq!(
        header("x-ms-throttle-scope"),
        format!(
            "Tenant_Application/Write/{}/{}",
            tenant.client_id(),
            tenant.id()
        )
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
async fn the_items_of_a_batch_count_one_by_one() {
    let quota = Quota::new(5, Duration::from_secs(3_000));
    let server = server(Throttle::default().with_tenant(quota)).await;
    let client = Client::first_app(&server).await;
    let items: Vec<_> = (0..20)
        .map(|id| {
            serde_json::json!({
                "id": id.to_string(),
                "method": "PATCH",
                "url": user_path(&format!("user{id:06}@contoso.onmicrosoft.com")),
                "headers": {"Content-Type": "application/json"},
                "body": password_change(PASSWORD),
            })
        })
        .collect();
    let (status, answer) = client.batch(&serde_json::json!({"requests": items})).await;
    assert_eq!(status, 200);
    let applied = answer["responses"].as_array().unwrap().iter();
    assert_eq!(applied.filter(|item| item["status"] == 204).count(), 5);
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
