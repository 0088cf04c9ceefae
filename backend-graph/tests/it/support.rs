//! A tenant made of two mock servers: the authority and Graph.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rotation_core::{AccountId, Password, SetPassword};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};
use zeroize::Zeroizing;

pub(crate) const TENANT: &str = "aaaaaaaa-0000-0000-0000-000000000001";
pub(crate) const CALLER: &str = "cccccccc-0000-0000-0000-000000000001";
pub(crate) const CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const SECRET: &str = "client-secret-6b1f";
pub(crate) const PASSWORD: &str = "Tr0ub4dor&3-\"quoted\"";
pub(crate) const REQUEST_ID: &str = "eeeeeeee-0000-0000-0000-000000000001";

pub(crate) struct Tenant {
    pub(crate) authority: MockServer,
    pub(crate) graph: MockServer,
}

impl Tenant {
    /// A tenant whose authority gives out tokens and whose Graph knows nothing.
    pub(crate) async fn start() -> Self {
        let tenant = Self::without_tokens().await;
        tenant
            .gives(token(&json!({"roles": ["User.Read.All"]})))
            .await;
        tenant
    }

    pub(crate) async fn without_tokens() -> Self {
        Self {
            authority: MockServer::start().await,
            graph: MockServer::start().await,
        }
    }

    /// Lets the authority give `token` to everybody.
    pub(crate) async fn gives(&self, token: String) {
        let body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token});
        self.authority_says(ResponseTemplate::new(200).set_body_json(body))
            .await;
    }

    pub(crate) async fn authority_says(&self, answer: ResponseTemplate) {
        Mock::given(method("POST"))
            .and(path(format!("/{TENANT}/oauth2/v2.0/token")))
            .respond_with(answer)
            .mount(&self.authority)
            .await;
    }

    /// Lets Graph answer `GET /v1.0/{resource}` with a collection.
    pub(crate) async fn has(&self, resource: &str, items: Value) {
        self.says(
            resource,
            ResponseTemplate::new(200).set_body_json(json!({"value": items})),
        )
        .await;
    }

    pub(crate) async fn says(&self, resource: &str, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(format!("/v1.0/{resource}")))
            .respond_with(answer)
            .mount(&self.graph)
            .await;
    }

    /// Empty answers for everything that is asked about a directory besides its users.
    pub(crate) async fn has_no_roles(&self) {
        for resource in [
            "domains",
            "groups",
            "roleManagement/directory/roleAssignments",
            "roleManagement/directory/roleEligibilityScheduleInstances",
        ] {
            self.has(resource, json!([])).await;
        }
    }

    pub(crate) async fn answers_patch(&self, answer: ResponseTemplate) {
        Mock::given(method("PATCH"))
            .and(path_regex("^/v1.0/users"))
            .respond_with(answer)
            .mount(&self.graph)
            .await;
    }

    /// Lets Graph answer every batch so.
    pub(crate) async fn answers_batch(&self, answer: impl Respond + 'static) {
        Mock::given(method("POST"))
            .and(path("/v1.0/$batch"))
            .respond_with(answer)
            .mount(&self.graph)
            .await;
    }

    pub(crate) fn config(&self) -> GraphConfig {
        config(&self.authority.uri(), &self.graph.uri())
    }

    pub(crate) fn backend(&self) -> GraphBackend {
        GraphBackend::new(self.config()).unwrap()
    }

    /// How many requests for a token came.
    pub(crate) async fn sign_ins(&self) -> usize {
        self.authority.received_requests().await.unwrap().len()
    }

    /// How many requests came to Graph.
    pub(crate) async fn asked(&self) -> usize {
        self.graph.received_requests().await.unwrap().len()
    }
}

pub(crate) fn config(authority: &str, graph: &str) -> GraphConfig {
    GraphConfig::new(TENANT, CLIENT_ID, Credential::ClientSecret(SECRET.into()))
        .with_cloud(Cloud::custom(authority, graph, None).unwrap())
        .with_timeout(Duration::from_secs(5))
}

/// An unsigned token of the caller with `claims` added.
pub(crate) fn token(claims: &Value) -> String {
    let mut all = json!({"tid": TENANT, "oid": CALLER, "appid": CLIENT_ID, "idtyp": "app"});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "none"})), part(&all))
}

pub(crate) fn guid(n: u32) -> String {
    format!("00000000-0000-0000-0000-{n:012}")
}

pub(crate) fn user(n: u32) -> Value {
    json!({
        "id": guid(n),
        "userPrincipalName": format!("user{n}@contoso.com"),
        "displayName": format!("User {n}"),
        "accountEnabled": true,
        "userType": "Member",
        "onPremisesSyncEnabled": null,
        "createdDateTime": "2024-01-02T03:04:05Z",
        "lastPasswordChangeDateTime": "2025-01-02T03:04:05Z",
        "isManagementRestricted": null,
    })
}

/// An answer that can stand alone or as an item of a batch.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn text(mut self, body: &str, media_type: &str) -> Self {
        self.body = Some(body.to_owned());
        self.header("content-type", media_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(&body.to_string(), "application/json")
    }

    /// An error of Graph.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(status)
            .header("request-id", REQUEST_ID)
            .json(&json!({"error": {"code": code, "message": message}}))
    }

    /// Itself as the item `id` of a batch: a body that is no JSON becomes a text.
    pub(crate) fn item(&self, id: &str) -> Value {
        let headers: BTreeMap<&str, &str> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let body = self.body.as_ref().map_or(Value::Null, |body| {
            serde_json::from_str(body).unwrap_or_else(|_| json!(body))
        });
        json!({"id": id, "status": self.status, "headers": headers, "body": body})
    }

    /// An answer to a batch of these items.
    pub(crate) fn batch(items: &[Value]) -> Self {
        Self::new(200).json(&json!({"responses": items}))
    }

    /// The value of its header `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl From<Reply> for ResponseTemplate {
    fn from(reply: Reply) -> Self {
        let mut answer = Self::new(reply.status);
        if let Some(body) = &reply.body {
            answer = answer.set_body_string(body);
        }
        for (name, value) in reply.headers {
            answer = answer.insert_header(name, value);
        }
        answer
    }
}

/// An error of Graph.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    Reply::error(status, code, message).into()
}

/// One request to set a password of its own for account `n`.
pub(crate) fn request_for(n: u32) -> SetPassword {
    let mut request = request();
    request.account = AccountId::new(&guid(n));
    request.password = Arc::new(Password::new(Zeroizing::new(format!("{PASSWORD}{n}"))));
    request
}

pub(crate) fn request() -> SetPassword {
    let password = Password::new(Zeroizing::new(PASSWORD.to_owned()));
    SetPassword::new(AccountId::new(&guid(1)), Arc::new(password))
}

/// A server that reads one request per connection, writes `answer` as it stands and hangs up.
pub(crate) async fn raw_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 << 10];
            // The request is small and comes in one piece or two; what follows the first does not matter.
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    uri
}

/// A server that writes `answer` to the first connection and then keeps silent, until its peer hangs up; every other
/// connection it closes at once.
pub(crate) async fn kept_open(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = vec![0; 16 << 10];
            if first.read(&mut request).await.is_ok() {
                drop(first.write_all(answer.as_bytes()).await);
            }
            while first.read(&mut request).await.is_ok_and(|read| read > 0) {}
        });
        while listener.accept().await.is_ok() {}
    });
    uri
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
