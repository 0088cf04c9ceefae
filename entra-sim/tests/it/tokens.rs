//! The token endpoint and what its tokens are good for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_sim::{App, Config, Effect, Endpoint, Fault, Role, Server, User};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Client, at, bare_app, body, sign_in, start, tenant, token};

const SCOPE: &str = "https://graph.microsoft.com/.default";

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn server() -> Server {
    start(
        tenant()
            .app(
                App::rotation()
                    .secret("right")
                    .expiring_secret("stale", Duration::ZERO),
            )
            .user(User::new(at("ada")).password("Ada's own 1"))
            .user(User::new(at("off")).password("Off's own 1").disabled())
            .user(User::new(at("mfa")).password("Mfa's own 1").requires_mfa())
            .user(
                User::new(at("new"))
                    .password("New's own 1")
                    .must_change_password(),
            ),
    )
    .await
}

#[tokio::test]
async fn refusals_carry_entras_numbers() {
    let server = server().await;
    let id = server.tenant().id().to_string();
    let app = server.tenant().client_id().to_string();
    let nobody = Uuid::from_u128(9).to_string();
    let graph = "client_credentials";
    for (tenant, grant, client, secret, scope, status, error, number) in [
        (
            id.as_str(),
            graph,
            app.as_str(),
            "wrong",
            SCOPE,
            401,
            "invalid_client",
            7_000_215,
        ),
        (
            &id,
            graph,
            &app,
            "stale",
            SCOPE,
            401,
            "invalid_client",
            7_000_222,
        ),
        (
            &id,
            graph,
            &app,
            "",
            SCOPE,
            401,
            "invalid_client",
            7_000_215,
        ),
        (
            &id,
            graph,
            &nobody,
            "right",
            SCOPE,
            400,
            "unauthorized_client",
            700_016,
        ),
        (
            &id,
            graph,
            "no-guid",
            "right",
            SCOPE,
            400,
            "unauthorized_client",
            700_016,
        ),
        (
            &nobody,
            graph,
            &app,
            "right",
            SCOPE,
            400,
            "invalid_request",
            90_002,
        ),
        (
            "nowhere.example",
            graph,
            &app,
            "right",
            SCOPE,
            400,
            "invalid_request",
            90_002,
        ),
        (
            "common",
            graph,
            &app,
            "right",
            SCOPE,
            400,
            "invalid_request",
            9_001_023,
        ),
        (
            &id,
            graph,
            &app,
            "right",
            "User.Read",
            400,
            "invalid_scope",
            70_011,
        ),
        (
            &id,
            graph,
            &app,
            "right",
            "https://vault.example/.default",
            400,
            "invalid_resource",
            500_011,
        ),
        (
            &id,
            graph,
            &app,
            "right",
            "",
            400,
            "invalid_request",
            900_144,
        ),
        (
            &id,
            "implicit",
            &app,
            "right",
            SCOPE,
            400,
            "unsupported_grant_type",
            70_003,
        ),
    ] {
        let form = [
            ("grant_type", grant),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", scope),
        ];
        let (actual, answer) = token(&server, tenant, &form).await;
        assert_eq!(
            (actual, answer["error"].as_str()),
            (status, Some(error)),
            "{number}"
        );
        assert_eq!(answer["error_codes"], serde_json::json!([number]));
        let text = answer["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{number}: ")), "{text}");
        for member in ["timestamp", "trace_id", "correlation_id"] {
            assert!(answer[member].is_string(), "{member}");
        }
    }
}

#[tokio::test]
async fn a_request_without_any_credential_is_refused() {
    let server = server().await;
    let app = server.tenant().client_id().to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &app),
        ("scope", SCOPE),
    ];
    let (status, answer) = token(&server, &server.tenant().id().to_string(), &form).await;
    assert_eq!(
        (status, &answer["error_codes"][0]),
        (401, &7_000_218.into())
    );
}

#[tokio::test]
async fn passwords_sign_in_and_refusals_say_why() {
    let server = server().await;
    for (user, password, number) in [
        ("ada", "Ada's own 1", 0),
        ("ADA", "Ada's own 1", 0),
        ("ada", "ada's own 1", 50_126),
        ("nobody", "x", 50_034),
        ("off", "Off's own 1", 50_057),
        ("off", "wrong", 50_057),
        ("new", "New's own 1", 50_055),
        ("new", "wrong", 50_126),
        ("mfa", "Mfa's own 1", 50_076),
        ("mfa", "wrong", 50_126),
    ] {
        assert_eq!(
            sign_in(&server, &at(user), password).await,
            number,
            "{user}"
        );
    }
}

#[tokio::test]
async fn a_disabled_account_may_be_told_so_only_with_its_password() {
    let user = User::new(at("off")).password("Off's own 1").disabled();
    let tenant = tenant().app(App::rotation()).user(user);
    let server = start(tenant.switches(|s| s.disabled_before_password = false)).await;
    for (password, number) in [("wrong", 50_126), ("Off's own 1", 50_057)] {
        assert_eq!(sign_in(&server, &at("off"), password).await, number);
    }
}

#[tokio::test]
async fn ten_wrong_passwords_lock_an_account_that_no_reset_opens() {
    let server = server().await;
    let ada = server.tenant().user(&at("ada")).unwrap().id;
    for n in 0..10 {
        let wrong = format!("wrong {n}");
        assert_eq!(sign_in(&server, &at("ada"), &wrong).await, 50_126);
    }
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 50_053);
    server.tenant().set_password(ada, "Ada's new 2");
    assert_eq!(sign_in(&server, &at("ada"), "Ada's new 2").await, 50_053);
    server.advance(Duration::from_secs(60));
    assert_eq!(sign_in(&server, &at("ada"), "Ada's new 2").await, 0);
}

#[tokio::test]
async fn a_fault_strikes_the_sign_ins_of_one_account_with_any_number() {
    let server = server().await;
    server.add_fault(
        Fault::new(Effect::aadsts(50_158))
            .endpoint(Endpoint::Token)
            .account(at("ada")),
    );
    assert_eq!(sign_in(&server, &at("ada"), "Ada's own 1").await, 50_158);
    assert_eq!(sign_in(&server, &at("mfa"), "Mfa's own 1").await, 50_076);
    Client::first_app(&server).await;
}

#[tokio::test]
async fn an_app_only_token_shows_what_the_app_may_do() {
    let server = start(
        tenant()
            .app(
                bare_app(1)
                    .role(Role::USER_ADMINISTRATOR)
                    .unit_role(Role::HELPDESK_ADMINISTRATOR, "Branch"),
            )
            .unit(entra_sim::Unit::new("Branch")),
    )
    .await;
    let tenant = server.tenant();
    let claims = claims(Client::first_app(&server).await.token());
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
    assert_eq!(
        claims["iss"],
        format!("https://sts.windows.net/{}/", tenant.id())
    );
    assert_eq!(claims["tid"], tenant.id().to_string());
    assert_eq!(claims["appid"], Uuid::from_u128(1).to_string());
    assert_eq!(claims["oid"], tenant.service_principal_id().to_string());
    assert_eq!(
        (&claims["idtyp"], &claims["ver"]),
        (&"app".into(), &"1.0".into())
    );
    assert_eq!(
        claims["roles"],
        serde_json::json!(["User-PasswordProfile.ReadWrite.All", "User.Read.All"])
    );
    assert!(claims.get("scp").is_none());
    // Roles at unit scope never show; the id at the end is no role.
    assert_eq!(
        claims["wids"],
        serde_json::json!([
            Role::USER_ADMINISTRATOR,
            "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
        ])
    );
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3600
    );
}

#[tokio::test]
async fn a_users_token_shows_scopes_and_roles() {
    let server = start(
        tenant()
            .app(App::new("tool").delegated_permission("User.Read.All"))
            .user(
                User::new(at("ada"))
                    .password("Ada's own 1")
                    .role(Role::GLOBAL_READER),
            ),
    )
    .await;
    let client = Client::user(&server, &at("ada"), "Ada's own 1").await;
    let claims = claims(client.token());
    assert_eq!(
        (&claims["idtyp"], &claims["scp"]),
        (&"user".into(), &"User.Read.All".into())
    );
    assert_eq!(claims["wids"], serde_json::json!([Role::GLOBAL_READER]));
    assert!(claims.get("roles").is_none());
    assert_eq!(client.get("/users").await.0, 200);
}

#[tokio::test]
async fn the_tenant_may_be_named_by_domain_and_the_secret_sent_by_basic() {
    let server = server().await;
    let url = format!("{}/contoso.example/oauth2/v2.0/token", server.base_url());
    let pair = format!("{}:right", server.tenant().client_id());
    let scope = format!("{}/.default", server.base_url());
    let response = reqwest::Client::new()
        .post(url)
        .header("authorization", format!("Basic {}", STANDARD.encode(pair)))
        .form(&[
            ("grant_type", "client_credentials"),
            ("scope", scope.as_str()),
        ])
        .send()
        .await
        .unwrap();
    let (status, answer) = body(response).await;
    assert_eq!((status, &answer["token_type"]), (200, &"Bearer".into()));
    assert_eq!(answer["expires_in"], 3599);
    assert_eq!(
        claims(answer["access_token"].as_str().unwrap())["aud"],
        server.base_url()
    );
}

#[tokio::test]
async fn tokens_expire_and_foreign_ones_are_refused() {
    let config = Config::default()
        .tenant(tenant().app(App::rotation()))
        .token_lifetime(Duration::from_secs(60));
    let server = Server::start(config).await.unwrap();
    let other = start(tenant().app(App::rotation())).await;
    let client = Client::first_app(&server).await;
    let foreign = Client::first_app(&other).await;
    assert_eq!(client.get("/users").await.0, 200);

    server.advance(Duration::from_secs(60));
    let (status, answer) = client.get("/users").await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (401, &"InvalidAuthenticationToken".into())
    );
    assert_eq!(
        answer["error"]["message"],
        "Access token has expired or is not yet valid."
    );

    let url = format!("{}/v1.0/users", server.base_url());
    for (bearer, message) in [
        (
            foreign.token(),
            "CompactToken parsing failed with error code: 80049217",
        ),
        ("", "Access token is empty."),
    ] {
        let request = reqwest::Client::new().get(&url).bearer_auth(bearer);
        let (status, answer) = body(request.send().await.unwrap()).await;
        assert_eq!(
            (status, &answer["error"]["message"]),
            (401, &message.into())
        );
    }
}

#[tokio::test]
async fn a_token_that_was_accepted_lends_its_signature_to_no_other() {
    let server = server().await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.get("/users").await.0, 200);
    let (head, signature) = client.token().rsplit_once('.').unwrap();
    let head = head.split_once('.').unwrap().0;
    let mut wanted = claims(client.token());
    wanted["roles"] = serde_json::json!(["Directory.ReadWrite.All"]);
    let wanted = URL_SAFE_NO_PAD.encode(wanted.to_string());
    let url = format!("{}/v1.0/users", server.base_url());
    for forged in [format!("{head}.{wanted}.{signature}"), signature.to_owned()] {
        let request = reqwest::Client::new().get(&url).bearer_auth(forged);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn permissions_are_frozen_in_the_token_but_roles_are_looked_up() {
    let server = start(tenant().app(bare_app(1)).user(User::new(at("ada")))).await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.reset(&at("ada")).await, 403);
    let principal = server.tenant().service_principal_id();
    let role = Role::USER_ADMINISTRATOR;
    server.tenant().grant_role(principal, role, None).unwrap();
    assert_eq!(client.reset(&at("ada")).await, 204);
    server.tenant().revoke_role(principal, role);
    assert_eq!(client.reset(&at("ada")).await, 403);
}

#[tokio::test]
async fn discovery_leads_to_the_token_endpoint() {
    let server = server().await;
    let base = server.base_url();
    let get = async |path: &str| body(reqwest::get(format!("{base}{path}")).await.unwrap()).await;
    let id = server.tenant().id();
    let (status, document) = get("/contoso.example/v2.0/.well-known/openid-configuration").await;
    assert_eq!(status, 200);
    assert_eq!(
        document["token_endpoint"],
        format!("{base}/{id}/oauth2/v2.0/token")
    );
    assert_eq!(document["issuer"], format!("{base}/{id}/v2.0"));
    assert_eq!(
        get("/nowhere.example/v2.0/.well-known/openid-configuration")
            .await
            .0,
        400
    );
    assert_eq!(
        get("/common/discovery/instance?api-version=1.1").await.0,
        200
    );
    let (_, realm) = get(&format!("/common/userrealm/{}?api-version=1.0", at("ada"))).await;
    assert_eq!(realm["account_type"], "Managed");
}
