//! One row of the outcome table, one case here.

use std::time::Duration;

use backend_graph::GraphBackend;
use rotation_core::{Outcome, RefusalReason, RotationBackend};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::{
    PASSWORD, REQUEST_ID, Tenant, config, guid, nobody, raw_server, refusal, request,
};

/// An outcome without its words.
#[derive(Debug, PartialEq)]
enum Is {
    Applied,
    NotSent,
    Refused(RefusalReason),
    Throttled { after: Option<u64>, ambiguous: bool },
    Unknown,
}

fn shape(outcome: &Outcome) -> Is {
    match outcome {
        Outcome::Applied { .. } => Is::Applied,
        Outcome::NotSent(_) => Is::NotSent,
        Outcome::Refused(refusal) => Is::Refused(refusal.reason),
        Outcome::Throttled {
            retry_after,
            ambiguous,
            ..
        } => Is::Throttled {
            after: retry_after.map(|wait| wait.as_secs()),
            ambiguous: *ambiguous,
        },
        Outcome::Unknown(_) => Is::Unknown,
        other => panic!("an outcome unknown to this test: {other:?}"),
    }
}

fn fix(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(refusal) => refusal.problem.fix.as_deref().unwrap_or_default(),
        _ => "",
    }
}

async fn outcome_of(answer: ResponseTemplate) -> (Outcome, usize) {
    let tenant = Tenant::start().await;
    tenant.answers_patch(answer).await;
    let outcome = tenant.backend().set_password(&request()).await;
    (outcome, tenant.asked().await)
}

const COMPLEXITY: &str = "The specified password does not comply with password complexity requirements. \
    Please provide a different password.";
const ON_PREMISES: &str = "Unable to update the specified properties for on-premises mastered Directory Sync \
    objects or objects currently undergoing migration.";
const CONCURRENT: &str =
    "Error due to concurrent requests being made to the tenant. Please wait briefly and retry.";
const RESTRICTED: &str = "The user is a member of a restricted management administrative unit.";

#[tokio::test]
async fn every_answer_of_graph_has_the_outcome_of_its_row() {
    use Is::{Applied, Refused, Unknown};
    use RefusalReason::{AccountMissing, NotAllowed, Other, Password};
    let plain = ResponseTemplate::new;
    let denied = "Authorization_RequestDenied";
    let bad = "Request_BadRequest";
    let throttled = |after, ambiguous| Is::Throttled { after, ambiguous };
    let html = |status| plain(status).set_body_raw("<html>portal</html>", "text/html");
    #[rustfmt::skip]
    let rows = [
        ("204", plain(204), Applied, ""),
        ("200 is not what Graph documents", plain(200), Unknown, ""),
        ("200 from a captive portal", html(200), Unknown, ""),
        ("202", plain(202), Unknown, ""),
        ("302 is not followed", plain(302).insert_header("location", "http://127.0.0.1:9/"), Unknown, ""),
        ("304", plain(304), Unknown, ""),
        ("307 is not followed", plain(307).insert_header("location", "/v1.0/users/other"), Unknown, ""),
        ("400 complexity", refusal(400, bad, COMPLEXITY), Refused(Password), "fresh password"),
        ("400 banned", refusal(400, bad, "It contains a banned password."), Refused(Password), "fresh password"),
        ("400 on-premises", refusal(400, bad, ON_PREMISES), Refused(Other), "on premises"),
        ("400 other", refusal(400, bad, "Property x is invalid."), Refused(Other), ""),
        ("400 concurrency", refusal(400, "Directory_ConcurrencyViolation", CONCURRENT), throttled(None, false), ""),
        ("400 concurrency, other code", refusal(400, bad, CONCURRENT), throttled(None, false), ""),
        ("409 concurrency", refusal(409, "Directory_ConcurrencyViolation", "").insert_header("retry-after", "3"), throttled(Some(3), false), ""),
        ("400 throttled for a while", refusal(400, "Request_ThrottledTemporarily", ""), throttled(None, false), ""),
        ("400 from a gateway", html(400), Unknown, ""),
        ("401 after the refresh", refusal(401, "InvalidAuthenticationToken", "x"), Refused(NotAllowed), "`cloud`"),
        ("401 without a body", plain(401), Refused(NotAllowed), "`cloud`"),
        ("401 claims challenge", plain(401).insert_header("www-authenticate", "Bearer error=\"insufficient_claims\", claims=\"e30=\""), Refused(NotAllowed), "policy"),
        ("403 denied", refusal(403, denied, "Insufficient privileges to complete the operation."), Refused(NotAllowed), "User-PasswordProfile.ReadWrite.All"),
        ("403 restricted unit", refusal(403, denied, RESTRICTED), Refused(NotAllowed), "scope of that unit"),
        ("403 insufficient claims", refusal(403, "insufficient_claims", "x"), Refused(NotAllowed), "policy"),
        ("403 quota", refusal(403, "Directory_QuotaExceeded", "x"), Refused(Other), ""),
        ("403 other", refusal(403, "Something_New", "x"), Refused(NotAllowed), "User-PasswordProfile.ReadWrite.All"),
        ("403 from a gateway", html(403), Unknown, ""),
        ("404", refusal(404, "Request_ResourceNotFound", "x"), Refused(AccountMissing), "deleted"),
        ("404 from a gateway", html(404), Unknown, ""),
        ("408", refusal(408, "RequestTimeout", "x"), Unknown, ""),
        ("409", refusal(409, "Conflict", "x"), Refused(Other), ""),
        ("413", refusal(413, "TooLarge", "x"), Refused(Other), ""),
        ("429", refusal(429, "TooManyRequests", "Please retry again later."), throttled(None, false), ""),
        ("429 seconds", plain(429).insert_header("retry-after", "17"), throttled(Some(17), false), ""),
        ("429 date", plain(429).insert_header("retry-after", "Sat, 21 Nov 2026 12:01:30 GMT").insert_header("date", "Sat, 21 Nov 2026 12:00:00 GMT"), throttled(Some(90), false), ""),
        ("429 negative", plain(429).insert_header("retry-after", "-1"), throttled(None, false), ""),
        ("429 huge", plain(429).insert_header("retry-after", "9".repeat(40)), throttled(Some(u64::MAX), false), ""),
        ("429 garbage", plain(429).insert_header("retry-after", "soon"), throttled(None, false), ""),
        ("500", refusal(500, "Service_InternalServerError", ""), Unknown, ""),
        ("501", refusal(501, "NotImplemented", "x"), Unknown, ""),
        ("502 from a gateway", html(502), Unknown, ""),
        ("503", refusal(503, "ServiceUnavailable", "x"), Unknown, ""),
        ("503 with Retry-After", plain(503).insert_header("retry-after", "5"), throttled(Some(5), true), ""),
        ("504", refusal(504, "UnknownError", ""), Unknown, ""),
    ];
    for (row, answer, expected, expected_fix) in rows {
        let (outcome, asked) = outcome_of(answer).await;
        assert_eq!(shape(&outcome), expected, "{row}: {outcome:?}");
        assert!(fix(&outcome).contains(expected_fix), "{row}: {outcome:?}");
        let once = if row.starts_with("401") { 2 } else { 1 };
        assert_eq!(asked, once, "{row}: requests");
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown() {
    let tenant = Tenant::start().await;
    for (row, answer) in [
        ("no answer", ""),
        ("half a header", "HTTP/1.1 20"),
        (
            "half a body",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n{\"error\":{",
        ),
        ("no HTTP", "220 smtp.example ESMTP\r\n"),
    ] {
        let graph = raw_server(answer).await;
        let backend = GraphBackend::new(config(&tenant.authority.uri(), &graph)).unwrap();
        let outcome = backend.set_password(&request()).await;
        assert_eq!(shape(&outcome), Is::Unknown, "{row}: {outcome:?}");
        assert!(
            format!("{outcome:?}").contains("client-request-id"),
            "{row}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_too_late_is_unknown() {
    let tenant = Tenant::start().await;
    let late = ResponseTemplate::new(204).set_delay(Duration::from_secs(30));
    tenant.answers_patch(late).await;
    let config = tenant.config().with_timeout(Duration::from_millis(200));
    let outcome = GraphBackend::new(config)
        .unwrap()
        .set_password(&request())
        .await;
    assert_eq!(shape(&outcome), Is::Unknown, "{outcome:?}");
    assert!(
        format!("{outcome:?}").contains("no answer in time"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let tenant = Tenant::start().await;
    let backend = GraphBackend::new(config(&tenant.authority.uri(), &nobody().await)).unwrap();
    let outcome = backend.set_password(&request()).await;
    assert_eq!(shape(&outcome), Is::NotSent, "{outcome:?}");
}

#[tokio::test]
async fn without_a_token_nothing_was_sent() {
    let tenant = Tenant::without_tokens().await;
    let wrong = json!({"error": "invalid_client", "error_codes": [7000215]});
    let wrong = ResponseTemplate::new(401).set_body_json(wrong);
    tenant.authority_says(wrong).await;
    let outcome = tenant.backend().set_password(&request()).await;
    assert_eq!(shape(&outcome), Is::NotSent, "{outcome:?}");
    assert_eq!(tenant.asked().await, 0);
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let tenant = Tenant::start().await;
    tenant
        .answers_patch(ResponseTemplate::new(204).insert_header("request-id", REQUEST_ID))
        .await;
    let backend = tenant.backend();
    let mut forced = request();
    forced.force_change = true;
    let outcome = backend.set_password(&forced).await;
    let request_id = Some(REQUEST_ID.to_owned());
    assert_eq!(outcome, Outcome::Applied { request_id });

    let received = tenant.graph.received_requests().await.unwrap();
    let [sent] = received.as_slice() else {
        panic!("{} requests instead of one", received.len());
    };
    assert_eq!(sent.method.as_str(), "PATCH");
    assert_eq!(sent.url.path(), format!("/v1.0/users/{}", guid(1)));
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["client-request-id"].len(), 36);
    let profile = json!({"password": PASSWORD, "forceChangePasswordNextSignIn": true});
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({"passwordProfile": profile}));
    assert_eq!(backend.traffic().requests, 1);
}

#[tokio::test]
async fn the_request_id_comes_from_the_header_or_else_from_the_body() {
    for inner in ["innerError", "innererror"] {
        let body =
            json!({"error": {"code": "X", "message": "y", inner: {"request-id": REQUEST_ID}}});
        let (outcome, _) = outcome_of(ResponseTemplate::new(400).set_body_json(body)).await;
        let Outcome::Refused(refusal) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            refusal.problem.request_id.as_deref(),
            Some(REQUEST_ID),
            "{inner}"
        );
    }
}

#[tokio::test]
async fn throttled_answers_are_counted() {
    let tenant = Tenant::start().await;
    tenant.answers_patch(ResponseTemplate::new(429)).await;
    let backend = tenant.backend();
    for _ in 0..3 {
        backend.set_password(&request()).await;
    }
    let traffic = backend.traffic();
    assert_eq!((traffic.requests, traffic.throttled), (3, 3));
}
