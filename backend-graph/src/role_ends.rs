use std::sync::Arc;

use entra_directory::{GraphReader as _, Need, Pages};
use jiff::Timestamp;
use rotation_core::{BackendError, RoleId};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;

const READ_ENDS: Need = Need {
    to: "read when roles end",
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

/// An active role, as Privileged Identity Management has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveRole {
    principal_id: Uuid,
    pub(crate) role_definition_id: RoleId,
    pub(crate) directory_scope_id: Option<String>,
    pub(crate) end_date_time: Option<Timestamp>,
}

/// The ends of the roles that are assigned to the caller itself.
pub(crate) async fn read(client: &Arc<Client>) -> Result<Vec<RoleEnd>, BackendError> {
    let caller = client.claims().await?.oid;
    let own = active_roles(client, caller).await?.into_iter();
    let ends = own.filter_map(|active| {
        Some(RoleEnd {
            role: active.role_definition_id,
            until: active.end_date_time?,
        })
    });
    Ok(ends.collect())
}

/// The roles that are assigned to `principal` itself
/// (<https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignmentscheduleinstances>).
pub(crate) async fn active_roles(
    client: &Arc<Client>,
    principal: Uuid,
) -> Result<Vec<ActiveRole>, BackendError> {
    let path = [
        "roleManagement",
        "directory",
        "roleAssignmentScheduleInstances",
    ];
    let query = format!("$filter=principalId eq '{principal}'");
    let first = client.graph.url(&path, &query);
    let pages = Pages::new(Arc::clone(client), first, &READ_ENDS);
    let mut roles: Vec<ActiveRole> = pages.all().await?;
    roles.retain(|active| active.principal_id == principal);
    Ok(roles)
}
