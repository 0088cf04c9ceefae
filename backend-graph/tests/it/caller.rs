//! Who we are: from the token, confirmed in the directory.

use rotation_core::{BackendError, Caller, CallerKind, RoleAssignment, RoleId, RotationBackend};
use serde_json::json;

use crate::support::{CALLER, TENANT, Tenant, guid, token};

const USER_ADMINISTRATOR: &str = "fe930be7-5e62-47db-91af-98c3a49a38b1";

async fn caller_of(tenant: &Tenant) -> Caller {
    tenant.backend().caller().await.unwrap()
}

#[tokio::test]
async fn permissions_come_from_the_token_and_roles_from_the_directory() {
    let tenant = Tenant::without_tokens().await;
    let permission = "User-PasswordProfile.ReadWrite.All";
    // The token claims a role that the directory does not confirm.
    let claims = json!({"roles": [permission], "wids": ["62e90394-69f5-4237-9190-012177145e10"]});
    tenant.gives(token(&claims)).await;
    let assignments = json!([
        {"principalId": CALLER, "roleDefinitionId": USER_ADMINISTRATOR, "directoryScopeId": "/"},
        {"principalId": guid(1), "roleDefinitionId": USER_ADMINISTRATOR, "directoryScopeId": "/"},
    ]);
    tenant
        .has("roleManagement/directory/roleAssignments", assignments)
        .await;
    tenant.has_no_roles().await;

    let caller = caller_of(&tenant).await;
    assert_eq!(caller.tenant.as_str(), TENANT);
    assert_eq!(caller.id.as_str(), CALLER);
    assert_eq!(caller.kind, CallerKind::AppOnly);
    assert!(caller.may_set_passwords());
    assert_eq!(
        caller.roles,
        [RoleAssignment::active(RoleId::USER_ADMINISTRATOR)]
    );
}

#[tokio::test]
async fn a_role_may_come_through_a_group() {
    let tenant = Tenant::start().await;
    let group = guid(90);
    let assignment = json!([{"principalId": group, "roleDefinitionId": USER_ADMINISTRATOR, "directoryScopeId": "/"}]);
    tenant
        .has("roleManagement/directory/roleAssignments", assignment)
        .await;
    tenant.has("groups", json!([{"id": group}])).await;
    tenant
        .has(&format!("groups/{group}/members"), json!([]))
        .await;
    // v1.0 lists service principals only to whoever asks for them alone
    let apps = format!("groups/{group}/members/microsoft.graph.servicePrincipal");
    tenant.has(&apps, json!([{"id": CALLER}])).await;
    tenant
        .has(&format!("groups/{group}/owners"), json!([]))
        .await;
    let eligible = "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
    tenant.has(eligible, json!([])).await;
    tenant.has_no_roles().await;

    let roles = caller_of(&tenant).await.roles;
    assert_eq!(roles, [RoleAssignment::active(RoleId::USER_ADMINISTRATOR)]);
}

#[tokio::test]
async fn an_opaque_token_is_a_clear_error() {
    let tenant = Tenant::without_tokens().await;
    tenant.gives("opaque".to_owned()).await;
    let error = tenant.backend().caller().await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
    assert!(error.to_string().contains("opaque"), "{error}");
}
