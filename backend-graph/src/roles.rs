use std::collections::HashMap;
use std::sync::Arc;

use rotation_core::{BackendError, GivenRole, RoleId, RoleTable};
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::Need;
use crate::client::Client;
use crate::groups;
use crate::page::Pages;
use crate::units;

pub(crate) const READ_ASSIGNMENTS: Need = Need {
    to: "read the role assignments",
    permission: "RoleManagement.Read.Directory",
    pim: false,
};

/// RoleEligibilitySchedule.Read.Directory would be less, were it not that reading the assignments takes this one anyway.
pub(crate) const READ_ELIGIBILITIES: Need = Need {
    to: "read the eligible roles",
    permission: READ_ASSIGNMENTS.permission,
    pim: true,
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

/// Reads all assignments, all role-assignable groups and, with `pim`, all eligibilities, in a number of requests that does not
/// depend on that of accounts.
///
/// # Errors
/// [`BackendError`] if any of it cannot be read: a table with holes would take administrators for ordinary people.
pub(crate) async fn read(client: &Arc<Client>, pim: bool) -> Result<RoleTable, BackendError> {
    let eligible = async {
        if pim {
            let kind = "roleEligibilityScheduleInstances";
            given(client, kind, &READ_ELIGIBILITIES).await
        } else {
            Ok(Vec::new())
        }
    };
    let (active, eligible, groups) = futures::try_join!(
        given(client, "roleAssignments", &READ_ASSIGNMENTS),
        eligible,
        groups::read(client, pim),
    )?;
    // Most tenants assign no role in a unit, and then need no permission to read units.
    let mut all = active.iter().chain(&eligible);
    let restricted = if all.any(|given| given.unit().is_some()) {
        units::restrictions(client).await?
    } else {
        HashMap::new()
    };
    Ok(RoleTable::resolve(&active, &eligible, &groups, &restricted))
}

async fn given(
    client: &Arc<Client>,
    kind: &str,
    need: &'static Need,
) -> Result<Vec<GivenRole>, BackendError> {
    let path = ["roleManagement", "directory", kind];
    let query = "$select=principalId,roleDefinitionId,directoryScopeId";
    let first = client.graph.url(&path, query);
    let rows: Vec<Row> = Pages::new(Arc::clone(client), first, need).all().await?;
    let given = |row: Row| {
        let role = RoleId::new(row.role_definition_id);
        GivenRole::new(row.principal_id, role, row.directory_scope_id)
    };
    Ok(rows.into_iter().map(given).collect())
}
