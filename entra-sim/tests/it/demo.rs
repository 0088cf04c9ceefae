//! The demo tenant and the rules of seeding.

use std::io::ErrorKind;

use entra_sim::{App, Authentication, Config, Group, Role, Server, Tenant, Unit, User};
use serde_json::Value;

use crate::support::{Client, at, sign_in, start, tenant};

#[tokio::test]
async fn the_demo_tenant_has_as_many_accounts_as_asked_for() {
    for accounts in [200, 1_000] {
        let server = start(Tenant::demo(accounts)).await;
        assert_eq!(server.tenant().users().len(), accounts);
    }
}

#[tokio::test]
async fn the_app_of_the_demo_tenant_resets_exactly_the_ordinary_accounts_and_low_roles() {
    let server = start(Tenant::demo(120)).await;
    let client = Client::first_app(&server).await;
    for user in server.tenant().users() {
        let upn = &user.user_principal_name;
        let status = client.reset(upn).await;
        if user.is_ordinary() {
            assert_eq!(status, 204, "{upn}");
        } else if status == 204 {
            assert!(
                user.protected && !user.synced && !user.federated && !user.guest,
                "{upn}"
            );
        }
        let sets = server.tenant().password_sets(user.id);
        assert_eq!(sets, u64::from(status == 204), "{upn}");
    }
    let protected = [
        "breakglass",
        "executive",
        "group.owner",
        "eligible.globaladmin",
        "custom",
    ];
    for name in protected {
        let user = server
            .tenant()
            .user(&format!("{name}@contoso.onmicrosoft.com"));
        assert_eq!(user.unwrap().password_sets, 0, "{name}");
    }
}

#[tokio::test]
async fn initial_passwords_sign_in() {
    let server = start(Tenant::demo(70)).await;
    for user in server.tenant().users() {
        let Some(password) = &user.initial_password else {
            assert!(user.guest || user.federated, "{user:?}");
            continue;
        };
        let number = sign_in(&server, &user.user_principal_name, password).await;
        let must_change = user.user_principal_name.starts_with("must.change");
        let expected = match (user.enabled, must_change) {
            (false, _) => 50_057,
            (_, true) => 50_055,
            _ => 0,
        };
        assert_eq!(number, expected, "{user:?}");
    }
}

#[tokio::test]
async fn equal_seeds_make_equal_tenants() {
    let snapshot = async |seed| {
        let config = Config::default().seed(seed).tenant(Tenant::demo(60));
        let server = Server::start(config).await.unwrap();
        let tenant = server.tenant();
        let users: Vec<_> = tenant
            .users()
            .into_iter()
            .map(|user| (user.id, user.initial_password))
            .collect();
        (tenant.id(), tenant.client_secret().to_owned(), users)
    };
    let (first, again, other) = (snapshot(7).await, snapshot(7).await, snapshot(8).await);
    assert!(first == again);
    assert!(first.0 != other.0 && first.2 != other.2);
}

#[tokio::test]
async fn one_app_can_serve_many_tenants() {
    let app = App::rotation()
        .client_id(uuid::Uuid::from_u128(1))
        .secret("shared");
    let tenants =
        ["a.example", "b.example"].map(|domain| Tenant::demo_at(domain, 60).first_app(app.clone()));
    let server = Server::start(Config::default().tenants(tenants))
        .await
        .unwrap();
    for tenant in server.tenants() {
        let client = Client::app(&server, &tenant, tenant.client_id(), "shared").await;
        let users = client.all("/users?$select=userPrincipalName").await;
        assert_eq!(users.len(), 60);
        let own = |user: &Value| {
            user["userPrincipalName"]
                .as_str()
                .unwrap()
                .ends_with(tenant.domain())
        };
        assert!(users.iter().all(own));
    }
}

#[tokio::test]
async fn contradictory_tenants_are_refused() {
    let ada = || User::new(at("ada"));
    for (name, tenant) in [
        (
            "unknown member",
            tenant().group(Group::new("g").member(at("nobody"))),
        ),
        (
            "unknown unit",
            tenant().user(ada().unit_role(Role::HELPDESK_ADMINISTRATOR, "?")),
        ),
        ("same user twice", tenant().user(ada()).user(ada())),
        (
            "foreign domain",
            tenant().user(User::new("x@elsewhere.example")),
        ),
        (
            "roles of an ordinary group",
            tenant().group(Group::new("g").role(Role::GLOBAL_READER)),
        ),
        (
            "Global Administrator at unit scope",
            tenant()
                .unit(Unit::new("u"))
                .user(ada().unit_role(Role::GLOBAL_ADMINISTRATOR, "u")),
        ),
    ] {
        let error = Server::start(Config::default().tenant(tenant))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
    }
    let twice = Config::default().tenant(tenant()).tenant(tenant());
    assert!(Server::start(twice).await.is_err());
    assert!(Server::start(Config::default()).await.is_err());
}

#[tokio::test]
async fn domains_tell_who_checks_passwords() {
    let server = start(
        tenant()
            .with_domain("fed.example", Authentication::Federated)
            .app(App::rotation().permission("Organization.Read.All")),
    )
    .await;
    let client = Client::first_app(&server).await;
    let domains = client.all("/domains?$select=id,authenticationType").await;
    let types: Vec<&Value> = domains
        .iter()
        .map(|domain| &domain["authenticationType"])
        .collect();
    assert_eq!(types, ["Managed", "Federated"]);
    let organization = client.all("/organization").await;
    assert_eq!(organization[0]["displayName"], "Contoso");
}

#[test]
fn a_dropped_server_is_gone_and_a_blocking_test_needs_no_runtime() {
    let config = Config::default().tenant(Tenant::demo(60));
    let server = Server::start_blocking(config).unwrap();
    let address = server
        .base_url()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let mut open = std::net::TcpStream::connect(&address).unwrap();
    drop(server);
    // Also closes what was open: reading ends instead of waiting for ever.
    open.set_read_timeout(Some(std::time::Duration::from_secs(5)))
        .unwrap();
    let end = std::io::Read::read(&mut open, &mut [0; 1]);
    assert!(end.is_ok_and(|read| read == 0) || std::net::TcpStream::connect(&address).is_err());
}
