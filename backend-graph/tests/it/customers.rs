//! A partner's customers: who they are, and what its people may do there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_graph::{
    Cloud, Credential, Customer, CustomersFrom, DeviceCode, GraphBackend, GraphConfig,
};
use entra_sim::{
    App, Config, Effect, Endpoint, Fault, Group, Relationship, Role, Server, Tenant, User,
};
use rotation_core::{
    AccountQuery, BackendError, CallerKind, RoleAssignment, RoleId, RotationBackend,
};
use serde_json::json;
use uuid::Uuid;

use crate::support;

const PARTNER: &str = "partner.example";
const PEOPLE: Uuid = Uuid::from_u128(0x0a11);
const ALONE: Uuid = Uuid::from_u128(0x0a12);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn by_people() -> App {
    [
        "User-PasswordProfile.ReadWrite.All",
        "User.Read.All",
        "RoleManagement.Read.Directory",
        "GroupMember.Read.All",
        "Domain.Read.All",
        "DelegatedAdminRelationship.Read.All",
    ]
    .into_iter()
    .fold(App::new("By people"), App::delegated_permission)
    .public_client()
    .client_id(PEOPLE)
}

async fn server() -> Arc<Server> {
    let customer = |index: u8| {
        let domain = format!("customer{index}.example");
        Tenant::new(&domain)
            .user(User::new(format!("ada@{domain}")))
            .app(by_people())
    };
    let relationship = |index: u8, group: &str| {
        Relationship::new(format!("customer{index}.example"), group)
            .role(Role::USER_ADMINISTRATOR)
            .role(Role::DIRECTORY_READERS)
    };
    let app = App::rotation().client_id(ALONE).secret("secret");
    let partner = (1..=4).fold(Tenant::new(PARTNER), |partner, index| {
        partner.customer(format!("customer{index}.example"))
    });
    let partner = partner
        // a second contract with the same customer
        .customer("customer1.example")
        .app(app.permission("Directory.Read.All"))
        .app(by_people())
        .user(User::new(format!("tess@{PARTNER}")).role(Role::DIRECTORY_READERS))
        .group(Group::new("Technicians").member(format!("tess@{PARTNER}")))
        .group(Group::new("Others"))
        .relationship(relationship(1, "Technicians").lasting(12 * DAY))
        .relationship(relationship(1, "Others").role(Role::GLOBAL_ADMINISTRATOR))
        .relationship(relationship(2, "Technicians").extending())
        .relationship(relationship(3, "Others"))
        .relationship(relationship(4, "Technicians").ended());
    let config = Config::default().tenant(partner);
    let config = config.tenants((1..=4).map(customer));
    Arc::new(Server::start(config).await.unwrap())
}

type Prompts = Arc<Mutex<Vec<String>>>;

/// Tess, who approves whatever code she is shown, with the tenants that it was shown for.
fn tess(server: &Arc<Server>) -> (DeviceCode, Prompts) {
    let prompts = Prompts::default();
    let (server, shown) = (Arc::clone(server), Arc::clone(&prompts));
    let sign_in = DeviceCode::new(move |prompt| {
        shown.lock().unwrap().push(prompt.tenant.clone());
        let partner = server.tenant();
        let tess = partner.user(&format!("tess@{PARTNER}")).unwrap();
        assert!(partner.approve_sign_in(&prompt.code, tess.id));
    });
    (sign_in, prompts)
}

fn config(server: &Server, tenant: &str, client_id: Uuid, credential: Credential) -> GraphConfig {
    let cloud = Cloud::custom(server.base_url(), server.base_url(), None).unwrap();
    GraphConfig::new(tenant, client_id.to_string(), credential)
        .with_cloud(cloud)
        .with_pim(false)
}

fn alone(server: &Server, tenant: &str) -> GraphBackend {
    let secret = Credential::ClientSecret("secret".into());
    GraphBackend::new(config(server, tenant, ALONE, secret)).unwrap()
}

fn id_of(server: &Server, domain: &str) -> String {
    let mut tenants = server.tenants().into_iter();
    let tenant = tenants.find(|tenant| tenant.domain() == domain).unwrap();
    tenant.id().to_string()
}

fn named(customers: &[Customer], name: &str) -> Customer {
    let mut found = customers.iter().filter(|one| one.display_name == name);
    let customer = found.next().unwrap().clone();
    assert!(found.next().is_none(), "{name} is there twice");
    customer
}

#[tokio::test]
async fn contracts_name_each_customer_once() {
    let server = server().await;
    let partner = alone(&server, PARTNER);
    let customers = partner.customers(CustomersFrom::Contracts).await.unwrap();
    assert_eq!(customers.len(), 4);
    for (index, customer) in (1..).zip(&customers) {
        let domain = format!("customer{index}.example");
        assert_eq!(customer.domain.as_deref(), Some(domain.as_str()));
        assert_eq!(customer.id.as_str(), id_of(&server, &domain));
        assert_eq!(customer.display_name, format!("Customer{index}"));
        assert!(customer.relationships.is_empty() && !customer.has_ended());
    }
}

#[tokio::test]
async fn relationships_give_the_roles_of_the_groups_that_the_person_is_in_while_they_last() {
    let server = server().await;
    let credential = Credential::DeviceCode(tess(&server).0);
    let partner = config(&server, PARTNER, PEOPLE, credential.clone());
    let partner = GraphBackend::new(partner).unwrap();
    let customers = partner.customers(CustomersFrom::Gdap).await.unwrap();
    assert_eq!(customers.len(), 4, "{customers:?}");
    let reader = RoleId::new(Role::DIRECTORY_READERS.id());
    let both = BTreeSet::from([RoleId::USER_ADMINISTRATOR, reader]);
    let none = BTreeSet::new();
    for (name, roles, ended) in [
        // and not what the others have there
        ("Customer1", &both, false),
        ("Customer2", &both, false),
        ("Customer3", &none, false),
        ("Customer4", &none, true),
    ] {
        let customer = named(&customers, name);
        assert_eq!(customer.roles(), *roles, "{name}");
        assert_eq!(customer.has_ended(), ended, "{name}");
        assert_eq!(customer.domain, None);
    }
    let first = &named(&customers, "Customer1").relationships[0];
    assert!(first.active && !first.extends && first.ends.is_some());
    assert!(named(&customers, "Customer2").relationships[0].extends);

    // what she is there, of which the customer's directory tells nothing
    let there = named(&customers, "Customer1");
    let config = config(&server, there.id.as_str(), PEOPLE, credential);
    let backend = GraphBackend::new(config.with_partner_roles(there.roles())).unwrap();
    let caller = backend.caller().await.unwrap();
    assert_eq!(caller.kind, CallerKind::Delegated);
    assert_eq!(caller.tenant, there.id);
    let ours: Vec<_> = both.into_iter().map(RoleAssignment::active).collect();
    assert_eq!(caller.roles, ours);
    let accounts = backend.accounts(AccountQuery::All);
    let accounts: Vec<_> = futures::TryStreamExt::try_collect(accounts).await.unwrap();
    assert_eq!(accounts.len(), 1);
}

#[tokio::test]
async fn roles_by_a_partner_are_a_persons_and_not_an_apps() {
    let tenant = support::Tenant::start().await;
    tenant.has_no_roles().await;
    let roles = BTreeSet::from([RoleId::GLOBAL_ADMINISTRATOR]);
    let config = tenant.config().with_partner_roles(roles);
    let caller = GraphBackend::new(config).unwrap().caller().await.unwrap();
    assert_eq!(
        (caller.kind, caller.roles),
        (CallerKind::AppOnly, Vec::new())
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_says_what_it_takes() {
    let server = server().await;
    for (from, words) in [
        (
            CustomersFrom::Contracts,
            "cannot list the partner's contracts with customers",
        ),
        (
            CustomersFrom::Gdap,
            "cannot list the partner's relationships with customers",
        ),
    ] {
        let error = alone(&server, "customer1.example").customers(from).await;
        // the app is not in that tenant
        assert!(
            matches!(error, Err(BackendError::NotAuthorized(_))),
            "{error:?}"
        );
        let without = App::rotation().client_id(ALONE).secret("secret");
        let tenant = Tenant::new(PARTNER).app(without);
        let server = Server::start(Config::default().tenant(tenant))
            .await
            .unwrap();
        let error = alone(&server, PARTNER).customers(from).await.unwrap_err();
        let problem = error.problem();
        assert!(problem.message.contains(words), "{problem:?}");
        assert!(
            problem.fix.as_ref().unwrap().contains("Read.All"),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn what_a_hostile_list_says_reaches_no_path_and_no_terminal() {
    let tenant = support::Tenant::start().await;
    let id = support::guid(7);
    let contract = json!({
        "customerId": id,
        "defaultDomainName": "evil.example/../..",
        "displayName": "Evil\u{1b}[2J",
    });
    tenant.has("contracts", json!([contract])).await;
    let customers = tenant.backend().customers(CustomersFrom::Contracts).await;
    let customers = customers.unwrap();
    assert_eq!(customers[0].domain, None);
    assert_eq!(customers[0].display_name, "Evil[2J");

    tenant
        .has("tenantRelationships/delegatedAdminCustomers", json!([]))
        .await;
    let relationship = json!({
        "id": "..",
        "status": "active",
        "customer": {"tenantId": id, "displayName": "Evil"},
    });
    tenant
        .has(
            "tenantRelationships/delegatedAdminRelationships",
            json!([relationship]),
        )
        .await;
    let error = tenant.backend().customers(CustomersFrom::Gdap).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("an id that is none"), "{error}");
}

#[tokio::test]
async fn a_tenant_named_by_a_domain_has_a_guid_for_anybody_who_asks() {
    let server = server().await;
    let id = alone(&server, "customer3.example")
        .tenant_id()
        .await
        .unwrap();
    assert_eq!(id.unwrap().as_str(), id_of(&server, "customer3.example"));
    assert_eq!(
        alone(&server, "nobody.example").tenant_id().await.unwrap(),
        None
    );
}

#[tokio::test]
async fn whoever_acts_at_customers_signs_in_at_the_partner_alone() {
    let server = server().await;
    let (sign_in, prompts) = tess(&server);
    let credential = Credential::DeviceCode(sign_in);
    let backend = |tenant: &str| config(&server, tenant, PEOPLE, credential.clone());
    let partner = GraphBackend::new(backend(PARTNER)).unwrap();
    let customers = partner.customers(CustomersFrom::Gdap).await.unwrap();
    let [first, second] = ["Customer1", "Customer2"].map(|name| {
        let customer = named(&customers, name);
        let config = backend(customer.id.as_str()).with_partner_roles(customer.roles());
        GraphBackend::new(config).unwrap()
    });

    // what one demands is no matter of the others
    let demanding = Fault::new(Effect::aadsts(50_076)).endpoint(Endpoint::Token);
    server.add_fault(demanding.tenant("customer1.example"));
    let error = first.caller().await.unwrap_err();
    assert!(
        error.to_string().contains("a second factor is demanded"),
        "{error}"
    );
    second.caller().await.unwrap();
    assert_eq!(*prompts.lock().unwrap(), [PARTNER]);
    server.clear_faults();

    // revoked, it is signed in at the partner again, once for all
    server.advance(Duration::from_secs(7_200));
    let tenant = server.tenant();
    let id = tenant.user(&format!("tess@{PARTNER}")).unwrap().id;
    tenant.set_password(id, "Another one 1");
    let (there, here, home) = futures::join!(first.caller(), second.caller(), partner.caller());
    for caller in [there, here, home] {
        caller.unwrap();
    }
    assert_eq!(*prompts.lock().unwrap(), [PARTNER, PARTNER]);
}
