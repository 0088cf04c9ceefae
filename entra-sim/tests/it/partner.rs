//! A partner, its customers, and what its people may do there.

use std::time::Duration;

use entra_sim::{App, Config, Group, Relationship, Role, Server, Tenant, TenantHandle, User};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, body, code, password_change, token, user_path};

const PARTNER: &str = "partner.example";
const CUSTOMER: &str = "fabrikam.example";
const ENDED: &str = "ended.example";
const UNCONSENTED: &str = "unconsented.example";
const STRANGER: &str = "stranger.example";
const APP: Uuid = Uuid::from_u128(0x9a97);
const SCOPE: &str = "https://graph.microsoft.com/.default offline_access";
const CUSTOMERS: &str = "/tenantRelationships/delegatedAdminCustomers";
const RELATIONSHIPS: &str = "/tenantRelationships/delegatedAdminRelationships";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn app() -> App {
    [
        "User-PasswordProfile.ReadWrite.All",
        "User.Read.All",
        "RoleManagement.Read.Directory",
        "Directory.Read.All",
        "DelegatedAdminRelationship.Read.All",
    ]
    .into_iter()
    .fold(App::new("By people"), App::delegated_permission)
    .client_id(APP)
    .public_client()
}

fn customer(domain: &str) -> Tenant {
    Tenant::new(domain)
        .user(User::new(format!("ada@{domain}")))
        .user(User::new(format!("root@{domain}")).role(Role::GLOBAL_ADMINISTRATOR))
}

async fn server() -> Server {
    let technician = User::new(format!("tess@{PARTNER}")).role(Role::DIRECTORY_READERS);
    let relationship = |domain: &str| {
        Relationship::new(domain, "Technicians")
            .role(Role::USER_ADMINISTRATOR)
            .role(Role::DIRECTORY_READERS)
    };
    let partner = Tenant::new(PARTNER)
        .app(app())
        .app(
            App::new("On its own")
                .client_id(Uuid::from_u128(7))
                .secret("s")
                .permission("Directory.Read.All")
                .permission("DelegatedAdminRelationship.Read.All"),
        )
        .user(technician)
        .user(User::new(format!("otto@{PARTNER}")))
        .group(Group::new("Technicians").member(format!("tess@{PARTNER}")))
        .customer(CUSTOMER)
        .customer(STRANGER)
        .relationship(relationship(CUSTOMER).lasting(12 * DAY))
        .relationship(relationship(UNCONSENTED).extending())
        .relationship(relationship(ENDED).ended());
    let config = Config::default()
        .tenant(partner)
        .tenant(customer(CUSTOMER).app(app()))
        .tenant(customer(UNCONSENTED))
        .tenant(customer(ENDED).app(app()))
        .tenant(customer(STRANGER).app(app()));
    Server::start(config).await.unwrap()
}

fn tenant(server: &Server, domain: &str) -> TenantHandle {
    let mut tenants = server.tenants().into_iter();
    tenants.find(|tenant| tenant.domain() == domain).unwrap()
}

/// A refresh token of somebody who signed in at the partner, with the access token.
async fn signed_in(server: &Server, name: &str) -> (String, String) {
    let client_id = APP.to_string();
    let url = format!("{}/{PARTNER}/oauth2/v2.0/devicecode", server.base_url());
    let form = [("client_id", client_id.as_str()), ("scope", SCOPE)];
    let asked = reqwest::Client::new().post(url).form(&form).send().await;
    let (_, asked) = body(asked.unwrap()).await;
    let partner = tenant(server, PARTNER);
    let who = partner.user(&format!("{name}@{PARTNER}")).unwrap();
    assert!(partner.approve_sign_in(asked["user_code"].as_str().unwrap(), who.id));
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", client_id.as_str()),
        ("device_code", asked["device_code"].as_str().unwrap()),
    ];
    let (status, answer) = token(server, PARTNER, &form).await;
    assert_eq!(status, 200, "{answer}");
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("refresh_token"), text("access_token"))
}

async fn redeemed(server: &Server, refresh: &str, domain: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &APP.to_string()),
        ("refresh_token", refresh),
        ("scope", SCOPE),
    ];
    token(server, domain, &form).await
}

/// The AADSTS number of redeeming `refresh` at `domain`, or 0 if it works.
async fn refusal(server: &Server, refresh: &str, domain: &str) -> u64 {
    let (_, answer) = redeemed(server, refresh, domain).await;
    answer["error_codes"][0].as_u64().unwrap_or(0)
}

async fn get(server: &Server, token: &str, path: &str) -> (u16, Value) {
    let url = format!("{}/v1.0{path}", server.base_url());
    let sent = reqwest::Client::new().get(url).bearer_auth(token).send();
    body(sent.await.unwrap()).await
}

async fn reset(server: &Server, token: &str, upn: &str) -> u16 {
    let url = format!("{}/v1.0{}", server.base_url(), user_path(upn));
    let request = reqwest::Client::new().request(Method::PATCH, url);
    let request = request.bearer_auth(token);
    let sent = request.json(&password_change("Vk3!vk3zqq9")).send();
    sent.await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_partner_lists_its_contracts_and_whoever_may_not_read_them_is_refused() {
    let server = server().await;
    let partner = tenant(&server, PARTNER);
    let app = Client::app(&server, &partner, Uuid::from_u128(7), "s").await;
    let (status, page) = app
        .get("/contracts?$select=customerId,defaultDomainName,displayName&$top=1")
        .await;
    assert_eq!(status, 200, "{page}");
    let expected = json!([{
        "customerId": tenant(&server, CUSTOMER).id(),
        "defaultDomainName": CUSTOMER,
        "displayName": "Fabrikam",
    }]);
    assert_eq!(page["value"], expected);
    assert_eq!(app.all("/contracts?$top=1").await.len(), 2);

    let (_, tess) = signed_in(&server, "tess").await;
    let (_, otto) = signed_in(&server, "otto").await;
    assert_eq!(get(&server, &tess, "/contracts").await.0, 200);
    assert_eq!(get(&server, &otto, "/contracts").await.0, 403, "no role");
}

#[tokio::test]
async fn people_list_customers_and_relationships_and_apps_do_not() {
    let server = server().await;
    let (_, tess) = signed_in(&server, "tess").await;
    let (_, customers) = get(&server, &tess, CUSTOMERS).await;
    let shown = customers["value"].as_array().unwrap();
    let mut names: Vec<_> = shown
        .iter()
        .map(|one| one["displayName"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [Some("Fabrikam"), Some("Unconsented")]);

    let (_, all) = get(&server, &tess, RELATIONSHIPS).await;
    assert_eq!(all["value"].as_array().unwrap().len(), 3);
    let of_status = |status: &str| format!("{RELATIONSHIPS}?$filter=status%20eq%20'{status}'");
    let (_, ended) = get(&server, &tess, &of_status("expired")).await;
    let ended = &ended["value"][0];
    assert_eq!(ended["customer"]["displayName"], "Ended");
    let (_, active) = get(&server, &tess, &of_status("active")).await;
    assert_eq!(active["value"].as_array().unwrap().len(), 2);

    let path = |one: &Value| {
        let id = one["id"].as_str().unwrap();
        format!("{RELATIONSHIPS}/{id}/accessAssignments")
    };
    let (_, given) = get(&server, &tess, &path(&active["value"][0])).await;
    assert_eq!(given["value"][0]["status"], "active");
    assert_eq!(
        given["value"][0]["accessDetails"]["unifiedRoles"],
        json!([
            {"roleDefinitionId": Role::USER_ADMINISTRATOR},
            {"roleDefinitionId": Role::DIRECTORY_READERS},
        ])
    );
    let (_, gone) = get(&server, &tess, &path(ended)).await;
    assert_eq!(gone["value"][0]["status"], "deleted");

    let (status, long) = get(&server, &tess, &format!("{CUSTOMERS}?$top=301")).await;
    assert_eq!(status, 400, "{long}");
    let partner = tenant(&server, PARTNER);
    let app = Client::app(&server, &partner, Uuid::from_u128(7), "s").await;
    for path in [CUSTOMERS, RELATIONSHIPS] {
        let (status, answer) = app.get(path).await;
        assert_eq!(status, 403, "{answer}");
        assert_eq!(code(&answer), "Authorization_RequestDenied");
    }
}

#[tokio::test]
async fn a_sign_in_at_the_partner_is_good_at_customers_of_a_relationship() {
    let server = server().await;
    let (refresh, _) = signed_in(&server, "tess").await;
    let (status, granted) = redeemed(&server, &refresh, CUSTOMER).await;
    assert_eq!(status, 200, "{granted}");
    let access = granted["access_token"].as_str().unwrap();
    // by the roles of the relationship, and no further
    assert_eq!(
        reset(&server, access, &format!("ada@{CUSTOMER}")).await,
        204
    );
    assert_eq!(
        reset(&server, access, &format!("root@{CUSTOMER}")).await,
        403
    );
    assert_eq!(
        get(&server, access, "/roleManagement/directory/roleAssignments")
            .await
            .0,
        200
    );
    // who acts is not among its users
    let tess = tenant(&server, PARTNER)
        .user(&format!("tess@{PARTNER}"))
        .unwrap();
    assert_eq!(
        get(&server, access, &format!("/users/{}", tess.id)).await.0,
        404
    );
    // what is given for it is good at the partner again, and at other customers
    let next = granted["refresh_token"].as_str().unwrap();
    assert_eq!(refusal(&server, next, PARTNER).await, 0);

    let (otto, _) = signed_in(&server, "otto").await;
    for (name, refresh, domain, expected) in [
        ("not in the group", &otto, CUSTOMER, 50_020),
        ("no consent", &refresh, UNCONSENTED, 90_099),
        ("it ended", &refresh, ENDED, 50_020),
        ("no relationship", &refresh, STRANGER, 50_020),
    ] {
        assert_eq!(refusal(&server, refresh, domain).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_relationship_that_ends_ends_what_may_be_done_by_it_unless_it_is_extended() {
    let server = server().await;
    let half_an_hour = Duration::from_secs(1800);
    server.advance(12 * DAY - half_an_hour);
    let (refresh, tess) = signed_in(&server, "tess").await;
    let (_, granted) = redeemed(&server, &refresh, CUSTOMER).await;
    let access = granted["access_token"].as_str().unwrap();
    let ada = format!("ada@{CUSTOMER}");
    assert_eq!(reset(&server, access, &ada).await, 204);
    let (_, listed) = get(&server, &tess, CUSTOMERS).await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 2);
    server.advance(half_an_hour);
    // the token is still good, the role is not
    assert_eq!(reset(&server, access, &ada).await, 403);
    assert_eq!(refusal(&server, &refresh, CUSTOMER).await, 50_020);
    // a year later that of the other was extended, more than once
    let (_, anew) = signed_in(&server, "tess").await;
    let left = get(&server, &anew, CUSTOMERS).await.1;
    assert_eq!(left["value"][0]["displayName"], "Unconsented", "{left}");
    server.advance(800 * DAY);
    let (refresh, anew) = signed_in(&server, "tess").await;
    let (_, active) = get(
        &server,
        &anew,
        &format!("{RELATIONSHIPS}?$filter=status eq 'active'"),
    )
    .await;
    assert_eq!(active["value"].as_array().unwrap().len(), 1, "{active}");
    assert_eq!(active["value"][0]["autoExtendDuration"], "P180D");
    assert_eq!(refusal(&server, &refresh, UNCONSENTED).await, 90_099);
}

#[tokio::test]
async fn a_customer_that_is_no_tenant_is_a_mistake() {
    let partner = Tenant::new(PARTNER).customer("nobody.example");
    let error = Server::start(Config::default().tenant(partner))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nobody.example"), "{error}");
}
