use std::collections::HashMap;
use std::sync::Arc;

use rotation_core::BackendError;
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::Need;
use crate::client::Client;
use crate::groups::Object;
use crate::page::Pages;

pub(crate) const READ_UNITS: Need = Need {
    to: "read the administrative units",
    permission: "AdministrativeUnit.Read.All",
    pim: false,
};

/// <https://learn.microsoft.com/graph/api/resources/administrativeunit>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unit {
    id: Uuid,
    is_member_management_restricted: Option<bool>,
}

/// All administrative units, and whether each restricts the management of its members.
pub(crate) async fn restrictions(
    client: &Arc<Client>,
) -> Result<HashMap<Uuid, bool>, BackendError> {
    let path = ["directory", "administrativeUnits"];
    let query = "$select=id,isMemberManagementRestricted";
    let first = client.graph.url(&path, query);
    let units: Vec<Unit> = Pages::new(Arc::clone(client), first, &READ_UNITS)
        .all()
        .await?;
    Ok(units
        .into_iter()
        .map(|unit| {
            (
                unit.id,
                unit.is_member_management_restricted.unwrap_or(false),
            )
        })
        .collect())
}

/// The members of one unit, users or not
/// (<https://learn.microsoft.com/graph/api/administrativeunit-list-members>).
pub(crate) async fn members(client: &Arc<Client>, unit: &str) -> Result<Vec<Uuid>, BackendError> {
    let path = ["directory", "administrativeUnits", unit, "members"];
    let first = client.graph.url(&path, "$select=id&$top=999");
    let members: Vec<Object> = Pages::new(Arc::clone(client), first, &READ_UNITS)
        .all()
        .await?;
    Ok(members.into_iter().map(|member| member.id).collect())
}
