//! Signing in: one token for many, a new one after a 401, and errors that say what to do.

use backend_graph::GraphBackend;
use rotation_core::{AccountId, BackendError, Outcome, RotationBackend};
use serde_json::json;
use wiremock::matchers::{body_string_contains, header, method};
use wiremock::{Mock, ResponseTemplate};

use crate::support::{SECRET, TENANT, Tenant, config, nobody, raw_server, refusal, request, token};

fn given(token: &str) -> ResponseTemplate {
    let body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token});
    ResponseTemplate::new(200).set_body_json(body)
}

/// Gives `old` to the first who asks, then `new`; Graph accepts `new` alone.
async fn tenant_that_revoked(old: &str, new: &str) -> Tenant {
    let tenant = Tenant::without_tokens().await;
    Mock::given(method("POST"))
        .respond_with(given(old))
        .up_to_n_times(1)
        .mount(&tenant.authority)
        .await;
    tenant.authority_says(given(new)).await;
    Mock::given(method("PATCH"))
        .and(header("authorization", format!("Bearer {new}")))
        .respond_with(ResponseTemplate::new(204))
        .mount(&tenant.graph)
        .await;
    let expired = refusal(
        401,
        "InvalidAuthenticationToken",
        "Access token has expired.",
    );
    tenant.answers_patch(expired).await;
    tenant
}

#[tokio::test]
async fn many_requests_share_one_token() {
    let tenant = Tenant::start().await;
    tenant.answers_patch(ResponseTemplate::new(204)).await;
    let backend = tenant.backend();
    futures::future::join_all((0..32).map(async |_| backend.set_password(&request()).await)).await;
    assert_eq!(tenant.sign_ins().await, 1);
}

#[tokio::test]
async fn the_token_is_asked_for_as_documented() {
    let tenant = Tenant::without_tokens().await;
    let scope = tenant.graph.uri().replace(':', "%3A").replace('/', "%2F");
    Mock::given(method("POST"))
        .and(body_string_contains("grant_type=client_credentials"))
        .and(body_string_contains(format!("client_secret={SECRET}")))
        .and(body_string_contains(format!("scope={scope}%2F.default")))
        .respond_with(given("t"))
        .expect(1)
        .mount(&tenant.authority)
        .await;
    tenant.answers_patch(ResponseTemplate::new(204)).await;
    tenant.backend().set_password(&request()).await;
}

#[tokio::test]
async fn after_a_401_the_same_request_goes_out_once_more_with_a_new_token() {
    let tenant = tenant_that_revoked("old", "new").await;
    let outcome = tenant.backend().set_password(&request()).await;
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    let received = tenant.graph.received_requests().await.unwrap();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn many_requests_with_one_rejected_token_replace_it_once() {
    let tenant = tenant_that_revoked("old", "new").await;
    let backend = tenant.backend();
    let outcomes =
        futures::future::join_all((0..16).map(async |_| backend.set_password(&request()).await))
            .await;
    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }
    assert_eq!(tenant.sign_ins().await, 2);
}

#[tokio::test]
async fn a_second_401_is_final() {
    let tenant = Tenant::start().await;
    let answer = refusal(401, "InvalidAuthenticationToken", "no");
    tenant.says(&format!("users/{TENANT}"), answer).await;
    let backend = tenant.backend();
    let account = AccountId::new(TENANT);
    let error = backend.password_changed(&account).await.unwrap_err();
    assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
    assert_eq!((tenant.asked().await, tenant.sign_ins().await), (2, 2));
}

#[tokio::test]
async fn an_error_of_the_authority_says_what_to_do() {
    for (code, oauth, words, fix) in [
        (7_000_215, "invalid_client", "secret is wrong", "not its id"),
        (7_000_222, "invalid_client", "expired", "new client secret"),
        (
            700_016,
            "unauthorized_client",
            "does not exist in this tenant",
            "`tenant`",
        ),
        (
            90_002,
            "invalid_request",
            "tenant does not exist",
            "`cloud`",
        ),
        (999_999, "invalid_client", "not accepted", "`client_id`"),
        (
            999_999,
            "unheard_of",
            "refused",
            "https://login.microsoftonline.com/error",
        ),
    ] {
        let tenant = Tenant::without_tokens().await;
        let trace = "dddddddd-0000-0000-0000-000000000001";
        let body = json!({
            "error": oauth,
            "error_description": format!("AADSTS{code}: you sent {SECRET}"),
            "error_codes": [code],
            "trace_id": trace,
        });
        tenant
            .authority_says(ResponseTemplate::new(401).set_body_json(body))
            .await;
        let error = tenant.backend().caller().await.unwrap_err();
        let BackendError::NotAuthorized(problem) = &error else {
            panic!("{code}: {error:?}");
        };
        let message = &problem.message;
        assert!(message.contains(words), "{code}: {message}");
        assert!(
            message.contains(&format!("AADSTS{code}")),
            "{code}: {message}"
        );
        assert!(message.contains(TENANT), "{code}: {message}");
        assert!(
            problem.fix.as_deref().unwrap().contains(fix),
            "{code}: {problem:?}"
        );
        assert_eq!(problem.request_id.as_deref(), Some(trace), "{code}");
    }
}

#[tokio::test]
async fn an_authority_out_of_reach_may_come_back() {
    let graph = nobody().await;
    let backend = GraphBackend::new(config(&nobody().await, &graph)).unwrap();
    let error = backend.caller().await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("out of reach"), "{error}");
}

#[tokio::test]
async fn an_authority_that_answers_html_is_not_an_authority() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let backend = GraphBackend::new(config(&raw_server(html).await, &nobody().await)).unwrap();
    let error = backend.caller().await.unwrap_err();
    assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
    assert!(
        error.to_string().contains("not what a token endpoint says"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_sent() {
    let tenant = Tenant::without_tokens().await;
    tenant.authority_says(given("a\nb")).await;
    let outcome = tenant.backend().set_password(&request()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_token_for_another_tenant_is_refused() {
    let tenant = Tenant::without_tokens().await;
    let other = "bbbbbbbb-0000-0000-0000-000000000001";
    tenant.gives(token(&json!({"tid": other}))).await;
    let error = tenant.backend().caller().await.unwrap_err();
    assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
    assert!(error.to_string().contains(other), "{error}");
    assert!(error.to_string().contains(TENANT), "{error}");
    assert_eq!(tenant.asked().await, 0);
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_never_sent_nor_shown() {
    let tenant = Tenant::without_tokens().await;
    tenant
        .authority_says(given("first line\nsecond line"))
        .await;
    tenant.answers_patch(ResponseTemplate::new(204)).await;
    let backend = tenant.backend();
    let outcome = backend.set_password(&request()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    let shown = format!("{outcome:?} {backend:?}");
    assert!(
        shown.contains("cannot be sent") && !shown.contains("line"),
        "{shown}"
    );
    assert_eq!(tenant.asked().await, 0);
}
