use std::sync::Arc;

use entra_directory::{GraphReader as _, Need, Pages};
use jiff::Timestamp;
use rotation_core::{BackendError, RoleId};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;

const READ_ENDS: Need = Need {
    to: "read when the caller's roles end",
    permission: "RoleManagement.Read.Directory",
    pim: true,
};

/// The end of an active role, as Privileged Identity Management gives one
/// (<https://learn.microsoft.com/graph/api/resources/unifiedroleassignmentscheduleinstance>).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleEnd {
    /// The role.
    pub role: RoleId,
    /// The last moment at which it is held.
    pub until: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    principal_id: Uuid,
    role_definition_id: Uuid,
    end_date_time: Option<Timestamp>,
}

/// The ends of the roles that are assigned to the caller itself.
pub(crate) async fn read(client: &Arc<Client>) -> Result<Vec<RoleEnd>, BackendError> {
    let caller = client.claims().await?.oid;
    let path = [
        "roleManagement",
        "directory",
        "roleAssignmentScheduleInstances",
    ];
    let query = format!("$filter=principalId eq '{caller}'");
    let first = client.graph.url(&path, &query);
    let pages = Pages::new(Arc::clone(client), first, &READ_ENDS);
    let rows: Vec<Row> = pages.all().await?;
    let own = rows.into_iter().filter(|row| row.principal_id == caller);
    Ok(own
        .filter_map(|row| {
            Some(RoleEnd {
                role: RoleId::new(row.role_definition_id),
                until: row.end_date_time?,
            })
        })
        .collect())
}
