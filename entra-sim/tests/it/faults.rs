//! Misfortune on demand.

use std::time::{Duration, Instant};

use entra_sim::{Effect, Endpoint, Fault, Server, Tenant};
use reqwest::Method;
use serde_json::json;

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
    for words in ["7", "1.5", "Sat, 21 Nov 2026 12:00:00 GMT", "-1", "soon"] {
        let effect = Effect::status(429).retry_after(words);
        server.add_fault(Fault::on_patch(effect).once());
        let request = client.request(Method::PATCH, &user_path(UPN));
        let request = request.json(&password_change(PASSWORD));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["retry-after"], words);
    }
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
async fn a_reset_is_told_from_a_farewell() {
    for (effect, applied) in [(Effect::reset_before(), 0), (Effect::reset_after(), 1)] {
        let server = server().await;
        let client = Client::first_app(&server).await;
        server.add_fault(Fault::on_patch(effect.clone()).once());
        let request = client.request(Method::PATCH, &user_path(UPN));
        let request = request.json(&password_change(PASSWORD));
        let error = request.send().await.unwrap_err();
        assert!(
            format!("{error:?}").contains("ConnectionReset"),
            "{error:?}"
        );
        assert_eq!(sets(&server), applied, "{effect:?}");
        assert_eq!(client.reset(UPN).await, 204, "the server goes on");
    }
}

#[tokio::test]
async fn a_late_request_takes_effect_when_it_is_released() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let id = server.tenant().user(UPN).unwrap().id;
    server.add_fault(Fault::on_patch(Effect::late()).once());
    let request = client.request(Method::PATCH, &user_path(UPN));
    let late = request.json(&password_change("Stuck-0n-its-way")).send();
    assert!(late.await.unwrap_err().is_request());
    assert_eq!(client.reset(UPN).await, 204);
    assert!(server.tenant().current_password_is(id, PASSWORD));
    // Longer than its token is good for.
    server.advance(Duration::from_secs(7_200));
    assert_eq!(server.release_late(), 1);
    assert!(server.tenant().current_password_is(id, "Stuck-0n-its-way"));
    assert_eq!((server.release_late(), server.totals().writes), (0, 2));
}

#[tokio::test]
async fn a_late_request_may_know_its_time_itself() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let late = Effect::Late { after_ms: Some(20) };
    server.add_fault(Fault::on_patch(late).once());
    let request = client.request(Method::PATCH, &user_path(UPN));
    let sent = request.json(&password_change(PASSWORD)).send().await;
    assert!(sent.is_err());
    while sets(&server) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_late_item_is_missing_in_the_answer_of_its_batch() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let item = |id: u32, upn: &str| {
        json!({
            "id": id.to_string(), "method": "PATCH", "url": user_path(upn),
            "headers": {"Content-Type": "application/json"}, "body": password_change(PASSWORD),
        })
    };
    let other = "user000001@contoso.onmicrosoft.com";
    server.add_fault(Fault::on_patch(Effect::late()).account(UPN));
    let requests = json!({"requests": [item(1, UPN), item(2, other)]});
    let (_, answer) = client.batch(&requests).await;
    let [only] = answer["responses"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!((&only["id"], &only["status"]), (&"2".into(), &204.into()));
    assert_eq!((sets(&server), server.release_late()), (0, 1));
    assert_eq!(sets(&server), 1);
}

#[tokio::test]
async fn an_answer_may_break_off_or_lead_elsewhere_or_be_another_success() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    let send = async |effect: Effect| {
        server.add_fault(Fault::on_patch(effect).once());
        let request = client.request(Method::PATCH, &user_path(UPN));
        request
            .json(&password_change(PASSWORD))
            .send()
            .await
            .unwrap()
    };
    let broken = send(Effect::BrokenOff {
        status: 403,
        applied: true,
    })
    .await;
    assert_eq!((broken.status().as_u16(), sets(&server)), (403, 1));
    assert!(broken.text().await.is_err());

    assert_eq!(send(Effect::status_after(200)).await.status(), 200);
    assert_eq!(sets(&server), 2);

    let location = format!("{}/elsewhere", server.base_url());
    let led = send(Effect::Redirect {
        status: 307,
        location,
        applied: false,
    })
    .await;
    assert_eq!((led.url().path(), sets(&server)), ("/elsewhere", 2));
}

#[tokio::test]
async fn every_answer_is_dated_by_the_clock_of_the_server() {
    let server = server().await;
    let ahead = Duration::from_secs(3 * 366 * 86_400);
    let year = async |path: &str| {
        let url = format!("{}{path}", server.base_url());
        let response = reqwest::get(url).await.unwrap();
        let date = response.headers()["date"].to_str().unwrap().to_owned();
        let words: Vec<&str> = date.split(' ').collect();
        assert!(words.len() == 6 && words[5] == "GMT", "{date}");
        words[3].parse::<u32>().unwrap()
    };
    let paths = ["/v1.0/users", "/__control/tenants", "/nothing"];
    let before = year(paths[0]).await;
    server.advance(ahead);
    for path in paths {
        assert_eq!(year(path).await, before + 3, "{path}");
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
