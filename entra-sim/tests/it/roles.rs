//! Role definitions and assignments.

use entra_sim::{App, Group, Role, Server, Tenant, Unit, User};
use uuid::Uuid;

use crate::support::{Client, at, code, start, tenant};

const ASSIGNMENTS: &str = "/roleManagement/directory/roleAssignments";
const ELIGIBLE: &str = "/roleManagement/directory/roleEligibilityScheduleInstances";

fn with_roles() -> Tenant {
    tenant()
        .app(App::rotation())
        .user(User::new(at("chief")).role(Role::GLOBAL_ADMINISTRATOR))
        .user(User::new(at("clerk")).unit_role(Role::HELPDESK_ADMINISTRATOR, "Branch"))
        .user(User::new(at("standby")).eligible_role(Role::GLOBAL_ADMINISTRATOR))
        .user(User::new(at("member")))
        .group(
            Group::role_assignable("keys")
                .member(at("member"))
                .role(Role::GLOBAL_READER)
                .eligible_role(Role::SECURITY_OPERATOR),
        )
        .unit(Unit::new("Branch"))
        .custom_role(Role::from_id(Uuid::from_u128(7)), "Printer keeper")
}

fn id(server: &Server, name: &str) -> String {
    server.tenant().user(&at(name)).unwrap().id.to_string()
}

#[tokio::test]
async fn assignments_show_principal_role_and_scope() {
    let server = start(with_roles()).await;
    let client = Client::first_app(&server).await;
    let all = client.all(&format!("{ASSIGNMENTS}?$top=2")).await;
    assert_eq!(all.len(), 4, "user, user at unit scope, group, app");
    let of = |principal: &str| {
        all.iter()
            .find(|row| row["principalId"] == principal)
            .unwrap()
    };
    let chief = of(&id(&server, "chief"));
    assert_eq!(chief["directoryScopeId"], "/");
    assert_eq!(
        chief["roleDefinitionId"],
        Role::GLOBAL_ADMINISTRATOR.id().to_string()
    );
    let scope = of(&id(&server, "clerk"))["directoryScopeId"]
        .as_str()
        .unwrap();
    assert!(scope.starts_with("/administrativeUnits/"), "{scope}");
}

#[tokio::test]
async fn assignments_are_filtered_and_expanded() {
    let server = start(with_roles()).await;
    let client = Client::first_app(&server).await;
    let chief = id(&server, "chief");
    let filter = format!("{ASSIGNMENTS}?$filter=principalId eq '{chief}'");
    let rows = client.all(&format!("{filter}&$expand=principal")).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["principal"]["userPrincipalName"], at("chief"));
    let rows = client
        .all(&format!("{filter}&$expand=roleDefinition"))
        .await;
    assert_eq!(
        rows[0]["roleDefinition"]["displayName"],
        "Global Administrator"
    );
    let role = Role::GLOBAL_READER.id();
    let rows = client
        .all(&format!(
            "{ASSIGNMENTS}?$filter=roleDefinitionId eq '{role}'&$expand=principal"
        ))
        .await;
    assert_eq!(
        rows[0]["principal"]["@odata.type"],
        "#microsoft.graph.group"
    );
    let (status, answer) = client
        .get(&format!("{ASSIGNMENTS}?$filter=id eq 'x'"))
        .await;
    assert_eq!((status, code(&answer)), (400, "Request_UnsupportedQuery"));
}

#[tokio::test]
async fn definitions_are_built_in_and_custom_without_a_label() {
    let server = start(with_roles()).await;
    let client = Client::first_app(&server).await;
    let path = "/roleManagement/directory/roleDefinitions";
    let all = client.all(path).await;
    assert_eq!(all.len(), Role::built_in().count() + 1);
    assert!(all.iter().all(|role| role.get("isPrivileged").is_none()));
    let custom = client
        .all(&format!("{path}?$filter=isBuiltIn eq false"))
        .await;
    assert_eq!(custom[0]["displayName"], "Printer keeper");
    for query in ["?$select=isPrivileged", "?$filter=isPrivileged eq true"] {
        assert_eq!(
            client.get(&format!("{path}{query}")).await.0,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn eligible_roles_are_listed_apart_from_active_ones() {
    let server = start(with_roles()).await;
    let client = Client::first_app(&server).await;
    let rows = client.all(ELIGIBLE).await;
    assert_eq!(rows.len(), 2);
    let standby = id(&server, "standby");
    assert!(rows.iter().any(|row| row["principalId"] == standby));
    let active = client.all(ASSIGNMENTS).await;
    assert!(active.iter().all(|row| row["principalId"] != standby));
    let schedules = "/roleManagement/directory/roleAssignmentScheduleInstances";
    let rows = client.all(schedules).await;
    assert!(rows.iter().all(|row| row["assignmentType"] == "Assigned"));
}

#[tokio::test]
async fn without_p2_the_pim_endpoints_fail_instead_of_answering_nothing() {
    let server = start(with_roles().switches(|switches| switches.premium_p2 = false)).await;
    let client = Client::first_app(&server).await;
    let groups = "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
    for path in [ELIGIBLE, &format!("{groups}?$filter=groupId eq '1'")] {
        let (status, answer) = client.get(path).await;
        assert_eq!(
            (status, code(&answer)),
            (400, "AadPremiumLicenseRequired"),
            "{path}"
        );
    }
    assert_eq!(client.get(ASSIGNMENTS).await.0, 200);
}

#[tokio::test]
async fn a_tenant_may_insist_on_a_filter() {
    let build = with_roles().switches(|switches| switches.role_assignments_require_filter = true);
    let server = start(build).await;
    let client = Client::first_app(&server).await;
    assert_eq!(client.get(ASSIGNMENTS).await.0, 400);
    let role = Role::GLOBAL_ADMINISTRATOR.id();
    let rows = client
        .all(&format!(
            "{ASSIGNMENTS}?$filter=roleDefinitionId eq '{role}'"
        ))
        .await;
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_signed_in_user_reads_roles_only_with_a_reading_role() {
    for (role, expected) in [(None, 403), (Some(Role::GLOBAL_READER), 200)] {
        let reader = User::new(at("reader")).password("Reader's own 1");
        let server = start(
            tenant()
                .app(App::new("tool").delegated_permission("RoleManagement.Read.Directory"))
                .user(role.into_iter().fold(reader, User::role)),
        )
        .await;
        let client = Client::user(&server, &at("reader"), "Reader's own 1").await;
        assert_eq!(client.get(ASSIGNMENTS).await.0, expected, "{role:?}");
    }
}

#[tokio::test]
async fn the_apps_permissions_can_be_looked_up() {
    let app = App::rotation().permission("Application.Read.All");
    let server = start(tenant().app(app)).await;
    let client = Client::first_app(&server).await;
    let tenant = server.tenant();
    let by_app_id = format!("/servicePrincipals(appId='{}')", tenant.client_id());
    let (_, principal) = client.get(&format!("{by_app_id}?$select=id")).await;
    assert_eq!(principal["id"], tenant.service_principal_id().to_string());
    let id = tenant.service_principal_id();
    let granted = client
        .all(&format!("/servicePrincipals/{id}/appRoleAssignments"))
        .await;
    assert_eq!(granted.len(), 8);
    let graph = "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')";
    let (_, graph) = client.get(graph).await;
    let named = |id: &serde_json::Value| {
        let roles = graph["appRoles"].as_array().unwrap();
        roles.iter().find(|role| role["id"] == *id).unwrap()["value"].clone()
    };
    let names: Vec<_> = granted.iter().map(|row| named(&row["appRoleId"])).collect();
    assert!(names.contains(&"User-PasswordProfile.ReadWrite.All".into()));
}
