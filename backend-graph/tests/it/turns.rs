//! Reads wait for their turn; changes had theirs from the engine.

use std::future::Future;
use std::time::Duration;

use backend_graph::GraphBackend;
use futures::TryStreamExt;
use rotation_core::{
    Account, AccountId, AccountQuery, Heard, Outcome, RequestKind, RotationBackend, SignIn,
};
use serde_json::json;
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::support::{Tenant, guid, request, user};

/// Longer than an answer of a server on this machine takes. Should it take longer, a test here passes that might fail.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// Longer than any test.
const RETRY_AFTER: Duration = Duration::from_secs(300);

async fn waits(call: impl Future) -> bool {
    tokio::time::timeout(LONG_ENOUGH, call).await.is_err()
}

/// A backend whose directory wants to be left alone.
async fn throttled(kind: RequestKind) -> (Tenant, GraphBackend) {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    tenant.has("users", json!([user(1)])).await;
    let one = ResponseTemplate::new(200).set_body_json(user(1));
    tenant.says(&format!("users/{}", guid(1)), one).await;
    tenant.answers_patch(ResponseTemplate::new(204)).await;
    let backend = tenant.backend();
    let heard = Heard::Throttled {
        retry_after: Some(RETRY_AFTER),
        scope: None,
    };
    backend.rate().unwrap().heard(kind, heard);
    (tenant, backend)
}

#[tokio::test]
async fn every_read_takes_its_turn() {
    let (tenant, backend) = throttled(RequestKind::Read).await;
    let account = Account::new(AccountId::new(&guid(1)), "user1@contoso.com");
    let password = request().password;
    let all = backend.accounts(AccountQuery::All);
    let named = backend.accounts(AccountQuery::Named(vec![guid(1)]));
    let (listed, found, caller, changed, signed_in) = tokio::join!(
        waits(all.try_collect::<Vec<_>>()),
        waits(named.try_collect::<Vec<_>>()),
        waits(backend.caller()),
        waits(backend.password_changed(&account.id)),
        waits(backend.signs_in(&account, &password)),
    );
    assert_eq!([listed, found, caller, changed, signed_in], [true; 5]);
    assert_eq!(tenant.asked().await, 0);
    assert_eq!(tenant.sign_ins().await, 1, "for our own token alone");
}

#[tokio::test]
async fn a_change_that_the_engine_let_through_waits_no_second_time() {
    for kind in [RequestKind::Read, RequestKind::Write] {
        let (_tenant, backend) = throttled(kind).await;
        let outcome = backend.set_password(&request()).await;
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_read_that_is_throttled_makes_the_next_one_wait() {
    let (tenant, backend) = throttled(RequestKind::Write).await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "300");
    tenant.says(&format!("users/{}", guid(2)), busy).await;
    let busy = AccountId::new(&guid(2));
    let error = backend.password_changed(&busy).await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    let quiet = AccountId::new(&guid(1));
    assert!(waits(backend.password_changed(&quiet)).await);
    assert_eq!(backend.traffic().throttled, 1);
}

#[tokio::test]
async fn each_throttled_attempt_of_a_read_is_counted_until_one_passes() {
    let (tenant, backend) = throttled(RequestKind::Write).await;
    for (status, n) in [(429, 3), (503, 4)] {
        let account = AccountId::new(&guid(n));
        Mock::given(path(format!("/v1.0/users/{account}")))
            .respond_with(ResponseTemplate::new(status).insert_header("retry-after", "0"))
            .up_to_n_times(2)
            .mount(&tenant.graph)
            .await;
        let changed = json!({"lastPasswordChangeDateTime": "2026-05-06T07:08:09Z"});
        let changed = ResponseTemplate::new(200).set_body_json(changed);
        tenant.says(&format!("users/{account}"), changed).await;
        let found = backend.password_changed(&account).await.unwrap();
        assert!(found.is_some(), "{status}");
    }
    let traffic = backend.traffic();
    assert_eq!((traffic.requests, traffic.throttled), (6, 2));
}

/// The authority's quotas are not Graph's.
#[tokio::test]
async fn a_sign_in_that_is_throttled_slows_nobody() {
    let tenant = Tenant::without_tokens().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "300");
    tenant.authority_says(busy).await;
    let backend = tenant.backend();
    let account = Account::new(AccountId::new(&guid(1)), "user1@contoso.com");
    for _ in 0..2 {
        let said = backend.signs_in(&account, &request().password).await;
        assert!(matches!(said, SignIn::CannotTell(_)), "{said:?}");
    }
    assert_eq!(tenant.sign_ins().await, 2);
}
