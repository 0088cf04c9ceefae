//! What setting an app up makes of answers that are out of the ordinary; that it works at all is tested with the command line.

use backend_graph::{Cloud, Credential, GraphConfig, Setup, Step, Through, Wanted};
use entra_sim::{App, Config, Effect, Endpoint, Fault, Group, Role, Server, Tenant, Unit};
use rotation_core::{BackendError, RoleId};
use uuid::{Uuid, uuid};

const APP: Uuid = uuid!("5e7a0000-0000-4000-8000-000000000001");
const DOMAIN: &str = "contoso.onmicrosoft.com";

fn tenant() -> Tenant {
    let admin = [
        "Application.ReadWrite.All",
        "AppRoleAssignment.ReadWrite.All",
        "Group.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
    ];
    let admin = admin.into_iter().fold(App::new("admin"), App::permission);
    let app = App::new("Password rotation").client_id(APP);
    Tenant::new(DOMAIN).app(admin).app(app)
}

async fn start(tenant: Tenant) -> Server {
    Server::start(Config::default().tenant(tenant))
        .await
        .unwrap()
}

fn setup(server: &Server, through: Through) -> Setup {
    let tenant = server.tenant();
    let url = server.base_url();
    let secret = Credential::ClientSecret(tenant.client_secret().into());
    let config = GraphConfig::new(DOMAIN, tenant.client_id().to_string(), secret)
        .with_cloud(Cloud::custom(url, url, None).unwrap());
    let wanted = Wanted::new(APP.to_string()).through(through);
    Setup::new(&config, wanted).unwrap()
}

#[tokio::test]
async fn what_is_missing_is_what_was_not_done_yet_and_doing_it_twice_is_no_error() {
    let server = start(tenant()).await;
    let setup = setup(&server, Through::Direct);
    let before = setup.read().await.unwrap();
    let steps = before.missing();
    assert_eq!(steps.last(), Some(&Step::Role));
    assert_eq!(before.removable(), []);
    // two administrators at the same time: both looked before either did anything
    for _ in 0..2 {
        let mut present = setup.read().await.unwrap();
        for step in &steps {
            setup.add(&mut present, step).await.unwrap();
        }
    }
    let present = setup.read().await.unwrap();
    assert_eq!(present.missing(), []);
    let undone = present.removable();
    assert_eq!(undone.len(), steps.len());
    for _ in 0..2 {
        for step in &undone {
            setup.remove(&present, step).await.unwrap();
        }
    }
    let app = server.tenant().app(APP).unwrap();
    assert_eq!((app.permissions, app.roles), (vec![], vec![]));
}

#[tokio::test]
async fn two_groups_of_the_name_are_not_chosen_between() {
    let name = Wanted::new(APP.to_string()).group_name();
    let groups = tenant()
        .group(Group::role_assignable(&name))
        .group(Group::role_assignable(&name).role(Role::USER_ADMINISTRATOR));
    let server = start(groups).await;
    let error = setup(&server, Through::Group).read().await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
    assert!(
        error.to_string().contains("several role-assignable groups"),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_that_holds_more_than_the_role_is_neither_joined_nor_deleted() {
    let name = Wanted::new(APP.to_string()).group_name();
    let group = Group::role_assignable(&name)
        .role(Role::USER_ADMINISTRATOR)
        .role(Role::GLOBAL_ADMINISTRATOR);
    let server = start(tenant().group(group)).await;
    let setup = setup(&server, Through::Group);
    let mut present = setup.read().await.unwrap();
    assert_eq!(present.missing().last(), Some(&Step::Member));
    let error = setup.add(&mut present, &Step::Member).await.unwrap_err();
    assert!(
        error.to_string().contains("holds other roles too"),
        "{error}"
    );
    assert_eq!(server.tenant().app(APP).unwrap().roles, []);
    assert_eq!(present.removable(), []);
    assert!(
        present
            .stays()
            .iter()
            .any(|why| why.contains("holds other roles too"))
    );
}

#[tokio::test]
async fn what_nobody_knows_was_done_is_said_so_and_not_repeated() {
    let server = start(tenant()).await;
    let setup = setup(&server, Through::Group);
    let mut present = setup.read().await.unwrap();
    // the answer is lost, and nothing can be looked at afterwards
    let groups = |effect| Fault::new(effect).endpoint(Endpoint::Groups);
    server.add_fault(groups(Effect::disconnect_after()).method("POST").once());
    server.add_fault(groups(Effect::status(403)).method("GET"));
    let error = setup.add(&mut present, &Step::Group).await.unwrap_err();
    assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
    let fix = error.problem().fix.clone().unwrap_or_default();
    assert!(fix.contains("run this again, which looks first"), "{fix}");
    server.clear_faults();
    let present = setup.read().await.unwrap();
    assert!(
        !present.missing().contains(&Step::Group),
        "it was created, once"
    );
}

#[tokio::test]
async fn a_role_in_one_unit_is_not_the_role_in_the_tenant() {
    let server = start(tenant().unit(Unit::new("Branch"))).await;
    let (tenant, role) = (server.tenant(), Role::USER_ADMINISTRATOR);
    let app = tenant.app(APP).unwrap();
    tenant.grant_role(app.id, role, Some("Branch")).unwrap();
    let setup = setup(&server, Through::Direct);
    let present = setup.read().await.unwrap();
    assert!(present.missing().contains(&Step::Role));
    assert!(!present.removable().contains(&Step::Role), "it is not ours");
    assert_eq!(setup.wanted().role, RoleId::USER_ADMINISTRATOR);
}
