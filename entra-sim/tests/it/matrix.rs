//! The reset table, cell by cell, against the machine-readable copy of Microsoft's.

use std::collections::BTreeMap;

use entra_sim::{Role, Server, Tenant, Unit, User};
use serde_json::Value;

use crate::support::{at, bare_app, numbered_app, start, tenant};

const TABLE: &str = include_str!("../../../rotation-core/tests/data/reset-matrix.json");

/// The users of each row, by the row's name.
type Rows = BTreeMap<String, Vec<String>>;

fn table() -> Value {
    serde_json::from_str(TABLE).unwrap()
}

fn role(template_id: &Value) -> Role {
    Role::from_id(template_id.as_str().unwrap().parse().unwrap())
}

/// A user per row; for "any other role" one for each role that has no row, and a custom one.
fn with_targets(mut tenant: Tenant, table: &Value) -> (Tenant, Rows) {
    let mut rows = Rows::new();
    let targets = table["targets"].as_array().unwrap();
    for target in targets {
        let name = target["name"].as_str().unwrap();
        let upn = at(&format!("row.{}", name.replace(' ', ".")));
        let user = User::new(&upn);
        rows.insert(name.to_owned(), vec![upn.clone()]);
        tenant = match target["kind"].as_str().unwrap() {
            "none" => tenant.user(user),
            "role" => tenant.user(user.role(role(&target["templateId"]))),
            "roleAssignableGroup" => {
                let owner = at("row.group.owner");
                let group = entra_sim::Group::role_assignable("keys")
                    .member(&upn)
                    .owner(&owner);
                rows.get_mut(name).unwrap().push(owner.clone());
                tenant.user(user).user(User::new(owner)).group(group)
            }
            "roleScopedToRestrictedAu" => tenant
                .unit(Unit::restricted("Vault"))
                .user(user.unit_role(Role::HELPDESK_ADMINISTRATOR, "Vault")),
            "anyOtherRole" => {
                let custom = Role::from_id(uuid::Uuid::from_u128(77));
                tenant.user(user.role(custom)).custom_role(custom, "Custom")
            }
            other => panic!("unknown kind of target: {other}"),
        };
    }
    let named: Vec<Role> = targets
        .iter()
        .filter(|target| target["kind"] == "role")
        .map(|target| role(&target["templateId"]))
        .collect();
    for (index, (other, _)) in Role::built_in().enumerate() {
        if !named.contains(&other) {
            let upn = at(&format!("row.other.{index}"));
            rows.get_mut("anyOtherRole").unwrap().push(upn.clone());
            tenant = tenant.user(User::new(upn).role(other));
        }
    }
    (tenant, rows)
}

/// Sends one PATCH per cell of a caller and compares the answers with the allowed rows.
async fn assert_cells(server: &Server, caller: u128, name: &str, allowed: &Value, rows: &Rows) {
    let client = numbered_app(server, caller).await;
    for (row, users) in rows {
        let allowed = allowed.as_array().unwrap().iter().any(|cell| cell == row);
        for user in users {
            let status = client.reset(user).await;
            let expected = if allowed { 204 } else { 403 };
            assert_eq!(status, expected, "{name} resets {row} ({user})");
        }
    }
}

#[tokio::test]
async fn every_cell_of_the_table_answers_as_documented() {
    let table = table();
    let (mut tenant, rows) = with_targets(tenant(), &table);
    let mut cells = Vec::new();
    for caller in table["callers"].as_array().unwrap() {
        let name = caller["role"].as_str().unwrap();
        cells.push((name, &caller["templateId"], &table["allowed"][name]));
    }
    for caller in table["nonAdminTargetsOnly"]["callers"].as_array().unwrap() {
        let name = caller["role"].as_str().unwrap();
        let allowed = &table["nonAdminTargetsOnly"]["allowed"];
        cells.push((name, &caller["templateId"], allowed));
    }
    for caller in table["deprecatedCallers"]["callers"].as_array().unwrap() {
        let name = caller["role"].as_str().unwrap();
        cells.push((name, &caller["templateId"], &caller["allowed"]));
    }
    assert_eq!((cells.len(), rows.len()), (11, 18));
    for (number, (_, template_id, _)) in (1..).zip(&cells) {
        tenant = tenant.app(bare_app(number).role(role(template_id)));
    }
    let server = start(tenant).await;
    for (number, (name, _, allowed)) in (1..).zip(cells) {
        assert_cells(&server, number, name, allowed, &rows).await;
    }
}

#[tokio::test]
async fn no_other_role_resets_anybody() {
    let table = table();
    let known: Vec<Role> = [
        "/callers",
        "/nonAdminTargetsOnly/callers",
        "/deprecatedCallers/callers",
    ]
    .iter()
    .flat_map(|at| table.pointer(at).unwrap().as_array().unwrap())
    .map(|caller| role(&caller["templateId"]))
    .collect();
    let others = Role::built_in().filter(|(role, _)| !known.contains(role));
    let mut tenant = tenant().user(User::new(at("ordinary")));
    let mut names = Vec::new();
    for (number, (role, name)) in (1..).zip(others) {
        tenant = tenant.app(bare_app(number).role(role));
        names.push(name);
    }
    let server = start(tenant).await;
    for (number, name) in (1..).zip(names) {
        let client = numbered_app(&server, number).await;
        assert_eq!(client.reset(&at("ordinary")).await, 403, "{name}");
    }
}

#[tokio::test]
async fn unit_scope_reaches_the_documented_members_of_the_unit_only() {
    let table = table();
    let scope = &table["administrativeUnitScope"];
    let (mut tenant, rows) = with_targets(tenant(), &table);
    let unit = rows
        .values()
        .flatten()
        .fold(Unit::new("Branch"), Unit::member);
    tenant = tenant.unit(unit).user(User::new(at("outsider")));
    let callers = scope["assignableRolesThatResetPasswords"]
        .as_array()
        .unwrap();
    for (number, caller) in (1..).zip(callers) {
        let role = role(&caller["templateId"]);
        tenant = tenant.app(bare_app(number).unit_role(role, "Branch"));
    }
    let server = start(tenant).await;
    for (number, caller) in (1..).zip(callers) {
        let name = caller["role"].as_str().unwrap();
        assert_cells(&server, number, name, &scope["allowed"][name], &rows).await;
        let client = numbered_app(&server, number).await;
        assert_eq!(client.reset(&at("outsider")).await, 403, "{name}");
    }
}

#[tokio::test]
async fn sensitive_properties_follow_their_own_table() {
    let table = table();
    let (mut tenant, rows) = with_targets(tenant(), &table);
    let callers = table["callers"].as_array().unwrap();
    for (number, caller) in (1..).zip(callers) {
        let app = bare_app(number).permission("User.EnableDisableAccount.All");
        tenant = tenant.app(app.role(role(&caller["templateId"])));
    }
    let server = start(tenant).await;
    for (number, caller) in (1..).zip(callers) {
        let name = caller["role"].as_str().unwrap();
        let allowed = table["sensitiveActions"]["allowed"][name].as_array();
        let client = numbered_app(&server, number).await;
        for (row, users) in &rows {
            // For an app the role matters only when the target is an administrator.
            let by_role = allowed.is_some_and(|rows| rows.iter().any(|cell| cell == row));
            let expected = if by_role || row == "none" { 204 } else { 403 };
            for user in users {
                let change = serde_json::json!({"accountEnabled": true});
                let (status, _) = client.patch(user, &change).await;
                assert_eq!(status, expected, "{name} enables {row} ({user})");
            }
        }
    }
}
