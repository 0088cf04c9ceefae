//! A small client that speaks to the simulator and nothing else.

use entra_sim::{App, Config, Server, Tenant, TenantHandle};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "Vk3!vk3zqq9";
pub(crate) const DOMAIN: &str = "contoso.example";

/// `name@` the domain of the tests.
pub(crate) fn at(name: &str) -> String {
    format!("{name}@{DOMAIN}")
}

pub(crate) fn tenant() -> Tenant {
    Tenant::new(DOMAIN)
}

pub(crate) async fn start(tenant: Tenant) -> Server {
    Server::start(Config::default().tenant(tenant))
        .await
        .unwrap()
}

/// A caller with a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// Signs the tenant's first app in.
    pub(crate) async fn first_app(server: &Server) -> Self {
        let tenant = server.tenant();
        Self::app(server, &tenant, tenant.client_id(), tenant.client_secret()).await
    }

    pub(crate) async fn app(
        server: &Server,
        tenant: &TenantHandle,
        client_id: Uuid,
        secret: &str,
    ) -> Self {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &client_id.to_string()),
            ("client_secret", secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        Self::signed_in(server, tenant, &form).await
    }

    /// Signs a user in to the first app with its password.
    pub(crate) async fn user(server: &Server, upn: &str, password: &str) -> Self {
        let tenant = server.tenant();
        let form = [
            ("grant_type", "password"),
            ("client_id", &tenant.client_id().to_string()),
            ("username", upn),
            ("password", password),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        Self::signed_in(server, &tenant, &form).await
    }

    async fn signed_in(server: &Server, tenant: &TenantHandle, form: &[(&str, &str)]) -> Self {
        let (status, answer) = token(server, &tenant.id().to_string(), form).await;
        assert_eq!(status, 200, "{answer}");
        Self {
            http: reqwest::Client::new(),
            base: server.base_url().to_owned(),
            token: answer["access_token"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/v1.0{path}", self.base)
        };
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.request(Method::GET, path).send().await.unwrap();
        body(response).await
    }

    /// The values of all pages.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut values = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let (status, page) = self.get(&path).await;
            assert_eq!(status, 200, "{page}");
            values.extend(page["value"].as_array().unwrap().clone());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        values
    }

    pub(crate) async fn patch(&self, key: &str, change: &Value) -> (u16, Value) {
        let response = self
            .request(Method::PATCH, &user_path(key))
            .json(change)
            .send()
            .await
            .unwrap();
        body(response).await
    }

    /// Sets a password that breaks no rule.
    pub(crate) async fn reset(&self, key: &str) -> u16 {
        self.reset_to(key, PASSWORD).await.0
    }

    pub(crate) async fn reset_to(&self, key: &str, password: &str) -> (u16, Value) {
        self.patch(key, &password_change(password)).await
    }

    pub(crate) async fn batch(&self, envelope: &Value) -> (u16, Value) {
        let response = self
            .request(Method::POST, "/$batch")
            .json(envelope)
            .send()
            .await
            .unwrap();
        body(response).await
    }
}

pub(crate) fn password_change(password: &str) -> Value {
    json!({"passwordProfile": {"password": password, "forceChangePasswordNextSignIn": false}})
}

/// `/users/{key}`, percent-encoded where a path must be.
pub(crate) fn user_path(key: &str) -> String {
    format!("/users/{}", key.replace('%', "%25").replace('#', "%23"))
}

pub(crate) async fn body(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Asks the token endpoint.
pub(crate) async fn token(server: &Server, tenant: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/{tenant}/oauth2/v2.0/token", server.base_url());
    let response = reqwest::Client::new()
        .post(url)
        .form(form)
        .send()
        .await
        .unwrap();
    body(response).await
}

/// The AADSTS number of a sign-in with a password, or 0 if it works.
pub(crate) async fn sign_in(server: &Server, upn: &str, password: &str) -> u64 {
    let tenant = server.tenant();
    let form = [
        ("grant_type", "password"),
        ("client_id", &tenant.client_id().to_string()),
        ("username", upn),
        ("password", password),
        ("scope", "https://graph.microsoft.com/.default openid"),
    ];
    let (_, answer) = token(server, &tenant.id().to_string(), &form).await;
    answer["error_codes"][0].as_u64().unwrap_or(0)
}

/// The code in Graph's error body.
pub(crate) fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

/// An app with a fixed secret and the permission to set passwords, but no role.
pub(crate) fn bare_app(number: u128) -> App {
    App::new(format!("app {number}"))
        .client_id(Uuid::from_u128(number))
        .secret("app secret")
        .permission("User-PasswordProfile.ReadWrite.All")
        .permission("User.Read.All")
}

/// Signs in an app made with [`bare_app`].
pub(crate) async fn numbered_app(server: &Server, number: u128) -> Client {
    Client::app(
        server,
        &server.tenant(),
        Uuid::from_u128(number),
        "app secret",
    )
    .await
}
