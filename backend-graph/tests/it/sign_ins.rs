//! What signing in as an account says about its password, and what it does not.

use std::collections::HashMap;
use std::time::Duration;

use backend_graph::GraphBackend;
use entra_sim::{App, Config, Effect, Endpoint, Fault, Server, User};
use rotation_core::{Account, AccountId, AccountKind, Password, Problem, RotationBackend, SignIn};
use serde_json::{Value, json};
use url::form_urlencoded;
use wiremock::ResponseTemplate;
use zeroize::Zeroizing;

use crate::simulator;
use crate::support::{
    CLIENT_ID, PASSWORD, SECRET, TENANT, Tenant, config, guid, nobody, raw_server,
};

const DOMAIN: &str = "contoso.example";

fn account(name: &str) -> Account {
    Account::new(AccountId::new(&guid(1)), format!("{name}@{DOMAIN}"))
}

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.to_owned()))
}

fn cannot_tell(sign_in: SignIn) -> Problem {
    match sign_in {
        SignIn::CannotTell(problem) => problem,
        told => panic!("{told:?}"),
    }
}

async fn tenant_says(answer: ResponseTemplate) -> SignIn {
    let tenant = Tenant::without_tokens().await;
    tenant.authority_says(answer).await;
    let sign_in = tenant
        .backend()
        .signs_in(&account("ada"), &password(PASSWORD))
        .await;
    assert_eq!(
        tenant.sign_ins().await,
        1,
        "tried once, whatever the answer"
    );
    assert_eq!(tenant.asked().await, 0, "Graph has no part in it");
    sign_in
}

fn error(codes: &[u32]) -> Value {
    let description = format!("AADSTS{codes:?}: told {PASSWORD}");
    json!({"error": "invalid_grant", "error_description": description, "error_codes": codes})
}

fn refusal(codes: &[u32]) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(error(codes))
}

async fn directory() -> Server {
    let user = |name: &str| User::new(format!("{name}@{DOMAIN}")).password(PASSWORD);
    let tenant = entra_sim::Tenant::new(DOMAIN)
        .app(App::rotation())
        .user(user("ada"))
        .user(user("off").disabled())
        .user(user("new").must_change_password())
        .user(user("mfa").requires_mfa());
    Server::start(Config::default().tenant(tenant))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_directory_tells_right_from_wrong_unless_it_never_looked() {
    let server = directory().await;
    let backend = GraphBackend::new(simulator::config(&server)).unwrap();
    for (name, right, wrong) in [
        ("ada", SignIn::Right, SignIn::Wrong),
        ("new", SignIn::Right, SignIn::Wrong),
        ("mfa", SignIn::Right, SignIn::Wrong),
    ] {
        let account = account(name);
        assert_eq!(
            backend.signs_in(&account, &password(PASSWORD)).await,
            right,
            "{name}"
        );
        assert_eq!(
            backend.signs_in(&account, &password("another")).await,
            wrong,
            "{name}"
        );
    }
    for (name, reason) in [("off", "disabled"), ("nobody", "does not know the account")] {
        for text in [PASSWORD, "another"] {
            let sign_in = backend.signs_in(&account(name), &password(text)).await;
            let problem = cannot_tell(sign_in);
            assert!(problem.message.contains(reason), "{name}: {problem:?}");
            assert!(
                problem.fix.is_some() && problem.request_id.is_some(),
                "{problem:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_locked_account_says_nothing_of_its_password() {
    let server = directory().await;
    let backend = GraphBackend::new(simulator::config(&server)).unwrap();
    let ada = account("ada");
    for n in 0..10 {
        let wrong = password(&format!("wrong {n}"));
        assert_eq!(backend.signs_in(&ada, &wrong).await, SignIn::Wrong);
    }
    for text in [PASSWORD, "another"] {
        let problem = cannot_tell(backend.signs_in(&ada, &password(text)).await);
        assert!(problem.message.contains("locked"), "{problem:?}");
    }
    server.advance(Duration::from_secs(60));
    assert_eq!(
        backend.signs_in(&ada, &password(PASSWORD)).await,
        SignIn::Right
    );
}

#[tokio::test]
async fn every_code_says_no_more_than_its_source() {
    let right = [
        50_055, 50_072, 50_074, 50_076, 50_079, 53_000, 53_001, 53_002, 53_003,
    ];
    let wrong = [50_054, 50_126];
    let nothing = [
        (50_020, "verify"),
        (50_034, "try again"),
        (50_053, "wait"),
        (50_056, "verify"),
        (50_057, "verify"),
        (50_144, "verify"),
        (51_004, "verify"),
        (65_001, "openid"),
        (90_019, "`tenant`"),
        // the app's own troubles
        (70_011, "`cloud`"),
        (90_002, "`cloud`"),
        (500_011, "`cloud`"),
        (530_035, "policy"),
        (650_056, "consent"),
        (700_016, "`client_id`"),
        (700_025, "confidential"),
        (7_000_215, "value"),
        (7_000_218, "credential"),
        (7_000_222, "new client secret"),
        (9_001_023, "GUID"),
        (50_196, "wait"),
        (90_033, "wait"),
        // what no page connects with the password
        (50_058, "look the code up"),
        (50_064, "look the code up"),
        (50_105, "assign the user"),
        (50_131, "look the code up"),
        (50_158, "look the code up"),
        (53_011, "look the code up"),
        (1, "look the code up"),
    ];
    for code in right {
        assert_eq!(tenant_says(refusal(&[code])).await, SignIn::Right, "{code}");
    }
    for code in wrong {
        assert_eq!(tenant_says(refusal(&[code])).await, SignIn::Wrong, "{code}");
    }
    for (code, fix) in nothing {
        let problem = cannot_tell(tenant_says(refusal(&[code])).await);
        assert!(
            problem.message.contains(&format!("AADSTS{code}")),
            "{problem:?}"
        );
        assert!(problem.fix.unwrap_or_default().contains(fix), "{code}");
    }
    // the more careful of two
    assert_eq!(tenant_says(refusal(&[50_076, 50_126])).await, SignIn::Wrong);
    cannot_tell(tenant_says(refusal(&[50_076, 50_057])).await);
    println!("{} codes", right.len() + wrong.len() + nothing.len());
}

#[tokio::test]
async fn a_token_means_right_and_nothing_else_does() {
    let says = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    for body in [
        json!({"token_type": "Bearer", "access_token": "a.b.c"}),
        json!({"token_type": "Bearer", "id_token": "a.b.c"}),
    ] {
        assert_eq!(
            tenant_says(says(body.clone())).await,
            SignIn::Right,
            "{body}"
        );
    }
    let text = |status, body: &str| ResponseTemplate::new(status).set_body_raw(body, "text/html");
    let wrong = error(&[50_126]).to_string();
    let mfa = error(&[50_076]).to_string();
    for (name, answer) in [
        ("no token", says(json!({}))),
        ("an empty token", says(json!({"access_token": ""}))),
        (
            "null",
            says(json!({"access_token": null, "id_token": null})),
        ),
        ("no text", says(json!({"access_token": 1}))),
        ("a list", says(json!(["access_token"]))),
        ("an error with 200", says(error(&[50_126]))),
        ("a portal", text(200, "<html>access_token</html>")),
        ("204", ResponseTemplate::new(204)),
        (
            "201",
            ResponseTemplate::new(201).set_body_json(json!({"access_token": "a.b.c"})),
        ),
        ("no JSON", text(400, "<html>50126</html>")),
        ("half an error", text(400, &wrong[..wrong.len() - 5])),
        (
            "no code",
            ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"})),
        ),
        (
            "a code as text",
            ResponseTemplate::new(400).set_body_json(json!({"error_codes": ["50126"]})),
        ),
        ("429", text(429, &wrong)),
        ("429 mfa", text(429, &mfa)),
        ("500", text(500, &wrong)),
        ("502", text(502, "<html>Bad gateway</html>")),
        ("503", text(503, &mfa)),
        ("504", ResponseTemplate::new(504)),
        (
            "302",
            text(302, &wrong).insert_header("location", "http://127.0.0.1:9/"),
        ),
    ] {
        let problem = cannot_tell(tenant_says(answer).await);
        assert!(problem.fix.is_some(), "{name}: {problem:?}");
        assert!(
            problem.message.contains("ada@contoso.example"),
            "{name}: {problem:?}"
        );
    }
}

#[tokio::test]
async fn a_lost_sign_in_says_nothing() {
    for authority in [
        nobody().await,
        raw_server("").await,
        raw_server("HTTP/1.1 20").await,
        raw_server("HTTP/1.1 400 B\r\ncontent-length: 100\r\n\r\n{\"error_codes\":[50126]").await,
        raw_server("220 smtp.example ESMTP\r\n").await,
    ] {
        let backend = GraphBackend::new(config(&authority, &nobody().await)).unwrap();
        let sign_in = backend.signs_in(&account("ada"), &password(PASSWORD)).await;
        assert!(cannot_tell(sign_in).fix.is_some(), "{authority}");
    }
    let ada = account("ada");
    for applied in [false, true] {
        let location = "https://elsewhere.example/".to_owned();
        for effect in [
            Effect::Disconnect { applied },
            Effect::Hang { applied },
            Effect::Html {
                status: 200,
                applied,
            },
            Effect::BrokenOff {
                status: 400,
                applied,
            },
            Effect::Redirect {
                status: 307,
                location,
                applied,
            },
            Effect::Reset { applied },
            Effect::late(),
            Effect::TruncatedJson,
        ] {
            let server = directory().await;
            let limit = match effect {
                Effect::Hang { .. } => Duration::from_millis(300),
                _ => Duration::from_secs(60),
            };
            let config = simulator::config(&server).with_timeout(limit);
            let backend = GraphBackend::new(config).unwrap();
            let strike = Fault::new(effect.clone()).endpoint(Endpoint::Token);
            server.add_fault(strike.account(&ada.user_name).once());
            let sign_in = backend.signs_in(&ada, &password(PASSWORD)).await;
            assert!(cannot_tell(sign_in).fix.is_some(), "{effect:?}");
            let again = backend.signs_in(&ada, &password(PASSWORD)).await;
            assert_eq!(again, SignIn::Right, "{effect:?}");
        }
    }
}

#[tokio::test]
async fn what_the_flow_cannot_do_is_not_tried() {
    let tenant = Tenant::without_tokens().await;
    let backend = tenant.backend();
    let of = |kind| {
        let mut account = account("ada");
        account.kind = kind;
        account
    };
    for (account, text) in [
        (of(AccountKind::Federated), PASSWORD),
        (of(AccountKind::Guest), PASSWORD),
        (account("ada"), " starts with a space"),
        (account("ada"), "ends with a space "),
    ] {
        let problem = cannot_tell(backend.signs_in(&account, &password(text)).await);
        assert!(problem.message.contains("was not tried"), "{problem:?}");
    }
    assert_eq!(tenant.sign_ins().await, 0);
}

#[tokio::test]
async fn the_sign_in_is_the_documented_one() {
    let tenant = Tenant::without_tokens().await;
    tenant.authority_says(refusal(&[50_126])).await;
    let hostile = "a&scope=x+%41=ü €\"'";
    let backend = tenant.backend();
    backend
        .signs_in(&account("o'hara+x"), &password(hostile))
        .await;
    let received = tenant.authority.received_requests().await.unwrap();
    let [sent] = received.as_slice() else {
        panic!("{} requests instead of one", received.len());
    };
    assert_eq!(sent.method.as_str(), "POST");
    assert_eq!(sent.url.path(), format!("/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(sent.url.query(), None);
    assert_eq!(
        sent.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(sent.headers.get("authorization"), None);
    let form: HashMap<_, _> = form_urlencoded::parse(&sent.body).into_owned().collect();
    let user_name = format!("o'hara+x@{DOMAIN}");
    let expected = [
        ("grant_type", "password"),
        ("client_id", CLIENT_ID),
        ("client_secret", SECRET),
        ("scope", "openid"),
        ("username", &user_name),
        ("password", hostile),
    ];
    assert_eq!(form.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(form[name], value, "{name}");
    }
    assert_eq!(backend.traffic().requests, 0, "Graph's alone are counted");
}
