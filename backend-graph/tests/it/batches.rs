//! Many passwords in one request, and answers to it that no server should give.

use backend_graph::GraphBackend;
use entra_sim::{App, Config, Effect, Endpoint, Fault, Server};
use rotation_core::{AccountId, Outcome, RateControl, RefusalReason, RotationBackend, SetPassword};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, Request, ResponseTemplate};

use crate::simulator;
use crate::support::{
    CLIENT_ID, PASSWORD, REQUEST_ID, Reply, TENANT, Tenant, config, guid, request_for,
};

fn requests(count: u32) -> Vec<SetPassword> {
    (1..=count).map(request_for).collect()
}

fn applied(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { .. })
}

fn unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

/// One letter for each outcome: applied, not sent, refused, throttled, unknown.
fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Applied { .. } => 'A',
        Outcome::NotSent(_) => 'N',
        Outcome::Refused(_) => 'R',
        Outcome::Throttled { .. } => 'T',
        Outcome::Unknown(_) => 'U',
        other => panic!("an outcome unknown to this test: {other:?}"),
    };
    outcomes.iter().map(letter).collect()
}

/// What comes of three passwords in a batch whose answer has `body`.
async fn of_body(body: &[u8]) -> Vec<Outcome> {
    let tenant = Tenant::start().await;
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    tenant.answers_batch(answer).await;
    let backend = tenant.backend();
    let outcomes = backend.set_passwords(&requests(3)).await;
    assert_eq!(backend.traffic().requests, 1, "nothing is repeated here");
    outcomes
}

async fn of_items(items: &Value) -> Vec<Outcome> {
    of_body(json!({ "responses": items }).to_string().as_bytes()).await
}

fn ok(id: &str) -> Value {
    Reply::new(204).item(id)
}

fn gone(id: &str) -> Value {
    Reply::error(404, "Request_ResourceNotFound", "x").item(id)
}

/// The item `id`, set, but for this member.
fn with(id: &str, member: &str, value: Value) -> Value {
    let mut item = ok(id);
    item[member] = value;
    item
}

fn without(id: &str, member: &str) -> Value {
    let mut item = ok(id);
    item.as_object_mut().unwrap().remove(member);
    item
}

#[tokio::test]
async fn the_batch_is_the_documented_one() {
    let tenant = Tenant::start().await;
    let items = [ok("1"), ok("2")];
    tenant
        .answers_batch(ResponseTemplate::from(Reply::batch(&items)))
        .await;
    let mut requests = requests(2);
    requests[1].force_change = true;
    requests[1].account = AccountId::new("$o'hara#ext#@contoso.com");
    let backend = tenant.backend();
    assert_eq!(letters(&backend.set_passwords(&requests).await), "AA");

    let received = tenant.graph.received_requests().await.unwrap();
    let [sent] = received.as_slice() else {
        panic!("{} requests instead of one", received.len());
    };
    assert_eq!(sent.method.as_str(), "POST");
    assert_eq!(sent.url.path(), "/v1.0/$batch");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["client-request-id"].len(), 36);
    let item = |id: &str, url: &str, n: u32, force: bool| {
        json!({
            "id": id,
            "method": "PATCH",
            "url": url,
            "headers": {"Content-Type": "application/json"},
            "body": {"passwordProfile": {
                "password": format!("{PASSWORD}{n}"),
                "forceChangePasswordNextSignIn": force,
            }},
        })
    };
    let expected = json!({"requests": [
        item("1", &format!("/users/{}", guid(1)), 1, false),
        item("2", "/users('$o''hara%23ext%23@contoso.com')", 2, true),
    ]});
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, expected);
}

/// Answers each item of a batch by the number of its account, in the order that `sort` gives them.
fn by_account(
    answer: fn(u32) -> Reply,
    sort: fn(&mut [Value]),
) -> impl Fn(&Request) -> ResponseTemplate {
    move |request| {
        let batch: Value = serde_json::from_slice(&request.body).unwrap();
        let items = batch["requests"].as_array().unwrap().iter();
        let mut answers: Vec<Value> = items
            .map(|item| {
                let url = item["url"].as_str().unwrap();
                let account = url.rsplit('-').next().unwrap().parse().unwrap();
                answer(account).item(item["id"].as_str().unwrap())
            })
            .collect();
        sort(&mut answers);
        Reply::batch(&answers).into()
    }
}

#[tokio::test]
async fn items_are_answered_in_any_order_each_with_its_own_outcome() {
    fn answer(account: u32) -> Reply {
        match account % 5 {
            0 => Reply::new(204),
            1 => Reply::error(404, "Request_ResourceNotFound", "x"),
            2 => Reply::new(429).header("Retry-After", "7"),
            3 => Reply::error(500, "UnknownError", ""),
            _ => Reply::error(403, "Authorization_RequestDenied", "x"),
        }
    }
    let orders: [fn(&mut [Value]); 4] = [
        |_| {},
        |items| items.reverse(),
        |items| items.rotate_left(7),
        // the even ones first
        |items| items.sort_by_key(|item| item["id"].as_str().unwrap().parse::<u32>().unwrap() % 2),
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let tenant = Tenant::start().await;
        tenant.answers_batch(by_account(answer, order)).await;
        let backend = tenant.backend();
        let outcomes = backend.set_passwords(&requests(20)).await;
        assert_eq!(letters(&outcomes), "RTURARTURARTURARTURA", "{number}");
        assert_eq!(backend.traffic().requests, 1);
        for (outcome, n) in outcomes.iter().zip(1..) {
            if let Outcome::Refused(refusal) = outcome {
                let named = refusal.problem.message.contains(&guid(n));
                assert!(named, "{n}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_to_every_item_applies_nothing() {
    let all = |items: [Value; 3]| json!({ "responses": items });
    let whole = all([ok("1"), ok("2"), ok("3")]).to_string();
    for (name, body) in [
        ("nothing", String::new()),
        ("a web page", "<html>portal</html>".to_owned()),
        ("null", "null".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("an empty list", "[]".to_owned()),
        (
            "a list without its envelope",
            json!([ok("1"), ok("2"), ok("3")]).to_string(),
        ),
        ("another name", json!({"Responses": [ok("1")]}).to_string()),
        ("no list", json!({"responses": ok("1")}).to_string()),
        ("null for a list", json!({"responses": null}).to_string()),
        ("a text for a list", json!({"responses": whole}).to_string()),
        ("half of it", whole[..whole.len() / 2].to_owned()),
        ("all but its end", whole[..whole.len() - 1].to_owned()),
        ("something behind it", format!("{whole}{whole}")),
        ("a byte order mark before it", format!("\u{feff}{whole}")),
        ("two lists", format!(r#"{{"responses":[],{}"#, &whole[1..])),
        (
            "an error of Graph's",
            json!({"error": {"code": "x", "message": "y"}}).to_string(),
        ),
    ] {
        let outcomes = of_body(body.as_bytes()).await;
        assert!(outcomes.iter().all(unknown), "{name}: {outcomes:?}");
        let shown = format!("{outcomes:?}");
        assert!(shown.contains("in Graph's place"), "{name}: {shown}");
    }
    let mut broken = whole.clone().into_bytes();
    broken.truncate(whole.len() - 2);
    broken.extend_from_slice(b",\xff]}");
    assert_eq!(letters(&of_body(&broken).await), "UUU", "no UTF-8");
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let nested = format!(r#"{{"responses":{nested}}}"#);
    assert_eq!(letters(&of_body(nested.as_bytes()).await), "UUU", "nested");
    assert_eq!(letters(&of_body(whole.as_bytes()).await), "AAA");
}

#[tokio::test]
async fn duplicate_missing_and_invented_ids_touch_no_other_account() {
    let stranger = |id: &str| json!([ok("1"), ok("3"), ok(id)]);
    let numbered = |id: Value| json!([ok("1"), ok("3"), with("", "id", id)]);
    let two = ok("2").to_string();
    for (name, items, expected) in [
        ("all", json!([ok("1"), ok("2"), ok("3")]), "AAA"),
        ("one missing", json!([ok("3"), ok("1")]), "AUA"),
        ("all missing", json!([]), "UUU"),
        (
            "one twice",
            json!([ok("1"), ok("2"), ok("3"), ok("1")]),
            "AAA",
        ),
        (
            "one twice, not the same",
            json!([ok("1"), ok("2"), ok("3"), gone("1")]),
            "UAA",
        ),
        (
            "the other way round",
            json!([gone("1"), ok("2"), ok("3"), ok("1")]),
            "UAA",
        ),
        (
            "twice refused, not the same",
            json!([gone("1"), with("1", "status", json!(404)), ok("2"), ok("3")]),
            "UAA",
        ),
        (
            "both set, other headers",
            json!([
                ok("1"),
                with("1", "headers", json!({"a": "b"})),
                ok("2"),
                ok("3")
            ]),
            "UAA",
        ),
        (
            "three times, the third as the first",
            json!([ok("1"), gone("1"), ok("1"), ok("2"), ok("3")]),
            "UAA",
        ),
        (
            "twice, once as nonsense",
            json!([ok("1"), with("1", "status", json!("no")), ok("2"), ok("3")]),
            "UAA",
        ),
        ("one for another", json!([ok("1"), ok("1"), ok("3")]), "AUA"),
        ("ids from 0", json!([ok("0"), ok("1"), ok("2")]), "AAU"),
        (
            "one too many",
            json!([ok("1"), ok("2"), ok("3"), ok("4"), gone("20")]),
            "AAA",
        ),
        ("negative", stranger("-2"), "AUA"),
        ("signed", stranger("+2"), "AUA"),
        ("filled up", stranger("02"), "AUA"),
        ("spaced", stranger(" 2"), "AUA"),
        ("fraction", stranger("2.0"), "AUA"),
        ("wide", stranger("２"), "AUA"),
        ("empty", stranger(""), "AUA"),
        ("endless", stranger("222222222222222222222222222222"), "AUA"),
        ("the account", stranger(&guid(2)), "AUA"),
        ("a number", numbered(json!(2)), "AUA"),
        ("null", numbered(json!(null)), "AUA"),
        ("a list", numbered(json!(["2"])), "AUA"),
        (
            "absent",
            json!([ok("1"), ok("3"), without("2", "id")]),
            "AUA",
        ),
        ("an item of null", json!([ok("1"), ok("3"), null]), "AUA"),
        ("an item in a text", json!([ok("1"), ok("3"), two]), "AUA"),
        (
            "an item in a list",
            json!([ok("1"), ok("3"), [ok("2")]]),
            "AUA",
        ),
    ] {
        let outcomes = of_items(&items).await;
        assert_eq!(letters(&outcomes), expected, "{name}: {outcomes:?}");
    }
    let twice_an_id = r#"{"responses":[{"id":"1","id":"2","status":204},{"id":"3","status":204}]}"#;
    assert_eq!(letters(&of_body(twice_an_id.as_bytes()).await), "UUA");
    let twice_a_status =
        r#"{"responses":[{"id":"1","status":404,"status":204},{"id":"3","status":204}]}"#;
    assert_eq!(letters(&of_body(twice_a_status.as_bytes()).await), "UUA");
}

#[tokio::test]
async fn a_wrong_item_is_unknown_and_the_others_are_as_they_are() {
    let error = json!({"code": "Request_ResourceNotFound", "message": "x"});
    for (name, item, expected) in [
        ("no status", without("2", "status"), "U"),
        ("a status in a text", with("2", "status", json!("204")), "U"),
        (
            "a fraction of a status",
            with("2", "status", json!(204.5)),
            "U",
        ),
        ("a status of null", with("2", "status", json!(null)), "U"),
        ("a negative status", with("2", "status", json!(-204)), "U"),
        ("status 0", with("2", "status", json!(0)), "U"),
        ("status 99", with("2", "status", json!(99)), "U"),
        ("status 1000", with("2", "status", json!(1000)), "U"),
        (
            "status 204 + 65536",
            with("2", "status", json!(65_740)),
            "U",
        ),
        ("headers in a list", with("2", "headers", json!(["a"])), "U"),
        (
            "headers in a text",
            with("2", "headers", json!("a: b")),
            "U",
        ),
        ("no headers", without("2", "headers"), "A"),
        ("headers of null", with("2", "headers", json!(null)), "A"),
        (
            "headers that are none",
            with(
                "2",
                "headers",
                json!({"": "a", "b c": "d", "e": "\n", "f": {}, "g": 1}),
            ),
            "A",
        ),
        ("no body", without("2", "body"), "A"),
        ("a body in a text", with("2", "body", json!("<html>")), "A"),
        (
            "more members",
            with("2", "more", json!({"status": 500})),
            "A",
        ),
        ("404 without an error", with("2", "status", json!(404)), "U"),
        (
            "404 with its error in a text",
            json!({"id": "2", "status": 404, "body": json!({"error": error}).to_string()}),
            "U",
        ),
        (
            "404 with an error of another kind",
            json!({"id": "2", "status": 404, "body": {"error": "gone"}}),
            "U",
        ),
        (
            "404",
            json!({"id": "2", "status": 404, "body": {"error": error}}),
            "R",
        ),
        (
            "424, which we never ask for",
            Reply::error(424, "FailedDependency", "x").item("2"),
            "R",
        ),
        (
            "424 from somebody else",
            with("2", "status", json!(424)),
            "U",
        ),
        ("200", with("2", "status", json!(200)), "U"),
        ("a redirect", with("2", "status", json!(302)), "U"),
    ] {
        let outcomes = of_items(&json!([ok("3"), item, ok("1")])).await;
        let found = letters(&outcomes);
        assert_eq!(found, format!("A{expected}A"), "{name}: {outcomes:?}");
    }
}

#[tokio::test]
async fn the_headers_of_an_item_are_read_in_any_case_and_as_numbers() {
    let wait = |outcome: &Outcome| match outcome {
        Outcome::Throttled { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
        other => panic!("{other:?}"),
    };
    for (headers, expected) in [
        (json!({"Retry-After": "7"}), Some(7)),
        (json!({"retry-after": "7"}), Some(7)),
        (json!({"RETRY-AFTER": 7}), Some(7)),
        (json!({"Retry-After": "0"}), Some(0)),
        (json!({"Retry-After": "604800"}), Some(604_800)),
        (json!({"Retry-After": -7}), None),
        (json!({"Retry-After": null}), None),
        (json!({"Retry-After": ["7"]}), None),
        (
            json!({"Retry-After": "Sat, 21 Nov 2026 12:01:30 GMT"}),
            Some(90),
        ),
        // The item's own date is nobody's clock that we know.
        (
            json!({"Retry-After": "Sat, 21 Nov 2026 12:01:30 GMT", "Date": "Sat, 21 Nov 2026 12:01:00 GMT"}),
            Some(90),
        ),
        (json!({}), None),
    ] {
        let tenant = Tenant::start().await;
        let mut item = Reply::new(429).item("1");
        item["headers"] = headers.clone();
        let answer = Reply::batch(&[item, ok("2")]);
        let dated = answer.header("date", "Sat, 21 Nov 2026 12:00:00 GMT");
        tenant.answers_batch(ResponseTemplate::from(dated)).await;
        let outcomes = tenant.backend().set_passwords(&requests(2)).await;
        assert_eq!(wait(&outcomes[0]), expected, "{headers}");
        assert!(applied(&outcomes[1]), "{headers}");
    }
}

#[tokio::test]
async fn an_item_without_a_request_id_has_the_envelopes() {
    let tenant = Tenant::start().await;
    let id = "eeeeeeee-0000-0000-0000-000000000002";
    let own = with("1", "headers", json!({"request-id": id}));
    let answer = Reply::batch(&[own, ok("2")]).header("request-id", REQUEST_ID);
    tenant.answers_batch(ResponseTemplate::from(answer)).await;
    let outcomes = tenant.backend().set_passwords(&requests(3)).await;
    let of = |outcome: &Outcome| match outcome {
        Outcome::Applied { request_id, .. } => request_id.clone(),
        Outcome::Unknown(problem) => problem.request_id.clone(),
        other => panic!("{other:?}"),
    };
    let ids: Vec<Option<String>> = outcomes.iter().map(of).collect();
    let envelopes = Some(REQUEST_ID.to_owned());
    assert_eq!(ids, [Some(id.to_owned()), envelopes.clone(), envelopes]);
}

#[tokio::test]
async fn no_batch_is_larger_than_allowed_and_one_password_goes_alone() {
    for (max_batch, count, posts, patches) in [
        (20, 0, 0, 0),
        (20, 1, 0, 1),
        (20, 2, 1, 0),
        (20, 20, 1, 0),
        (20, 21, 1, 1),
        (20, 47, 3, 0),
        (3, 7, 2, 1),
        (1, 7, 0, 7),
    ] {
        let tenant = Tenant::start().await;
        let set = by_account(|_| Reply::new(204), |_| {});
        tenant.answers_batch(set).await;
        tenant.answers_patch(ResponseTemplate::new(204)).await;
        let config = tenant.config().with_max_batch(max_batch);
        let backend = GraphBackend::new(config).unwrap();
        assert_eq!(backend.max_batch(), max_batch);
        let outcomes = backend.set_passwords(&requests(count)).await;
        assert_eq!(letters(&outcomes), "A".repeat(count as usize));
        let received = tenant.graph.received_requests().await.unwrap();
        let of = |verb: &str| {
            let of_verb = received.iter().filter(|sent| sent.method.as_str() == verb);
            of_verb.count()
        };
        assert_eq!(
            (of("POST"), of("PATCH")),
            (posts, patches),
            "{max_batch}, {count}"
        );
    }
}

/// One account that Graph will not hear of must not cost the others theirs.
#[tokio::test]
async fn a_batch_that_is_turned_away_is_sent_one_by_one() {
    for (status, code) in [
        (400, "BadRequest"),
        (403, "Authorization_RequestDenied"),
        (404, "ResourceNotFound"),
        (405, "Request_BadRequest"),
        (413, "RequestEntityTooLarge"),
    ] {
        let tenant = Tenant::start().await;
        let refused = Reply::error(
            status,
            code,
            "Number of requests inside batch exceed the limit.",
        );
        tenant.answers_batch(ResponseTemplate::from(refused)).await;
        let gone = Reply::error(404, "Request_ResourceNotFound", "x");
        Mock::given(method("PATCH"))
            .and(wiremock::matchers::path(format!("/v1.0/users/{}", guid(2))))
            .respond_with(ResponseTemplate::from(gone))
            .mount(&tenant.graph)
            .await;
        tenant.answers_patch(ResponseTemplate::new(204)).await;
        let backend = tenant.backend();
        let outcomes = backend.set_passwords(&requests(3)).await;
        assert_eq!(letters(&outcomes), "ARA", "{status}: {outcomes:?}");
        assert_eq!(backend.traffic().requests, 4, "{status}");
    }
}

#[tokio::test]
async fn an_item_with_a_401_goes_alone_with_a_new_token_and_no_other_does() {
    let tenant = Tenant::start().await;
    let expired = Reply::error(401, "InvalidAuthenticationToken", "x");
    let items = [ok("3"), expired.item("2"), gone("1")];
    tenant
        .answers_batch(ResponseTemplate::from(Reply::batch(&items)))
        .await;
    // its first try alone finds the old token still in use
    let expired = ResponseTemplate::from(expired);
    Mock::given(method("PATCH"))
        .respond_with(expired)
        .up_to_n_times(1)
        .mount(&tenant.graph)
        .await;
    tenant.answers_patch(ResponseTemplate::new(204)).await;
    let backend = tenant.backend();
    let outcomes = backend.set_passwords(&requests(3)).await;
    assert_eq!(letters(&outcomes), "RAA", "{outcomes:?}");
    assert_eq!((tenant.asked().await, tenant.sign_ins().await), (3, 2));
}

#[tokio::test]
async fn every_throttled_item_is_counted_and_heard_of() {
    let throttled = Reply::new(429).header("retry-after", "60");
    let batch = Reply::batch(&[throttled.item("1"), ok("2"), throttled.item("3")]);
    for (answer, count) in [(batch, 2), (throttled, 3)] {
        let tenant = Tenant::start().await;
        tenant.answers_batch(ResponseTemplate::from(answer)).await;
        let backend = tenant.backend();
        backend.set_passwords(&requests(3)).await;
        let traffic = backend.traffic();
        assert_eq!((traffic.requests, traffic.throttled), (1, count));
        let paused = backend.rate().unwrap().state().paused;
        assert!(
            paused.is_some_and(|pause| pause.as_secs() > 30),
            "{paused:?}"
        );
    }
}

#[tokio::test]
async fn whoever_shares_the_quota_that_is_used_up_waits_and_nobody_else() {
    let elsewhere = "bbbbbbbb-0000-0000-0000-000000000002";
    let another_app = "99999999-2222-3333-4444-555555555555";
    for (scope, tenant_waits, app_waits) in [
        ("Tenant_Application/Write/a/b", false, false),
        ("Application/Write/a/a", true, false),
        ("Tenant/Write/a/b", false, true),
        ("Mailbox/Write/a/b", false, false),
    ] {
        let tenant = Tenant::start().await;
        let throttled = Reply::new(429)
            .header("retry-after", "60")
            .header("x-ms-throttle-scope", scope);
        tenant
            .answers_batch(ResponseTemplate::from(Reply::batch(&[
                throttled.item("2"),
                ok("1"),
            ])))
            .await;
        let control = RateControl::new();
        let backend = |client_id: &str, tenant_id: &str| {
            let mut config = tenant.config().with_rate_control(control.clone());
            client_id.clone_into(&mut config.client_id);
            tenant_id.clone_into(&mut config.tenant);
            GraphBackend::new(config).unwrap()
        };
        let ours = backend(CLIENT_ID, TENANT);
        let other_tenant = backend(CLIENT_ID, elsewhere);
        let other_app = backend(another_app, TENANT);
        ours.set_passwords(&requests(2)).await;
        let waits = |backend: &GraphBackend| backend.rate().unwrap().state().paused.is_some();
        assert!(waits(&ours), "{scope}");
        assert_eq!(waits(&other_tenant), tenant_waits, "{scope}");
        assert_eq!(waits(&other_app), app_waits, "{scope}");
    }
}

#[tokio::test]
async fn the_share_of_the_quota_that_an_item_tells_is_heard_of() {
    let tenant = Tenant::start().await;
    let told = Reply::new(204).header("x-ms-throttle-limit-percentage", "0.93");
    let answer = Reply::batch(&[ok("1"), told.item("2")]);
    tenant.answers_batch(ResponseTemplate::from(answer)).await;
    let backend = tenant.backend();
    let usage = || backend.rate().unwrap().state().usage;
    let before = usage();
    backend.set_passwords(&requests(2)).await;
    let after = usage();
    assert!(
        after.is_some_and(|usage| usage > 0.9),
        "{before:?}, {after:?}"
    );
}

/// A directory of accounts that our app may rotate.
async fn directory() -> (Server, GraphBackend, Vec<SetPassword>) {
    let tenant = entra_sim::Tenant::demo(60).first_app(App::rotation());
    let server = Server::start(Config::default().tenant(tenant))
        .await
        .unwrap();
    let backend = GraphBackend::new(simulator::config(&server)).unwrap();
    let users = server.tenant().users().into_iter();
    let ordinary = users.filter(|user| user.is_ordinary() && user.enabled);
    let requests = ordinary.zip(1..=20).map(|(user, n)| {
        let mut request = request_for(n);
        request.account = AccountId::new(&user.id.to_string());
        request
    });
    let requests: Vec<SetPassword> = requests.collect();
    assert_eq!(requests.len(), 20);
    (server, backend, requests)
}

fn is_set(server: &Server, request: &SetPassword) -> bool {
    let account = request.account.as_str().parse().unwrap();
    let password = request.password.expose();
    server.tenant().current_password_is(account, password)
}

#[tokio::test]
async fn what_the_simulator_does_to_each_item_is_told_of_that_item() {
    let (server, backend, requests) = directory().await;
    let effects = [
        (Effect::throttled(3), 'T'),
        (Effect::status(403), 'R'),
        (Effect::status(404), 'R'),
        (Effect::status(500), 'U'),
        (Effect::status_after(504), 'U'),
        (Effect::status(503).retry_after("9"), 'T'),
        (Effect::status_after(503).retry_after("9"), 'T'),
        (Effect::Omit { applied: true }, 'U'),
        (Effect::Omit { applied: false }, 'U'),
        (
            Effect::Html {
                status: 200,
                applied: true,
            },
            'U',
        ),
        (
            Effect::Html {
                status: 403,
                applied: true,
            },
            'U',
        ),
    ];
    let mut expected = "A".repeat(requests.len());
    for (n, (effect, letter)) in effects.into_iter().enumerate() {
        // every second account has a fault
        let index = if n < 10 { 2 * n } else { 19 };
        let account = requests[index].account.to_string();
        server.add_fault(Fault::on_patch(effect).account(account));
        expected.replace_range(index..=index, &letter.to_string());
    }
    let outcomes = backend.set_passwords(&requests).await;
    assert_eq!(letters(&outcomes), expected, "{outcomes:?}");
    assert_eq!(backend.traffic().requests, 1);
    for (request, outcome) in requests.iter().zip(&outcomes) {
        let set = is_set(&server, request);
        assert!(set || !applied(outcome), "{request:?}: {outcome:?}");
        assert!(
            !set || applied(outcome) || outcome.is_ambiguous(),
            "{request:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_garbled_answer_of_the_simulator_claims_nothing_that_is_not_so() {
    for (effect, expected) in [
        (Effect::RepeatedItems { status: None }, 'A'),
        (Effect::RepeatedItems { status: Some(400) }, 'U'),
        (Effect::RepeatedItems { status: Some(200) }, 'U'),
        (Effect::InventedIds, 'U'),
        (Effect::TruncatedJson, 'U'),
        (Effect::WithoutResponses, 'U'),
    ] {
        let (server, backend, requests) = directory().await;
        server.add_fault(Fault::new(effect.clone()).endpoint(Endpoint::Batch));
        let outcomes = backend.set_passwords(&requests).await;
        let all = expected.to_string().repeat(20);
        assert_eq!(letters(&outcomes), all, "{effect:?}");
        // whatever was said, it was done
        assert!(requests.iter().all(|request| is_set(&server, request)));
    }
}

#[tokio::test]
async fn a_weak_password_is_refused_alone() {
    let (server, backend, mut requests) = directory().await;
    let weak = zeroize::Zeroizing::new("a".to_owned());
    requests[4].password = std::sync::Arc::new(rotation_core::Password::new(weak));
    let outcomes = backend.set_passwords(&requests).await;
    let Outcome::Refused(refusal) = &outcomes[4] else {
        panic!("{:?}", outcomes[4]);
    };
    assert_eq!(refusal.reason, RefusalReason::Password);
    assert_eq!(letters(&outcomes), "AAAARAAAAAAAAAAAAAAA");
    assert!(!is_set(&server, &requests[4]) && is_set(&server, &requests[5]));
}

#[tokio::test]
async fn a_batch_with_an_expired_token_is_sent_once_more() {
    let (server, backend, requests) = directory().await;
    assert_eq!(
        letters(&backend.set_passwords(&requests).await),
        "A".repeat(20)
    );
    server.advance(std::time::Duration::from_secs(7_200));
    assert_eq!(
        letters(&backend.set_passwords(&requests).await),
        "A".repeat(20)
    );
    assert_eq!(backend.traffic().requests, 3);
}

#[tokio::test]
async fn without_a_token_no_batch_was_sent() {
    let tenant = Tenant::without_tokens().await;
    let wrong = json!({"error": "invalid_client", "error_codes": [7000215]});
    tenant
        .authority_says(ResponseTemplate::new(401).set_body_json(wrong))
        .await;
    let backend = GraphBackend::new(config(&tenant.authority.uri(), &tenant.graph.uri())).unwrap();
    let outcomes = backend.set_passwords(&requests(3)).await;
    assert_eq!(
        (letters(&outcomes).as_str(), tenant.asked().await),
        ("NNN", 0)
    );
}
