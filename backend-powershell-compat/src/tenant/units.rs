use std::collections::HashMap;

use rotation_core::BackendError;
use serde::Deserialize;
use uuid::Uuid;

use super::get::{Graph, Need};
use super::groups::Object;

pub(crate) const READ_UNITS: Need = Need {
    to: "read the administrative units",
    permission: "AdministrativeUnit.Read.All",
};

/// <https://learn.microsoft.com/graph/api/resources/administrativeunit>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unit {
    id: Uuid,
    is_member_management_restricted: Option<bool>,
}

/// All administrative units, and whether each restricts the management of its members.
pub(crate) async fn restrictions(graph: Graph<'_>) -> Result<HashMap<Uuid, bool>, BackendError> {
    let path = "directory/administrativeUnits?$select=id,isMemberManagementRestricted";
    let units: Vec<Unit> = graph.all(path, &READ_UNITS).await?;
    let restriction = |unit: Unit| (unit.id, unit.is_member_management_restricted == Some(true));
    Ok(units.into_iter().map(restriction).collect())
}

/// The members of one unit, users or not
/// (<https://learn.microsoft.com/graph/api/administrativeunit-list-members>).
pub(crate) async fn members(graph: Graph<'_>, unit: Uuid) -> Result<Vec<Uuid>, BackendError> {
    let path = format!("directory/administrativeUnits/{unit}/members?$select=id&$top=999");
    let members: Vec<Object> = graph.all(&path, &READ_UNITS).await?;
    Ok(members.into_iter().map(|member| member.id).collect())
}
