//! Every way to sign in, against a simulator that verifies for itself: valid, expired, wrong, and removed at the app.

use std::fs;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use backend_graph::{
    ClientCertificate, Cloud, Credential, FederatedToken, GitHubActions, GraphBackend, GraphConfig,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_sim::{App, Config, Server, Tenant, User};
use futures::TryStreamExt;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use rotation_core::{
    AccountQuery, BackendError, Clock, Password, RotationBackend, SignIn, SystemClock,
};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};
use zeroize::Zeroizing;

const APP: Uuid = Uuid::from_u128(0x0a99);
const DOMAIN: &str = "contoso.example";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:contoso/ops:ref:refs/heads/main";
const AUDIENCE: &str = "api://AzureADTokenExchange";

fn key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

/// The certificate of `key`, and both in one text.
fn certificate(key: &KeyPair, until: i32) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let pem = params.self_signed(key).unwrap().pem();
    let both = format!("{pem}{}", key.serialize_pem());
    (pem, both)
}

fn own(pem: &str) -> Credential {
    Credential::Certificate(ClientCertificate::from_pem(pem).unwrap())
}

/// A token of the other issuer, good from an hour ago until `seconds` from now.
fn token(key: &KeyPair, issuer: &str, subject: &str, audience: &str, seconds: i64) -> String {
    let now = SystemClock.now().as_second();
    let claims = json!({
        "iss": issuer, "sub": subject, "aud": audience, "nbf": now - 3_600, "exp": now + seconds,
    });
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = part(json!({"alg": "RS256", "typ": "JWT"}).to_string());
    let signed = format!("{head}.{}", part(claims.to_string()));
    let key = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn given(token: String) -> Credential {
    Credential::Federated(FederatedToken::Given(token.into()))
}

fn file(path: &Path) -> Credential {
    Credential::Federated(FederatedToken::File(path.to_owned()))
}

async fn serve(app: App) -> Server {
    let user = User::new(format!("ada@{DOMAIN}")).password("Ada's own 1");
    let tenant = Tenant::new(DOMAIN).app(app.client_id(APP)).user(user);
    Server::start(Config::default().tenant(tenant))
        .await
        .unwrap()
}

fn backend(server: &Server, credential: Credential) -> GraphBackend {
    GraphBackend::new(config(server, credential)).unwrap()
}

fn config(server: &Server, credential: Credential) -> GraphConfig {
    let cloud = Cloud::custom(server.base_url(), server.base_url(), None).unwrap();
    GraphConfig::new(DOMAIN, APP.to_string(), credential).with_cloud(cloud)
}

/// What a person reads: nothing if it worked, else the message and the fix.
async fn says(server: &Server, credential: Credential) -> String {
    match backend(server, credential).caller().await {
        Ok(_) => String::new(),
        Err(BackendError::NotAuthorized(problem) | BackendError::Unavailable(problem)) => {
            format!("{}; {}", problem.message, problem.fix.unwrap())
        }
        Err(error) => panic!("{error:?}"),
    }
}

const PLACE: &str = "signing in to tenant contoso.example failed: ";

#[tokio::test]
async fn every_credential_works_or_says_why_not_and_what_to_do() {
    let (rsa, other, issuer) = (key(), key(), key());
    let (uploaded, certificate_file) = certificate(&rsa, 2100);
    let (_, other_file) = certificate(&other, 2100);
    let app = App::rotation()
        .secret("the secret")
        .expiring_secret("old", std::time::Duration::ZERO)
        .with_certificate(uploaded)
        .with_federated_credential(ISSUER, SUBJECT, AUDIENCE, issuer.public_key_pem());
    let server = serve(app).await;
    let bare = serve(App::rotation().secret("another")).await;
    let secret = |text: &str| Credential::ClientSecret(text.into());
    let good = || token(&issuer, ISSUER, SUBJECT, AUDIENCE, 600);

    for (name, server, credential, expected) in [
        ("secret, valid", &server, secret("the secret"), ""),
        (
            "secret, expired",
            &server,
            secret("old"),
            "the client secret has expired (HTTP 401, AADSTS7000222); \
             add a new client secret to the app and configure its value",
        ),
        (
            "secret, wrong",
            &server,
            secret("guess"),
            "the client secret is wrong (HTTP 401, AADSTS7000215); \
             configure the secret's value, which the portal shows once, not its id",
        ),
        (
            "secret, removed",
            &bare,
            secret("the secret"),
            "the client secret is wrong (HTTP 401, AADSTS7000215); \
             configure the secret's value, which the portal shows once, not its id",
        ),
        ("certificate, valid", &server, own(&certificate_file), ""),
        (
            "certificate, wrong",
            &server,
            own(&other_file),
            "the signature is not by a key that the app knows, or its certificate has expired \
             (HTTP 401, AADSTS700027); upload the configured certificate to the app; a federated token \
             must be signed by the issuer of the app's federated credential",
        ),
        (
            "certificate, removed",
            &bare,
            own(&certificate_file),
            "the signature is not by a key that the app knows, or its certificate has expired \
             (HTTP 401, AADSTS700027); upload the configured certificate to the app; a federated token \
             must be signed by the issuer of the app's federated credential",
        ),
        ("federated, valid", &server, given(good()), ""),
        (
            "federated, expired",
            &server,
            given(token(&issuer, ISSUER, SUBJECT, AUDIENCE, -900)),
            "the assertion has expired or is not valid yet (HTTP 401, AADSTS700024); \
             check this machine's clock; a federated token must be one that was made minutes ago",
        ),
        (
            "federated, wrong key",
            &server,
            given(token(&other, ISSUER, SUBJECT, AUDIENCE, 600)),
            "the signature is not by a key that the app knows, or its certificate has expired \
             (HTTP 401, AADSTS700027); upload the configured certificate to the app; a federated token \
             must be signed by the issuer of the app's federated credential",
        ),
        (
            "federated, wrong issuer",
            &server,
            given(token(&issuer, "https://gitlab.com", SUBJECT, AUDIENCE, 600)),
            "the app has no federated credential for the token's issuer (HTTP 401, AADSTS700211): the token has issuer `https://gitlab.com`, subject `repo:contoso/ops:ref:refs/heads/main`, audience `api://AzureADTokenExchange`; \
             give its federated credential the token's `iss`, to the last slash",
        ),
        (
            "federated, wrong audience",
            &server,
            given(token(&issuer, ISSUER, SUBJECT, "sigstore", 600)),
            "the app has no federated credential for the token's audience (HTTP 401, AADSTS700212): the token has issuer `https://token.actions.githubusercontent.com`, subject `repo:contoso/ops:ref:refs/heads/main`, audience `sigstore`; \
             have the token made for the audience of the federated credential, usually \
             api://AzureADTokenExchange",
        ),
        (
            "federated, wrong subject",
            &server,
            given(token(
                &issuer,
                ISSUER,
                "repo:contoso/ops:pull_request",
                AUDIENCE,
                600,
            )),
            "the app has no federated credential for the token's subject (HTTP 401, AADSTS700213): the token has issuer `https://token.actions.githubusercontent.com`, subject `repo:contoso/ops:pull_request`, audience `api://AzureADTokenExchange`; \
             give its federated credential the token's `sub`, which names the repository and branch or \
             environment, or the service account",
        ),
        (
            "federated, wrong case",
            &server,
            given(token(
                &issuer,
                ISSUER,
                &SUBJECT.to_uppercase(),
                AUDIENCE,
                600,
            )),
            "the token's subject differs from the federated credential in upper and lower case \
             (HTTP 401, AADSTS7002138): the token has issuer `https://token.actions.githubusercontent.com`, subject `REPO:CONTOSO/OPS:REF:REFS/HEADS/MAIN`, audience `api://AzureADTokenExchange`; write the subject of the federated credential exactly as the \
             token's `sub`",
        ),
        (
            "federated, removed",
            &bare,
            given(good()),
            "the app has no federated credential that the token matches (HTTP 400, AADSTS70021): the token has issuer `https://token.actions.githubusercontent.com`, subject `repo:contoso/ops:ref:refs/heads/main`, audience `api://AzureADTokenExchange`; \
             add one to the app, with the issuer, subject and audience of the token",
        ),
        (
            "federated, nothing",
            &server,
            given(" \n".to_owned()),
            "expected a federated token in the environment, three parts with dots between them, found \
             nothing; name the place where your CI or cluster puts the token of the job",
        ),
    ] {
        let said = says(server, credential).await;
        let expected = match expected {
            "" => String::new(),
            text => format!("{PLACE}{text}"),
        };
        assert_eq!(said, expected, "{name}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_never_sent() {
    let (_, old) = certificate(&key(), 2021);
    let server = serve(App::rotation()).await;
    let error = GraphBackend::new(config(&server, own(&old))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "credential: found the certificate expired on 2021-01-01 00:00 UTC, expected one that is valid now"
    );
    assert_eq!(server.totals().requests, 0);
}

#[tokio::test]
async fn a_token_file_is_read_anew_each_time() {
    let issuer = key();
    let server = serve(App::rotation().with_federated_credential(
        ISSUER,
        SUBJECT,
        AUDIENCE,
        issuer.public_key_pem(),
    ))
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let backend = backend(&server, file(&path));
    let BackendError::NotAuthorized(problem) = backend.caller().await.unwrap_err() else {
        panic!("of another kind")
    };
    let place = path.display();
    assert_eq!(
        problem.message,
        format!(
            "{PLACE}the federated token cannot be read from the file {place}: No such file or directory (os error 2)"
        )
    );
    for (text, works) in [
        (token(&issuer, ISSUER, SUBJECT, AUDIENCE, -900), false),
        ("x".repeat(100_000), false),
        (
            format!("{}\n", token(&issuer, ISSUER, SUBJECT, AUDIENCE, 600)),
            true,
        ),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(backend.caller().await.is_ok(), works);
    }
}

#[tokio::test]
async fn a_job_of_github_asks_for_the_token_that_entra_wants() {
    let issuer = key();
    let server = serve(App::rotation().with_federated_credential(
        ISSUER,
        SUBJECT,
        AUDIENCE,
        issuer.public_key_pem(),
    ))
    .await;
    let github = MockServer::start().await;
    let credential = |path: &str| {
        let url = format!("{}{path}", github.uri());
        let source = GitHubActions::new(&url, &SecretString::from("request-token")).unwrap();
        Credential::Federated(FederatedToken::GitHub(source))
    };
    let value = token(&issuer, ISSUER, SUBJECT, AUDIENCE, 600);
    let right = Mock::given(method("GET"))
        .and(path("/right"))
        .and(query_param("api-version", "2.0"))
        .and(query_param("audience", AUDIENCE))
        .and(header("authorization", "bearer request-token"));
    right
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": value})))
        .mount(&github)
        .await;
    for (at, answer) in [
        ("/refused", ResponseTemplate::new(403)),
        ("/busy", ResponseTemplate::new(503)),
        ("/odd", ResponseTemplate::new(200).set_body_string("<html>")),
    ] {
        let mock = Mock::given(path(at)).respond_with(answer);
        mock.mount(&github).await;
    }
    for (path, expected) in [
        ("/right?api-version=2.0", String::new()),
        (
            "/refused",
            format!(
                "{PLACE}GitHub gives this job no token (HTTP 403); check that the job has \
                 `permissions: id-token: write` and is still running"
            ),
        ),
        (
            "/busy",
            format!(
                "{PLACE}GitHub gives this job no token (HTTP 503); check that the job has \
                 `permissions: id-token: write` and is still running"
            ),
        ),
        (
            "/odd",
            format!(
                "{PLACE}GitHub's answer has no token: expected {{\"value\": …}}; check whether a proxy \
                 answers in its place"
            ),
        ),
    ] {
        assert_eq!(says(&server, credential(path)).await, expected, "{path}");
    }
    for url in ["", "http://github.example", "ftp://x"] {
        let error = GitHubActions::new(url, &SecretString::from("t")).unwrap_err();
        assert!(error.to_string().contains("ACTIONS_ID_TOKEN_REQUEST_URL"));
    }
}

#[tokio::test]
async fn an_account_is_signed_in_with_whatever_the_app_has() {
    let (rsa, issuer) = (key(), key());
    let (uploaded, pem) = certificate(&rsa, 2100);
    let app = App::rotation()
        .with_certificate(uploaded)
        .with_federated_credential(ISSUER, SUBJECT, AUDIENCE, issuer.public_key_pem());
    let server = serve(app).await;
    let right = Password::new(Zeroizing::new("Ada's own 1".to_owned()));
    for (credential, works) in [
        (own(&pem), true),
        (given(token(&issuer, ISSUER, SUBJECT, AUDIENCE, 600)), true),
        (given(String::new()), false),
        (Credential::ManagedIdentity { client_id: None }, false),
    ] {
        let reader = backend(&server, own(&pem));
        let accounts: Vec<_> = reader
            .accounts(AccountQuery::All)
            .try_collect()
            .await
            .unwrap();
        let answer = backend(&server, credential.clone())
            .signs_in(&accounts[0], &right)
            .await;
        match answer {
            SignIn::Right => assert!(works, "{credential:?}"),
            SignIn::CannotTell(problem) => assert!(!works, "{credential:?}: {problem:?}"),
            other => panic!("{credential:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_credential_is_shown() {
    let rsa = key();
    let (_, pem) = certificate(&rsa, 2100);
    let server = serve(App::rotation()).await;
    let line = rsa.serialize_pem().lines().nth(5).unwrap().to_owned();
    let github = GitHubActions::new("https://x.example", &"request-token".into()).unwrap();
    for (credential, secret) in [
        (own(&pem), line.as_str()),
        (given("a.b.hunter2".to_owned()), "hunter2"),
        (
            Credential::Federated(FederatedToken::GitHub(github)),
            "request-token",
        ),
    ] {
        let config = config(&server, credential);
        let backend = GraphBackend::new(config.clone()).unwrap();
        let shown = format!(
            "{config:?} {backend:?} {}",
            says(&server, config.credential.clone()).await
        );
        assert!(!shown.contains(secret), "{shown}");
    }
}
