//! The contract that every backend keeps, against a directory of two accounts that remembers what it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backend_graph::GraphBackend;
use jiff::Timestamp;
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, RotationBackend};
use serde_json::{Value, json};
use url::form_urlencoded;
use wiremock::matchers::{body_string_contains, path_regex};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use crate::support::{Tenant, guid, refusal, user};

/// Passwords and how often each was set, by number of the account.
#[derive(Clone)]
struct Users(Arc<Mutex<BTreeMap<u32, (String, i64)>>>);

impl Users {
    fn new(numbers: &[u32]) -> Self {
        let users = numbers.iter().map(|&n| (n, (String::new(), 0)));
        Self(Arc::new(Mutex::new(users.collect())))
    }

    fn describe(n: u32, times_set: i64) -> Value {
        let mut user = user(n);
        let changed = Timestamp::from_second(times_set).unwrap();
        user["lastPasswordChangeDateTime"] = json!(changed);
        user
    }
}

impl Respond for Users {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut users = self.0.lock().unwrap();
        let found = |body: Value| ResponseTemplate::new(200).set_body_json(body);
        let Some(reference) = request.url.path().strip_prefix("/v1.0/users/") else {
            let all: Vec<Value> = users
                .iter()
                .map(|(&n, user)| Self::describe(n, user.1))
                .collect();
            return found(json!({"value": all}));
        };
        let known = users
            .iter_mut()
            .find(|(n, _)| reference == guid(**n) || reference == format!("user{n}@contoso.com"));
        match known {
            None => refusal(404, "Request_ResourceNotFound", "Resource does not exist."),
            Some((n, user)) if request.method.as_str() == "GET" => {
                found(Self::describe(*n, user.1))
            }
            Some((_, user)) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let password = body["passwordProfile"]["password"].as_str().unwrap();
                *user = (password.to_owned(), user.1 + 1);
                ResponseTemplate::new(204)
            }
        }
    }
}

/// The authority, as far as it knows the passwords.
impl Users {
    fn sign_in(&self, request: &Request) -> ResponseTemplate {
        let form: BTreeMap<_, _> = form_urlencoded::parse(&request.body).into_owned().collect();
        let users = self.0.lock().unwrap();
        let mut users = users.iter();
        let user = users.find(|(n, _)| form["username"] == format!("user{n}@contoso.com"));
        let right = user.is_some_and(|(_, (current, _))| *current == form["password"]);
        if right {
            ResponseTemplate::new(200).set_body_json(json!({"access_token": "a.b.c"}))
        } else {
            let wrong = json!({"error": "invalid_grant", "error_codes": [50126]});
            ResponseTemplate::new(400).set_body_json(wrong)
        }
    }
}

struct Harness {
    backend: GraphBackend,
    users: Users,
}

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.backend
    }

    fn accounts(&self) -> Vec<AccountId> {
        let users = self.users.0.lock().unwrap();
        users.keys().map(|&n| AccountId::new(&guid(n))).collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let users = self.users.0.lock().unwrap();
        let user = users.iter().find(|(n, _)| account.as_str() == guid(**n));
        user.is_some_and(|(_, (current, _))| current == password)
    }

    async fn printed(&self) -> Vec<u8> {
        format!("{:?}", self.backend).into_bytes()
    }
}

#[tokio::test]
async fn keeps_every_promise_of_a_backend() {
    let tenant = Tenant::start().await;
    tenant.has_no_roles().await;
    let users = Users::new(&[1, 2]);
    Mock::given(path_regex("^/v1.0/users"))
        .respond_with(users.clone())
        .mount(&tenant.graph)
        .await;
    let authority = users.clone();
    Mock::given(body_string_contains("grant_type=password"))
        .respond_with(move |request: &Request| authority.sign_in(request))
        .with_priority(1)
        .mount(&tenant.authority)
        .await;
    let harness = Harness {
        backend: tenant.backend(),
        users,
    };
    assert_eq!(backend_suite(&harness).await, []);
}
