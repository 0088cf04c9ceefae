//! Which permission lets whom set a password, and which one opens what for reading.

use entra_sim::{App, Role, Tenant, User};
use uuid::Uuid;

use crate::support::{Client, at, code, numbered_app, start, tenant};

fn app(number: u128, permissions: &[&str]) -> App {
    permissions
        .iter()
        .fold(App::new("app"), |app, permission| {
            app.permission(permission)
        })
        .client_id(Uuid::from_u128(number))
        .secret("app secret")
}

fn people() -> Tenant {
    tenant()
        .user(User::new(at("ordinary")))
        .user(User::new(at("chief")).role(Role::GLOBAL_ADMINISTRATOR))
}

const PASSWORDS: &str = "User-PasswordProfile.ReadWrite.All";

#[tokio::test]
async fn an_app_needs_permission_and_role() {
    let role = Role::USER_ADMINISTRATOR;
    let server = start(
        people()
            .app(app(1, &[PASSWORDS]).role(role))
            .app(app(2, &["User.ReadWrite.All"]).role(role))
            .app(app(3, &["Directory.ReadWrite.All"]).role(role))
            .app(app(4, &["User.Read.All", "User.ManageIdentities.All"]).role(role))
            .app(app(5, &["Directory.AccessAsUser.All"]).role(role))
            .app(app(6, &[]).role(role))
            .app(app(7, &[PASSWORDS]))
            .app(app(8, &["User.ReadWrite.All", "Directory.ReadWrite.All"])),
    )
    .await;
    for (number, expected) in [204, 204, 204, 403, 403, 403, 403, 403]
        .into_iter()
        .enumerate()
    {
        let number = number as u128 + 1;
        let client = numbered_app(&server, number).await;
        assert_eq!(
            client.reset(&at("ordinary")).await,
            expected,
            "app {number}"
        );
    }
}

#[tokio::test]
async fn the_newer_text_without_a_role_is_a_switch() {
    for (admins, expected) in [(false, 403), (true, 204)] {
        let server = start(
            people()
                .app(app(1, &[PASSWORDS]))
                .app(app(2, &["User.ReadWrite.All"]))
                .switches(|switches| {
                    switches.app_only_password_requires_role = false;
                    switches.app_only_may_reset_admins = admins;
                }),
        )
        .await;
        let dedicated = numbered_app(&server, 1).await;
        assert_eq!(dedicated.reset(&at("ordinary")).await, 204);
        assert_eq!(dedicated.reset(&at("chief")).await, expected);
        let broad = numbered_app(&server, 2).await;
        assert_eq!(broad.reset(&at("ordinary")).await, 403);
    }
}

#[tokio::test]
async fn a_signed_in_user_needs_permission_and_role_too() {
    for (permission, role, expected) in [
        (PASSWORDS, Some(Role::HELPDESK_ADMINISTRATOR), 204),
        (
            "Directory.AccessAsUser.All",
            Some(Role::HELPDESK_ADMINISTRATOR),
            204,
        ),
        ("User.Read.All", Some(Role::HELPDESK_ADMINISTRATOR), 403),
        (PASSWORDS, None, 403),
    ] {
        let caller = User::new(at("caller")).password("Caller's own 1");
        let caller = role.into_iter().fold(caller, User::role);
        let server = start(
            people()
                .app(App::new("tool").delegated_permission(permission))
                .user(caller),
        )
        .await;
        let client = Client::user(&server, &at("caller"), "Caller's own 1").await;
        assert_eq!(
            client.reset(&at("ordinary")).await,
            expected,
            "{permission} {role:?}"
        );
    }
}

#[tokio::test]
async fn a_caller_without_rights_learns_nothing_from_a_404() {
    let server = start(people().app(app(1, &["User.Read.All"]))).await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.reset(&at("nobody")).await, 403);
}

#[tokio::test]
async fn each_endpoint_asks_for_its_permission() {
    let group = "/groups/00000000-0000-0000-0000-000000000001";
    let unit = "/directory/administrativeUnits/00000000-0000-0000-0000-000000000001";
    let pim = "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
    for (path, permission, status) in [
        ("/users", "User.Read.All", 200),
        ("/users", "Directory.Read.All", 200),
        ("/domains", "Domain.Read.All", 200),
        ("/organization", "Organization.Read.All", 200),
        ("/groups", "GroupMember.Read.All", 200),
        (&format!("{group}/members"), "GroupMember.Read.All", 404),
        (&format!("{group}/owners"), "Group.Read.All", 404),
        (
            "/directory/administrativeUnits",
            "AdministrativeUnit.Read.All",
            200,
        ),
        (
            &format!("{unit}/members"),
            "AdministrativeUnit.Read.All",
            404,
        ),
        ("/servicePrincipals", "Application.Read.All", 200),
        (
            "/roleManagement/directory/roleAssignments",
            "RoleManagement.Read.Directory",
            200,
        ),
        (
            "/roleManagement/directory/roleDefinitions",
            "RoleManagement.Read.All",
            200,
        ),
        (
            "/roleManagement/directory/roleEligibilityScheduleInstances",
            "RoleEligibilitySchedule.Read.Directory",
            200,
        ),
        (
            "/roleManagement/directory/roleAssignmentScheduleInstances",
            "RoleAssignmentSchedule.Read.Directory",
            200,
        ),
        (
            &format!("{pim}?$filter=groupId eq '1'"),
            "PrivilegedEligibilitySchedule.Read.AzureADGroup",
            200,
        ),
    ] {
        let server = start(
            tenant()
                .app(app(1, &[permission]))
                .app(app(2, &["Mail.Read"])),
        )
        .await;
        let (actual, answer) = numbered_app(&server, 1).await.get(path).await;
        assert_eq!(actual, status, "{path} with {permission}: {answer}");
        let (actual, answer) = numbered_app(&server, 2).await.get(path).await;
        assert_eq!(
            (actual, code(&answer)),
            (403, "Authorization_RequestDenied"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn paths_that_are_not_served_are_bad_requests() {
    let server = start(people().app(app(1, &["User.Read.All"]))).await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.get("/planets").await.0, 400);
    let beta = format!("{}/beta/users", server.base_url());
    assert_eq!(client.get(&beta).await.0, 404);
    let delete = client
        .request(reqwest::Method::DELETE, "/users/x")
        .send()
        .await
        .unwrap();
    assert_eq!(delete.status(), 405);
}
