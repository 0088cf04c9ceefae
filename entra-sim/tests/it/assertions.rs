//! Apps that prove who they are by a certificate, or by a token of another issuer.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_sim::{App, Config, Server, Tenant};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use serde_json::{Value, json};

use crate::support::{start, tenant, token};

const ISSUER: &str = "https://issuer.example";
const SUBJECT: &str = "repo:contoso/ops:ref:refs/heads/main";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// A certificate and its key.
struct Pair {
    pem: String,
    thumbprint: String,
    key: KeyPair,
}

fn pair(until: i32) -> Pair {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    Pair {
        pem: certificate.pem(),
        thumbprint: URL_SAFE_NO_PAD.encode(print),
        key,
    }
}

fn jwt(header: &Value, claims: &Value, key: &KeyPair, how: &'static dyn RsaEncoding) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(how, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `claims` with some replaced; null removes one.
fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

async fn answer(server: &Server, assertion: &str) -> (u16, Value) {
    let tenant = server.tenant();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &tenant.client_id().to_string()),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    token(server, tenant.domain(), &form).await
}

fn now() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator goes by the same clock"
    )]
    let now = jiff::Timestamp::now();
    now.as_second()
}

#[tokio::test]
async fn a_certificate_is_verified_for_all_that_is_documented() {
    let (known, unknown, old) = (pair(2100), pair(2100), pair(2021));
    let app = App::rotation()
        .with_certificate(&known.pem)
        .with_certificate(&old.pem);
    let server = start(tenant().app(app)).await;
    let (client, id) = (server.tenant().client_id(), server.tenant().id());
    let here = |tenant: &str| format!("{}/{tenant}/oauth2/v2.0/token", server.base_url());
    let now = now();
    let claims = json!({
        "aud": here(&id.to_string()), "iss": client, "sub": client, "jti": "1", "nbf": now, "iat": now, "exp": now + 600,
    });
    let header = |pair: &Pair| json!({"alg": "PS256", "typ": "JWT", "x5t#S256": pair.thumbprint});
    let signed = |changes: Value| {
        let claims = with(claims.clone(), changes);
        jwt(&header(&known), &claims, &known.key, &RSA_PSS_SHA256)
    };
    let whole = signed(json!({}));
    let (body, _) = whole.rsplit_once('.').unwrap();

    for (what, assertion, code) in [
        ("as documented", whole.clone(), 0),
        (
            "by domain",
            signed(json!({"aud": here(server.tenant().domain())})),
            0,
        ),
        ("of slow clocks", signed(json!({"nbf": now + 200})), 0),
        ("of fast clocks", signed(json!({"exp": now - 200})), 0),
        ("too early", signed(json!({"nbf": now + 900})), 700_024),
        ("too late", signed(json!({"exp": now - 900})), 700_024),
        (
            "of another app",
            signed(json!({"iss": id, "sub": id})),
            700_021,
        ),
        ("about another app", signed(json!({"sub": id})), 700_021),
        (
            "for another tenant",
            signed(json!({"aud": here("other.example")})),
            700_023,
        ),
        ("for nobody", signed(json!({"aud": "x"})), 700_023),
        ("without jti", signed(json!({"jti": null})), 50_027),
        ("without exp", signed(json!({"exp": null})), 50_027),
        ("nonsense", "a.b.c".to_owned(), 50_027),
        ("unsigned", format!("{body}."), 700_027),
        (
            "another key",
            jwt(&header(&known), &claims, &unknown.key, &RSA_PSS_SHA256),
            700_027,
        ),
        (
            "not uploaded",
            jwt(&header(&unknown), &claims, &unknown.key, &RSA_PSS_SHA256),
            700_027,
        ),
        (
            "expired certificate",
            jwt(&header(&old), &claims, &old.key, &RSA_PSS_SHA256),
            700_027,
        ),
        (
            "another padding",
            jwt(&header(&known), &claims, &known.key, &RSA_PKCS1_SHA256),
            700_027,
        ),
        (
            "no thumbprint",
            jwt(
                &json!({"alg": "PS256"}),
                &claims,
                &known.key,
                &RSA_PSS_SHA256,
            ),
            700_027,
        ),
    ] {
        let (status, body) = answer(&server, &assertion).await;
        if code == 0 {
            assert_eq!(status, 200, "{what}: {body}");
            assert!(body["access_token"].is_string(), "{what}");
        } else {
            assert_eq!(body["error_codes"], json!([code]), "{what}: {body}");
            assert!(matches!(status, 400 | 401), "{what}: {status}");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_must_match_in_all_three_and_be_signed_by_it() {
    let (issuer, forger) = (pair(2100), pair(2100));
    let app = App::rotation().with_federated_credential(
        ISSUER,
        SUBJECT,
        AUDIENCE,
        issuer.key.public_key_pem(),
    );
    let server = start(tenant().app(app)).await;
    let now = now();
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": now + 300});
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let signed = |changes: Value| {
        let claims = with(claims.clone(), changes);
        jwt(&header, &claims, &issuer.key, &RSA_PKCS1_SHA256)
    };
    for (what, assertion, code) in [
        ("as registered", signed(json!({})), 0),
        ("many audiences", signed(json!({"aud": ["x", AUDIENCE]})), 0),
        (
            "another issuer",
            signed(json!({"iss": format!("{ISSUER}/")})),
            700_211,
        ),
        (
            "another audience",
            signed(json!({"aud": "api://x"})),
            700_212,
        ),
        ("another subject", signed(json!({"sub": "repo:x"})), 700_213),
        (
            "case",
            signed(json!({"sub": SUBJECT.to_uppercase()})),
            7_002_138,
        ),
        ("expired", signed(json!({"exp": now - 900})), 700_024),
        ("too early", signed(json!({"nbf": now + 900})), 700_024),
        (
            "forged",
            jwt(&header, &claims, &forger.key, &RSA_PKCS1_SHA256),
            700_027,
        ),
    ] {
        let (status, body) = answer(&server, &assertion).await;
        if code == 0 {
            assert_eq!(status, 200, "{what}: {body}");
        } else {
            assert_eq!(body["error_codes"], json!([code]), "{what}: {body}");
        }
    }
    let bare = start(tenant().app(App::rotation())).await;
    let (_, body) = answer(&bare, &signed(json!({}))).await;
    assert_eq!(body["error_codes"], json!([70_021]), "{body}");
    // time is the server's own
    server.advance(Duration::from_secs(3_600));
    let (_, body) = answer(&server, &signed(json!({}))).await;
    assert_eq!(body["error_codes"], json!([700_024]), "{body}");
}

#[tokio::test]
async fn a_server_does_not_start_with_what_is_no_certificate() {
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ] {
        let tenant = Tenant::new("contoso.example").app(App::rotation().with_certificate(pem));
        assert!(
            Server::start(Config::default().tenant(tenant))
                .await
                .is_err()
        );
    }
}
