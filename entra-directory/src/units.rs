use std::collections::HashMap;
use std::sync::Arc;

use rotation_core::BackendError;
use serde::Deserialize;
use uuid::Uuid;

use crate::groups::Object;
use crate::need::READ_UNITS;
use crate::page::Pages;
use crate::reader::GraphReader;

/// <https://learn.microsoft.com/graph/api/resources/administrativeunit>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unit {
    id: Uuid,
    is_member_management_restricted: Option<bool>,
}

/// All administrative units, and whether each restricts the management of its members.
pub(crate) async fn restrictions<G: GraphReader>(
    graph: &Arc<G>,
) -> Result<HashMap<Uuid, bool>, BackendError> {
    let path = "directory/administrativeUnits?$select=id,isMemberManagementRestricted";
    let units: Vec<Unit> = Pages::at(graph, path, &READ_UNITS).all().await?;
    let restriction = |unit: Unit| (unit.id, unit.is_member_management_restricted == Some(true));
    Ok(units.into_iter().map(restriction).collect())
}

/// The members of one unit, users or not
/// (<https://learn.microsoft.com/graph/api/administrativeunit-list-members>).
pub(crate) async fn members<G: GraphReader>(
    graph: &Arc<G>,
    unit: Uuid,
) -> Result<Vec<Uuid>, BackendError> {
    let path = format!("directory/administrativeUnits/{unit}/members?$select=id&$top=999");
    let members: Vec<Object> = Pages::at(graph, &path, &READ_UNITS).all().await?;
    Ok(members.into_iter().map(|member| member.id).collect())
}
