use std::collections::HashMap;
use std::sync::Arc;

use rotation_core::{BackendError, GivenRole, RoleId, RoleTable};
use serde::Deserialize;
use uuid::Uuid;

use crate::groups;
use crate::need::{Need, READ_ASSIGNMENTS, READ_ELIGIBILITIES};
use crate::page::Pages;
use crate::reader::GraphReader;
use crate::units;

/// The definition id of a built-in role is its template id
/// (<https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    principal_id: Uuid,
    role_definition_id: Uuid,
    directory_scope_id: Option<String>,
}

/// Reads all assignments, all role-assignable groups and, with `pim`, all eligibilities, in a number of requests that does not
/// depend on that of accounts.
///
/// # Errors
/// [`BackendError`] if any of it cannot be read: a table with holes would take administrators for ordinary people.
pub(crate) async fn read<G: GraphReader>(
    graph: &Arc<G>,
    pim: bool,
) -> Result<RoleTable, BackendError> {
    let eligible = async {
        if pim {
            let kind = "roleEligibilityScheduleInstances";
            given(graph, kind, &READ_ELIGIBILITIES).await
        } else {
            Ok(Vec::new())
        }
    };
    let (active, eligible, groups) = futures::try_join!(
        given(graph, "roleAssignments", &READ_ASSIGNMENTS),
        eligible,
        groups::read(graph, pim),
    )?;
    // Most tenants assign no role in a unit, and then need no permission to read units.
    let mut all = active.iter().chain(&eligible);
    let restricted = if all.any(|given| given.unit().is_some()) {
        units::restrictions(graph).await?
    } else {
        HashMap::new()
    };
    Ok(RoleTable::resolve(&active, &eligible, &groups, &restricted))
}

async fn given<G: GraphReader>(
    graph: &Arc<G>,
    kind: &str,
    need: &'static Need,
) -> Result<Vec<GivenRole>, BackendError> {
    let path = format!(
        "roleManagement/directory/{kind}?$select=principalId,roleDefinitionId,directoryScopeId"
    );
    let rows: Vec<Row> = Pages::at(graph, &path, need).all().await?;
    let given = |row: Row| {
        let role = RoleId::new(row.role_definition_id);
        GivenRole::new(row.principal_id, role, row.directory_scope_id)
    };
    Ok(rows.into_iter().map(given).collect())
}
