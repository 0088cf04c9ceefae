//! Promise 8: no password, secret or token in anything that can be printed.

use std::sync::{Arc, Mutex};

use backend_graph::GraphBackend;
use futures::StreamExt;
use rotation_core::{Account, AccountId, AccountQuery, RotationBackend};
use serde_json::json;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use wiremock::ResponseTemplate;

use crate::support::{
    PASSWORD, Reply, SECRET, Tenant, config, guid, nobody, raw_server, refusal, request,
    request_for, token,
};

/// What must never be seen, also as JSON writes it.
fn secrets() -> Vec<String> {
    let token = token(&json!({"roles": ["User.Read.All"]}));
    vec![
        PASSWORD.to_owned(),
        json!(PASSWORD).to_string().trim_matches('"').to_owned(),
        SECRET.to_owned(),
        token,
    ]
}

fn assert_silent(place: &str, shown: &str) {
    for secret in secrets() {
        assert!(!shown.contains(&secret), "{place} shows {secret}: {shown}");
    }
}

fn account() -> Account {
    Account::new(AccountId::new(&guid(1)), "ada@contoso.com")
}

/// Everything the backend can be made to say.
async fn everything(backend: &GraphBackend) -> String {
    let outcome = backend.set_password(&request()).await;
    let batch = [request(), request_for(2), request_for(3)];
    let outcomes = backend.set_passwords(&batch).await;
    let sign_in = backend.signs_in(&account(), &request().password).await;
    let caller = backend.caller().await;
    let accounts: Vec<_> = backend.accounts(AccountQuery::All).collect().await;
    let mut shown = format!(
        "{backend:?} {batch:?} {outcome:?} {outcomes:?} {sign_in:?} {caller:?} {accounts:?}"
    );
    if let Err(error) = caller {
        shown += &error.to_string();
    }
    shown
}

#[tokio::test]
async fn nothing_secret_is_shown_whatever_the_answers() {
    let echo = secrets().join(" ");
    let json_echo = refusal(403, "Authorization_RequestDenied", &echo);
    let html_echo = ResponseTemplate::new(400).set_body_raw(echo.clone(), "text/html");
    let code_echo = refusal(403, &echo, "x").insert_header("request-id", echo.as_str());
    let type_echo = ResponseTemplate::new(403).set_body_raw("x", &echo);
    for (place, answer) in [
        ("an error that repeats the request", json_echo),
        ("a page that repeats the request", html_echo),
        ("a code that repeats the request", code_echo),
        ("a content type that repeats the request", type_echo),
        ("a success", ResponseTemplate::new(204)),
    ] {
        let tenant = Tenant::start().await;
        tenant.answers_patch(answer.clone()).await;
        for resource in ["users", "roleManagement/directory/roleAssignments"] {
            tenant.says(resource, answer.clone()).await;
        }
        tenant.has_no_roles().await;
        assert_silent(place, &everything(&tenant.backend()).await);
    }
}

#[tokio::test]
async fn nothing_secret_is_shown_whatever_the_answers_to_a_batch() {
    let echo = secrets().join(" ");
    let refused = Reply::error(403, &echo, &echo);
    let item = |id: &str| refused.clone().header("request-id", &echo).item(id);
    let mut items = [item("1"), item("2"), item("3"), item(&echo)];
    let mut bodies = vec![json!({"responses": items}), json!({"responses": echo})];
    for member in ["headers", "body", "status", "id"] {
        for item in &mut items {
            item[member] = json!(echo);
        }
        bodies.push(json!({"responses": items}));
    }
    bodies.push(json!({"responses": [item("1"), Reply::error(404, &echo, &echo).item("1")]}));
    bodies.push(
        json!({"responses": [{"id": "1", echo.clone(): echo, "headers": {echo.clone(): echo}}]}),
    );
    bodies.push(json!({echo.clone(): echo}));
    bodies.push(json!(echo));
    let answers = bodies.iter().map(|body| Reply::new(200).json(body));
    let refused = Reply::error(400, "BadRequest", &echo).header("x-ms-throttle-scope", &echo);
    for answer in answers.chain([refused, Reply::new(400).text(&echo, "text/html")]) {
        let tenant = Tenant::start().await;
        tenant.answers_batch(ResponseTemplate::from(answer)).await;
        let backend = tenant.backend();
        let batch = [request(), request_for(2), request_for(3)];
        let outcomes = backend.set_passwords(&batch).await;
        assert_silent("a batch", &format!("{backend:?} {batch:?} {outcomes:?}"));
    }
}

#[tokio::test]
async fn nothing_secret_is_shown_when_signing_in_fails() {
    let tenant = Tenant::without_tokens().await;
    let body = json!({"error": "invalid_client", "error_description": secrets().join(" "), "error_codes": [7000215]});
    tenant
        .authority_says(ResponseTemplate::new(401).set_body_json(body))
        .await;
    assert_silent("a refused sign-in", &everything(&tenant.backend()).await);
}

#[tokio::test]
async fn nothing_secret_is_shown_of_a_sign_in_that_is_told_back() {
    let echo = secrets().join(" ");
    let error =
        json!({"error": echo, "error_description": echo, "error_codes": [50057], "trace_id": echo});
    for (status, body) in [
        (400, error.clone()),
        (400, json!({"error": {"code": echo, "message": echo}})),
        (200, json!({"access_token": 1, "refresh_token": echo})),
        (503, error),
    ] {
        let tenant = Tenant::without_tokens().await;
        let answer = ResponseTemplate::new(status).insert_header("request-id", "x");
        tenant.authority_says(answer.set_body_json(body)).await;
        let (backend, request) = (tenant.backend(), request());
        let sign_in = backend.signs_in(&account(), &request.password).await;
        assert_silent("a sign-in", &format!("{sign_in:?}"));
    }
}

#[tokio::test]
async fn nothing_secret_is_shown_when_the_answer_is_lost() {
    let tenant = Tenant::start().await;
    for graph in [nobody().await, raw_server("").await] {
        let backend = GraphBackend::new(config(&tenant.authority.uri(), &graph)).unwrap();
        let outcome = backend.set_password(&request()).await;
        let outcomes = backend.set_passwords(&[request(), request_for(2)]).await;
        assert_silent(&graph, &format!("{backend:?} {outcome:?} {outcomes:?}"));
    }
    for authority in [nobody().await, raw_server("").await] {
        let backend = GraphBackend::new(config(&authority, &tenant.graph.uri())).unwrap();
        let sign_in = backend.signs_in(&account(), &request().password).await;
        assert_silent(&authority, &format!("{backend:?} {sign_in:?}"));
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    // With one subscriber alone, an event that another thread meets first, without it, stays off for all.
    let _second = Dispatch::new(NoSubscriber::default());
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of this test has one thread, so this catches what its tasks log too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let tenant = Tenant::start().await;
    tenant
        .answers_patch(refusal(401, "InvalidAuthenticationToken", "no"))
        .await;
    let echo = secrets().join(" ");
    let items = ["1", "2", &echo].map(|id| Reply::error(404, "X", &echo).item(id));
    tenant
        .answers_batch(ResponseTemplate::from(Reply::batch(&items)))
        .await;
    everything(&tenant.backend()).await;
    let locked = json!({"error": "invalid_grant", "error_codes": [50053]});
    let locked = ResponseTemplate::new(400).set_body_json(locked);
    let tenant = Tenant::without_tokens().await;
    tenant.authority_says(locked).await;
    everything(&tenant.backend()).await;
    let logged = log.text();
    for place in [
        "PATCH http://",
        "POST http://",
        "/$batch",
        "nobody asked for",
    ] {
        assert!(logged.contains(place), "nothing was logged: {logged}");
    }
    assert_silent("the log", &logged);
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_secret_is_shown_of_a_configuration() {
    let config = config("http://127.0.0.1:1", "http://127.0.0.1:2");
    assert_silent("the configuration", &format!("{config:?}"));
}
