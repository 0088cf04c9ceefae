use std::collections::HashMap;

use rotation_core::{BackendError, GivenRole, RoleId, RoleTable};
use serde::Deserialize;
use uuid::Uuid;

use super::get::{Graph, Need};
use super::{groups, units};

const READ_ASSIGNMENTS: Need = Need {
    to: "read the role assignments",
    permission: "RoleManagement.Read.Directory",
};

const READ_ELIGIBILITIES: Need = Need {
    to: "read the eligible roles",
    permission: "RoleEligibilitySchedule.Read.Directory",
};

/// The definition id of a built-in role is its template id
/// (<https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    principal_id: Uuid,
    role_definition_id: Uuid,
    directory_scope_id: Option<String>,
}

/// Reads all assignments, all role-assignable groups and, with PIM, all eligibilities.
///
/// # Errors
/// [`BackendError`] if any of it cannot be read: a table with holes would take administrators for ordinary people.
pub(crate) async fn read(graph: Graph<'_>) -> Result<RoleTable, BackendError> {
    let active = given(graph, "roleAssignments", &READ_ASSIGNMENTS).await?;
    let eligible = if graph.pim {
        let kind = "roleEligibilityScheduleInstances";
        given(graph, kind, &READ_ELIGIBILITIES).await?
    } else {
        Vec::new()
    };
    let groups = groups::read(graph).await?;
    // Most tenants assign no role in a unit, and then need no permission to read units.
    let mut all = active.iter().chain(&eligible);
    let restricted = if all.any(|given| given.unit().is_some()) {
        units::restrictions(graph).await?
    } else {
        HashMap::new()
    };
    Ok(RoleTable::resolve(&active, &eligible, &groups, &restricted))
}

async fn given(graph: Graph<'_>, kind: &str, need: &Need) -> Result<Vec<GivenRole>, BackendError> {
    let path = format!(
        "roleManagement/directory/{kind}?$select=principalId,roleDefinitionId,directoryScopeId"
    );
    let rows: Vec<Row> = graph.all(&path, need).await?;
    let given = |row: Row| {
        let role = RoleId::new(row.role_definition_id);
        GivenRole::new(row.principal_id, role, row.directory_scope_id)
    };
    Ok(rows.into_iter().map(given).collect())
}
