//! The bulk method: what everybody holds, in a number of requests that accounts do not add to.

use futures::TryStreamExt;
use rotation_core::{
    Account, AccountQuery, BackendError, Holdings, RoleAssignment, RoleId, RotationBackend, Scope,
    UnitId,
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::{CALLER, Tenant, guid, refusal, user};

const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";
const USER: &str = "fe930be7-5e62-47db-91af-98c3a49a38b1";
const ASSIGNMENTS: &str = "roleManagement/directory/roleAssignments";
const ELIGIBILITIES: &str = "roleManagement/directory/roleEligibilityScheduleInstances";
const GROUP_ELIGIBILITIES: &str =
    "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";

fn given(principal: &str, role: &str, scope: &str) -> Value {
    json!({"principalId": principal, "roleDefinitionId": role, "directoryScopeId": scope})
}

/// Says that object `n` is no group.
async fn no_group(tenant: &Tenant, n: u32) {
    let missing = refusal(404, "Request_ResourceNotFound", "Resource does not exist.");
    tenant
        .says(&format!("groups/{}/members", guid(n)), missing)
        .await;
}

async fn accounts(tenant: &Tenant) -> Result<Vec<Account>, BackendError> {
    tenant
        .backend()
        .accounts(AccountQuery::All)
        .try_collect()
        .await
}

async fn holdings(tenant: &Tenant) -> Vec<Holdings> {
    let accounts = accounts(tenant).await.unwrap();
    accounts
        .into_iter()
        .map(|account| account.holdings.unwrap())
        .collect()
}

#[tokio::test]
async fn roles_are_found_direct_eligible_and_through_groups() {
    let tenant = Tenant::start().await;
    let group = guid(90);
    let users: Vec<Value> = (1..=7).map(user).collect();
    tenant.has("users", json!(users)).await;
    tenant
        .has(
            ASSIGNMENTS,
            json!([given(&guid(1), GLOBAL, "/"), given(&group, USER, "/")]),
        )
        .await;
    tenant
        .has(ELIGIBILITIES, json!([given(&guid(2), GLOBAL, "/")]))
        .await;
    tenant.has("groups", json!([{"id": group}])).await;
    tenant
        .has(&format!("groups/{group}/members"), json!([{"id": guid(3)}]))
        .await;
    tenant
        .has(&format!("groups/{group}/owners"), json!([{"id": guid(4)}]))
        .await;
    let eligible = json!([
        {"principalId": guid(5), "accessId": "member"},
        {"principalId": guid(6), "accessId": "owner"},
    ]);
    tenant.has(GROUP_ELIGIBILITIES, eligible).await;
    tenant.has_no_roles().await;

    for n in [5, 6] {
        no_group(&tenant, n).await;
    }

    let active = RoleAssignment::active;
    let eligible = RoleAssignment::eligible;
    let expected = [
        (
            "assigned",
            vec![active(RoleId::GLOBAL_ADMINISTRATOR)],
            false,
            false,
        ),
        (
            "eligible",
            vec![eligible(RoleId::GLOBAL_ADMINISTRATOR)],
            false,
            false,
        ),
        (
            "member of a group",
            vec![active(RoleId::USER_ADMINISTRATOR)],
            true,
            false,
        ),
        ("owner of a group", vec![], false, true),
        (
            "eligible for a group",
            vec![eligible(RoleId::USER_ADMINISTRATOR)],
            true,
            false,
        ),
        ("eligible to own a group", vec![], false, true),
        ("ordinary", vec![], false, false),
    ];
    for (found, (who, roles, member, owner)) in holdings(&tenant).await.iter().zip(expected) {
        assert_eq!(found.roles, roles, "{who}");
        assert_eq!(found.member_of_role_assignable_group, member, "{who}");
        assert_eq!(found.owner_of_role_assignable_group, owner, "{who}");
    }
}

#[tokio::test]
async fn whoever_is_in_an_eligible_group_is_eligible_however_deep() {
    let tenant = Tenant::start().await;
    let (role_group, outer, inner) = (guid(90), guid(91), guid(92));
    tenant
        .has("users", json!([user(1), user(2), user(3)]))
        .await;
    tenant
        .has(ASSIGNMENTS, json!([given(&role_group, GLOBAL, "/")]))
        .await;
    tenant.has("groups", json!([{"id": role_group}])).await;
    for kind in ["members", "owners"] {
        tenant
            .has(&format!("groups/{role_group}/{kind}"), json!([]))
            .await;
    }
    let eligible = json!([{"principalId": outer, "accessId": "member"}]);
    tenant.has(GROUP_ELIGIBILITIES, eligible).await;
    let group = |id: &str| json!({"id": id, "@odata.type": "#microsoft.graph.group"});
    let outer_members = json!([{"id": guid(1)}, group(&inner)]);
    tenant
        .has(&format!("groups/{outer}/members"), outer_members)
        .await;
    // A circle of groups ends.
    let inner_members = json!([{"id": guid(2)}, group(&outer)]);
    tenant
        .has(&format!("groups/{inner}/members"), inner_members)
        .await;
    tenant.has_no_roles().await;

    let eligible = vec![RoleAssignment::eligible(RoleId::GLOBAL_ADMINISTRATOR)];
    let found: Vec<_> = holdings(&tenant)
        .await
        .into_iter()
        .map(|held| held.roles)
        .collect();
    assert_eq!(found, [eligible.clone(), eligible, vec![]]);
}

#[tokio::test]
async fn a_scoped_role_names_its_unit_and_the_callers_units_have_members() {
    let tenant = Tenant::start().await;
    let (open, restricted) = (guid(80), guid(81));
    let scope = |unit: &str| format!("/administrativeUnits/{unit}");
    let assignments = json!([
        given(CALLER, USER, &scope(&open)),
        given(&guid(1), GLOBAL, &scope(&restricted)),
    ]);
    tenant.has(ASSIGNMENTS, assignments).await;
    let units = json!([
        {"id": open, "isMemberManagementRestricted": null},
        {"id": restricted, "isMemberManagementRestricted": true},
    ]);
    tenant.has("directory/administrativeUnits", units).await;
    let members = format!("directory/administrativeUnits/{open}/members");
    tenant.has(&members, json!([{"id": guid(2)}])).await;
    let mut protected = user(3);
    protected["isManagementRestricted"] = json!(true);
    tenant
        .has("users", json!([user(1), user(2), protected]))
        .await;
    tenant.has_no_roles().await;

    let holdings = holdings(&tenant).await;
    let unit = Scope::Unit {
        id: UnitId::new(&restricted),
        restricted: true,
    };
    assert_eq!(
        holdings[0].roles,
        [RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR).within(unit)]
    );
    assert_eq!(holdings[1].units, [UnitId::new(&open)]);
    assert!(holdings[2].management_restricted);
}

#[tokio::test]
async fn a_custom_role_keeps_its_own_id() {
    let tenant = Tenant::start().await;
    tenant
        .has(ASSIGNMENTS, json!([given(&guid(1), &guid(70), "/")]))
        .await;
    tenant.has("users", json!([user(1)])).await;
    tenant.has_no_roles().await;
    let role = holdings(&tenant).await[0].roles[0].role;
    assert_eq!(role, RoleId::new(guid(70).parse().unwrap()));
    assert!(role.built_in().is_none());
}

#[tokio::test]
async fn the_number_of_requests_does_not_grow_with_the_accounts() {
    let mut counts = Vec::new();
    for accounts_in_tenant in [1, 100] {
        let tenant = Tenant::start().await;
        let users: Vec<Value> = (1..=accounts_in_tenant).map(user).collect();
        tenant.has("users", json!(users)).await;
        tenant.has_no_roles().await;
        assert_eq!(accounts(&tenant).await.unwrap().len(), users.len());
        counts.push(tenant.asked().await);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn no_account_is_listed_while_any_table_is_unreadable() {
    for (resource, permission) in [
        (ASSIGNMENTS, "RoleManagement.Read.Directory"),
        (ELIGIBILITIES, "RoleManagement.Read.Directory"),
        ("groups", "GroupMember.Read.All"),
        ("domains", "Domain.Read.All"),
    ] {
        let tenant = Tenant::start().await;
        let denied = refusal(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges.",
        );
        tenant.says(resource, denied).await;
        tenant.has("users", json!([user(1)])).await;
        tenant.has_no_roles().await;
        let error = accounts(&tenant).await.unwrap_err();
        assert!(
            matches!(error, BackendError::NotAuthorized(_)),
            "{resource}: {error:?}"
        );
        let fix = error.problem().fix.as_deref().unwrap();
        assert!(fix.contains(permission), "{resource}: {fix}");
    }
}

#[tokio::test]
async fn a_tenant_without_pim_is_told_of_the_switch_and_can_use_it() {
    let tenant = Tenant::start().await;
    let unlicensed = refusal(
        400,
        "AadPremiumLicenseRequired",
        "The tenant needs a licence.",
    );
    tenant.says(ELIGIBILITIES, unlicensed).await;
    tenant.has("users", json!([user(1)])).await;
    tenant.has_no_roles().await;
    let error = accounts(&tenant).await.unwrap_err();
    assert!(
        error
            .problem()
            .fix
            .as_deref()
            .unwrap()
            .contains("`pim = false`"),
        "{error:?}"
    );

    let config = tenant.config().with_pim(false);
    let backend = backend_graph::GraphBackend::new(config).unwrap();
    let found: Vec<Account> = backend
        .accounts(AccountQuery::All)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_role_that_is_no_guid_is_an_error_that_names_the_endpoint() {
    let tenant = Tenant::start().await;
    let odd = json!({"value": [given(&guid(1), "not-a-guid", "/")]});
    tenant
        .says(ASSIGNMENTS, ResponseTemplate::new(200).set_body_json(odd))
        .await;
    tenant.has_no_roles().await;
    let error = accounts(&tenant).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected(_)), "{error:?}");
    assert!(error.to_string().contains(ASSIGNMENTS), "{error}");
}
