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

use crate::support::{Tenant, guid, user};

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
        let path = request.url.path().strip_prefix("/v1.0").unwrap();
        if path == "/$batch" {
            return self.answer_batch(request);
        }
        let (status, body) = self.answer(request.method.as_str(), path, &request.body);
        let answer = ResponseTemplate::new(status);
        match body {
            Value::Null => answer,
            body => answer.set_body_json(body),
        }
    }
}

impl Users {
    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let mut users = self.0.lock().unwrap();
        let Some(reference) = path.strip_prefix("/users/") else {
            let all = users.iter().map(|(&n, user)| Self::describe(n, user.1));
            return (200, json!({"value": all.collect::<Vec<Value>>()}));
        };
        let known = users
            .iter_mut()
            .find(|(n, _)| reference == guid(**n) || reference == format!("user{n}@contoso.com"));
        match known {
            None => {
                let error =
                    json!({"code": "Request_ResourceNotFound", "message": "It does not exist."});
                (404, json!({"error": error}))
            }
            Some((n, user)) if method == "GET" => (200, Self::describe(*n, user.1)),
            Some((_, user)) => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let password = body["passwordProfile"]["password"].as_str().unwrap();
                *user = (password.to_owned(), user.1 + 1);
                (204, Value::Null)
            }
        }
    }

    /// Answers the items backwards.
    fn answer_batch(&self, request: &Request) -> ResponseTemplate {
        let batch: Value = serde_json::from_slice(&request.body).unwrap();
        let items = batch["requests"].as_array().unwrap().iter().rev();
        let responses = items.map(|item| {
            let text = |name: &str| item[name].as_str().unwrap();
            let body = item["body"].to_string();
            let (status, body) = self.answer(text("method"), text("url"), body.as_bytes());
            json!({"id": item["id"], "status": status, "headers": {}, "body": body})
        });
        let responses: Vec<Value> = responses.collect();
        ResponseTemplate::new(200).set_body_json(json!({"responses": responses}))
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
async fn keeps_every_promise_of_a_backend_with_batches_and_without() {
    for max_batch in [1, 2, 20] {
        let tenant = Tenant::start().await;
        tenant.has_no_roles().await;
        let users = Users::new(&[1, 2]);
        Mock::given(path_regex("^/v1.0/(users|[$]batch)"))
            .respond_with(users.clone())
            .mount(&tenant.graph)
            .await;
        let authority = users.clone();
        Mock::given(body_string_contains("grant_type=password"))
            .respond_with(move |request: &Request| authority.sign_in(request))
            .with_priority(1)
            .mount(&tenant.authority)
            .await;
        let backend = GraphBackend::new(tenant.config().with_max_batch(max_batch)).unwrap();
        let harness = Harness { backend, users };
        assert_eq!(backend_suite(&harness).await, [], "{max_batch}");
    }
}
