//! `$batch`.

use std::time::{Duration, Instant};

use entra_sim::{App, Effect, Endpoint, Fault, Server, User};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, at, code, password_change, start, tenant, user_path};

async fn server(users: usize) -> Server {
    let tenant = (0..users).fold(tenant().app(App::rotation()), |tenant, index| {
        tenant.user(User::new(at(&format!("user{index}"))))
    });
    start(tenant).await
}

fn item(id: usize) -> Value {
    json!({
        "id": id.to_string(),
        "method": "PATCH",
        "url": user_path(&at(&format!("user{id}"))),
        "headers": {"Content-Type": "application/json"},
        "body": password_change(PASSWORD),
    })
}

fn envelope(items: impl IntoIterator<Item = Value>) -> Value {
    json!({"requests": items.into_iter().collect::<Vec<_>>()})
}

fn response<'a>(answer: &'a Value, id: &str) -> Option<&'a Value> {
    let responses = answer["responses"].as_array().unwrap();
    responses.iter().find(|response| response["id"] == id)
}

#[tokio::test]
async fn twenty_items_are_carried_out_and_answered_in_another_order() {
    let server = server(20).await;
    let client = Client::first_app(&server).await;
    let (status, answer) = client.batch(&envelope((0..20).map(item))).await;
    assert_eq!(status, 200);
    let ids: Vec<&str> = answer["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|response| response["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 20);
    assert_ne!(ids[0], "0");
    assert!(
        answer["responses"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["status"] == 204)
    );
    let totals = server.totals();
    assert_eq!((totals.writes, totals.items), (20, 20));
}

#[tokio::test]
async fn items_fail_alone() {
    let server = server(3).await;
    let client = Client::first_app(&server).await;
    let mut weak = item(1);
    weak["body"] = password_change("weak");
    let get = json!({"id": "get", "method": "GET", "url": "/users?$select=id&$top=1"});
    let (status, answer) = client.batch(&envelope([item(0), weak, item(7), get])).await;
    assert_eq!(status, 200);
    let of = |id: &str| response(&answer, id).unwrap();
    assert_eq!(of("0")["status"], 204);
    assert_eq!(
        (&of("1")["status"], code(&of("1")["body"])),
        (&400.into(), "Request_BadRequest")
    );
    assert_eq!(of("7")["status"], 404);
    assert_eq!(of("get")["body"]["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_malformed_envelope_is_refused_as_a_whole() {
    let server = server(21).await;
    let client = Client::first_app(&server).await;
    let without = |member: &str| {
        let mut item = item(1);
        item.as_object_mut().unwrap().remove(member);
        envelope([item])
    };
    let absolute =
        json!({"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"});
    for (name, envelope) in [
        ("21 items", envelope((0..21).map(item))),
        ("empty", envelope([])),
        ("no list", json!({})),
        ("twice the same id", envelope([item(1), item(1)])),
        ("no id", without("id")),
        ("no method", without("method")),
        ("no url", without("url")),
        ("no body", without("body")),
        ("no content type", without("headers")),
        ("absolute url", envelope([absolute])),
    ] {
        let (status, answer) = client.batch(&envelope).await;
        assert_eq!((status, code(&answer)), (400, "BadRequest"), "{name}");
    }
    assert_eq!(server.totals().writes, 0);
}

#[tokio::test]
async fn dependents_of_a_failed_item_are_not_carried_out() {
    let server = server(3).await;
    let client = Client::first_app(&server).await;
    let mut missing = item(9);
    missing["id"] = "first".into();
    let mut second = item(1);
    second["dependsOn"] = json!(["first"]);
    let mut third = item(2);
    third["dependsOn"] = json!(["1"]);
    let (_, answer) = client.batch(&envelope([missing, second, third])).await;
    assert_eq!(response(&answer, "first").unwrap()["status"], 404);
    assert_eq!(response(&answer, "1").unwrap()["status"], 424);
    assert_eq!(response(&answer, "2").unwrap()["status"], 424);
    assert_eq!(server.totals().writes, 0);
}

#[tokio::test]
async fn faults_strike_single_items() {
    let server = server(3).await;
    let client = Client::first_app(&server).await;
    server.add_fault(
        Fault::on_patch(Effect::throttled(3))
            .account(at("user0"))
            .once(),
    );
    server.add_fault(
        Fault::on_patch(Effect::Omit { applied: true })
            .account(at("user1"))
            .once(),
    );
    let (status, answer) = client.batch(&envelope((0..3).map(item))).await;
    assert_eq!(status, 200);
    let throttled = response(&answer, "0").unwrap();
    assert_eq!(
        (&throttled["status"], &throttled["headers"]["retry-after"]),
        (&429.into(), &"3".into())
    );
    assert!(response(&answer, "1").is_none());
    assert_eq!(response(&answer, "2").unwrap()["status"], 204);
    let tenant = server.tenant();
    let sets = |name: &str| tenant.user(&at(name)).unwrap().password_sets;
    assert_eq!((sets("user0"), sets("user1"), sets("user2")), (0, 1, 1));
}

#[tokio::test]
async fn items_that_depend_on_none_run_side_by_side() {
    let server = server(20).await;
    let client = Client::first_app(&server).await;
    let delay = Duration::from_millis(100);
    server.add_fault(Fault::on_patch(Effect::delay(delay)));
    let start = Instant::now();
    assert_eq!(client.batch(&envelope((0..20).map(item))).await.0, 200);
    assert!((delay..10 * delay).contains(&start.elapsed()));
}

#[tokio::test]
async fn an_item_that_breaks_the_connection_leaves_the_others_carried_out() {
    let server = server(3).await;
    let client = Client::first_app(&server).await;
    server.add_fault(
        Fault::on_patch(Effect::disconnect_before())
            .account(at("user1"))
            .once(),
    );
    let envelope = envelope((0..3).map(item));
    let request = client
        .request(reqwest::Method::POST, "/$batch")
        .json(&envelope);
    assert!(request.send().await.is_err());
    assert_eq!(server.totals().writes, 2);
}

#[tokio::test]
async fn a_fault_of_the_envelope_decides_before_any_item_runs() {
    let server = server(2).await;
    let client = Client::first_app(&server).await;
    server.add_fault(
        Fault::new(Effect::status(503))
            .endpoint(Endpoint::Batch)
            .once(),
    );
    let (status, _) = client.batch(&envelope((0..2).map(item))).await;
    assert_eq!((status, server.totals().writes), (503, 0));
    server.add_fault(
        Fault::new(Effect::status_after(504))
            .endpoint(Endpoint::Batch)
            .once(),
    );
    let (status, _) = client.batch(&envelope((0..2).map(item))).await;
    assert_eq!((status, server.totals().writes), (504, 2));
}
