//! Misfortune on demand.

use std::time::{Duration, Instant};

use entra_sim::{Effect, Endpoint, Fault, Server, Tenant};
use reqwest::Method;

use crate::support::{Client, PASSWORD, code, password_change, start, user_path};

const UPN: &str = "user000000@contoso.onmicrosoft.com";

async fn server() -> Server {
    start(Tenant::demo(100)).await
}

fn sets(server: &Server) -> u64 {
    server.tenant().user(UPN).unwrap().password_sets
}

#[tokio::test]
async fn an_error_status_may_hide_that_the_password_was_set() {
    for (effect, status, error, applied) in [
        (Effect::throttled(7), 429, "TooManyRequests", 0),
        (Effect::status(500), 500, "Service_InternalServerError", 0),
        (
            Effect::status_after(500),
            500,
            "Service_InternalServerError",
            1,
        ),
        (Effect::status_after(503), 503, "serviceNotAvailable", 1),
        (Effect::status(504), 504, "UnknownError", 0),
        (
            Effect::status(409),
            409,
            "Directory_ConcurrencyViolation",
            0,
        ),
        (
            Effect::expired_token(),
            401,
            "InvalidAuthenticationToken",
            0,
        ),
    ] {
        let server = server().await;
        let client = Client::first_app(&server).await;
        server.add_fault(Fault::on_patch(effect.clone()).once());
        let (actual, answer) = client.reset_to(UPN, PASSWORD).await;
        assert_eq!((actual, code(&answer)), (status, error), "{effect:?}");
        assert_eq!(sets(&server), applied, "{effect:?}");
        assert_eq!(client.reset(UPN).await, 204, "only once: {effect:?}");
    }
}

#[tokio::test]
async fn retry_after_is_sent_in_the_header() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    server.add_fault(Fault::on_patch(Effect::throttled(7)));
    let request = client.request(Method::PATCH, &user_path(UPN));
    let response = request
        .json(&password_change(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_password_is_set() {
    for (effect, applied) in [
        (Effect::disconnect_before(), 0),
        (Effect::disconnect_after(), 1),
    ] {
        let server = server().await;
        let client = Client::first_app(&server).await;
        server.add_fault(Fault::on_patch(effect).once());
        let request = client.request(Method::PATCH, &user_path(UPN));
        let error = request
            .json(&password_change(PASSWORD))
            .send()
            .await
            .unwrap_err();
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
        assert_eq!(sets(&server), applied);
        let last = server.requests().pop().unwrap();
        assert_eq!((last.status, last.faulted), (None, true));
        assert_eq!(client.reset(UPN).await, 204, "the server goes on");
    }
}

#[tokio::test]
async fn a_hanging_answer_keeps_the_client_waiting() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    server.add_fault(Fault::on_patch(Effect::hang_after()).once());
    let request = client
        .request(Method::PATCH, &user_path(UPN))
        .json(&password_change(PASSWORD))
        .timeout(Duration::from_millis(200));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(sets(&server), 1);
}

#[tokio::test]
async fn listings_come_cut_or_as_a_web_page_or_with_a_foreign_link() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let listing = |effect| Fault::new(effect).endpoint(Endpoint::Users).once();
    let fetch = async || {
        let response = client
            .request(Method::GET, "/users?$top=5")
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    server.add_fault(listing(Effect::TruncatedJson));
    let (status, text) = fetch().await;
    assert_eq!(status, 200);
    assert!(
        serde_json::from_str::<serde_json::Value>(&text).is_err(),
        "{text}"
    );

    server.add_fault(listing(Effect::Html {
        status: 502,
        applied: false,
    }));
    let (status, text) = fetch().await;
    assert!(
        status == 502 && text.starts_with("<!DOCTYPE html>"),
        "{text}"
    );

    let origin = "https://attacker.example".to_owned();
    server.add_fault(listing(Effect::ForeignNextLink { origin }));
    let (_, text) = fetch().await;
    assert!(
        text.contains(r#""https://attacker.example/v1.0/users?"#),
        "{text}"
    );
}

#[tokio::test]
async fn delays_delay() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    server.add_fault(Fault::new(Effect::delay(Duration::from_millis(120))).once());
    let start = Instant::now();
    assert_eq!(client.reset(UPN).await, 204);
    assert!(start.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn an_account_is_recognised_by_id_and_by_upn() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let id = server.tenant().user(UPN).unwrap().id.to_string();
    for rule in [UPN, &id] {
        server.add_fault(Fault::on_patch(Effect::status(500)).account(rule));
        for key in [UPN, &id] {
            assert_eq!(client.reset(key).await, 500, "{rule} {key}");
        }
        assert_eq!(
            client.reset("user000001@contoso.onmicrosoft.com").await,
            204
        );
        server.clear_faults();
    }
}

#[tokio::test]
async fn the_token_endpoint_fails_in_its_own_words() {
    let server = server().await;
    server.add_fault(
        Fault::new(Effect::status(503))
            .endpoint(Endpoint::Token)
            .once(),
    );
    let tenant = server.tenant();
    let (status, answer) = crate::support::token(&server, &tenant.id().to_string(), &[]).await;
    assert_eq!(
        (status, &answer["error"]),
        (503, &"temporarily_unavailable".into())
    );
    assert_eq!(answer["error_codes"][0], 90_033);
    Client::first_app(&server).await;
}
