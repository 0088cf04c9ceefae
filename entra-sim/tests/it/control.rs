//! The control endpoint, as another process would use it.

use entra_sim::{Server, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, body, password_change, start, user_path};

const UPN: &str = "user000000@contoso.onmicrosoft.com";

async fn control(
    server: &Server,
    method: Method,
    path: &str,
    content: Option<Value>,
) -> (u16, Value) {
    let url = format!("{}/__control{path}", server.base_url());
    let mut request = reqwest::Client::new()
        .request(method, url)
        .bearer_auth(server.control_token());
    if let Some(content) = content {
        request = request.json(&content);
    }
    body(request.send().await.unwrap()).await
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let server = start(Tenant::demo(60)).await;
    for token in ["", "guess"] {
        let url = format!("{}/__control/tenants", server.base_url());
        let response = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await;
        assert_eq!(response.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn a_run_can_be_prepared_watched_and_undone() {
    let server = start(Tenant::demo(100)).await;
    let client = Client::first_app(&server).await;
    let (_, tenants) = control(&server, Method::GET, "/tenants", None).await;
    assert_eq!(
        tenants[0]["clientId"],
        server.tenant().client_id().to_string()
    );
    let users = format!("/tenants/{}/users", tenants[0]["id"].as_str().unwrap());

    let fault =
        json!({"effect": {"kind": "answer", "status": 503}, "endpoint": "user", "times": 1});
    assert_eq!(
        control(&server, Method::POST, "/faults", Some(fault))
            .await
            .0,
        204
    );
    assert_eq!(client.reset(UPN).await, 503);
    assert_eq!(client.reset(UPN).await, 204);

    let (_, user) = control(&server, Method::GET, &format!("{users}/{UPN}"), None).await;
    assert_eq!(
        (&user["passwordSets"], &user["ordinary"]),
        (&1.into(), &true.into())
    );
    let check = async |password: &str| {
        let content = Some(json!({"password": password}));
        let path = format!("{users}/{UPN}/checkPassword");
        control(&server, Method::POST, &path, content).await.1["current"].clone()
    };
    assert_eq!(check(PASSWORD).await, true);
    assert_eq!(
        check(user["initialPassword"].as_str().unwrap()).await,
        false
    );

    let (_, records) = control(&server, Method::GET, "/requests", None).await;
    let last = records.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["method"], &last["status"]),
        (&"PATCH".into(), &204.into())
    );
    assert_eq!(last["account"], user["id"]);
    let (_, totals) = control(&server, Method::GET, "/totals", None).await;
    assert_eq!(
        (&totals["writes"], &totals["requests"]),
        (&1.into(), &3.into())
    );

    assert_eq!(control(&server, Method::POST, "/reset", None).await.0, 204);
    assert_eq!(check(PASSWORD).await, false);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_password_may_change_behind_the_callers_back() {
    let server = start(Tenant::demo(60)).await;
    let client = Client::first_app(&server).await;
    let id = server.tenant().user(UPN).unwrap().id;
    let late = json!({"effect": {"kind": "late"}, "method": "PATCH", "times": 1});
    let (status, _) = control(&server, Method::POST, "/faults", Some(late)).await;
    assert_eq!(status, 204);
    let request = client.request(Method::PATCH, &user_path(UPN));
    let sent = request.json(&password_change(PASSWORD)).send().await;
    assert!(sent.is_err());

    let path = format!(
        "/tenants/{}/users/{UPN}/setPassword",
        server.tenant().domain()
    );
    let other = json!({"password": "s0mebody else's"});
    let (status, _) = control(&server, Method::POST, &path, Some(other)).await;
    assert_eq!(status, 204);
    assert!(server.tenant().current_password_is(id, "s0mebody else's"));

    let (_, released) = control(&server, Method::POST, "/late", None).await;
    assert_eq!(released["released"], 1);
    assert!(server.tenant().current_password_is(id, PASSWORD));
}

#[tokio::test]
async fn users_come_in_windows_and_can_be_deleted() {
    let server = start(Tenant::demo(100)).await;
    let users = format!("/tenants/{}/users", server.tenant().domain());
    let (_, page) = control(
        &server,
        Method::GET,
        &format!("{users}?skip=95&top=10"),
        None,
    )
    .await;
    assert_eq!(page.as_array().unwrap().len(), 5);
    assert_eq!(
        control(&server, Method::DELETE, &format!("{users}/{UPN}"), None)
            .await
            .0,
        204
    );
    assert!(server.tenant().user(UPN).is_none());
    assert_eq!(
        control(&server, Method::GET, &format!("{users}/{UPN}"), None)
            .await
            .0,
        404
    );
    assert_eq!(
        control(&server, Method::GET, "/tenants/nowhere/users", None)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn limits_and_latency_can_be_set() {
    let server = start(Tenant::demo(60)).await;
    let client = Client::first_app(&server).await;
    let own = format!("/tenants/{}/throttle", server.tenant().domain());
    let set = async |path: &str, content: Value| {
        control(&server, Method::POST, path, Some(content)).await.0
    };
    let limit = |count: u32| json!({"appInTenant": {"count": count, "seconds": 1000}});
    let passed = async || {
        let mut passed = 0;
        for _ in 0..5 {
            passed += u32::from(client.reset(UPN).await == 204);
        }
        passed
    };
    assert_eq!(passed().await, 5);
    assert_eq!(set("/throttle", limit(2)).await, 204);
    assert_eq!(passed().await, 2);
    assert_eq!(set(&own, limit(3)).await, 204);
    assert_eq!(passed().await, 3);
    assert_eq!(set(&own, "none".into()).await, 204);
    assert_eq!(passed().await, 5);
    assert_eq!(control(&server, Method::DELETE, &own, None).await.0, 204);
    assert_eq!(set("/throttle", "documented".into()).await, 204);
    assert_eq!(passed().await, 5);

    for (path, content, expected) in [
        ("/throttle", json!("much"), 422),
        ("/throttle", json!({"app": {"count": 0, "seconds": 1}}), 422),
        ("/tenants/nowhere/throttle", json!("none"), 404),
        ("/latency", json!({"milliseconds": -1}), 422),
        ("/latency", json!({"milliseconds": 40}), 204),
    ] {
        assert_eq!(
            set(path, content.clone()).await,
            expected,
            "{path} {content}"
        );
    }
    let began = std::time::Instant::now();
    assert_eq!(client.reset(UPN).await, 204);
    assert!(began.elapsed() >= std::time::Duration::from_millis(40));
}

#[tokio::test]
async fn a_malformed_fault_is_refused() {
    let server = start(Tenant::demo(60)).await;
    for fault in [
        json!({}),
        json!({"effect": {"kind": "earthquake"}}),
        json!("x"),
    ] {
        let (status, _) = control(&server, Method::POST, "/faults", Some(fault.clone())).await;
        assert_eq!(status, 422, "{fault}");
    }
}
