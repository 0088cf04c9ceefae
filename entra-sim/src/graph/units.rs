//! Administrative units and their members.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::permission::UNITS;
use super::{Call, GraphError};
use crate::directory::UnitRecord;
use crate::reply::Reply;

/// `GET /directory/administrativeUnits` and `GET /directory/administrativeUnits/{id}`
pub(crate) fn list_or_read(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(UNITS)?;
    if call.query.filter.is_some() {
        return Err(GraphError::unsupported_query(
            "Unsupported or invalid query filter clause specified for administrative units.",
        ));
    }
    let access = call.directory.access();
    if call.route.key.is_empty() {
        let units = access
            .units
            .iter()
            .map(|unit| call.selected("administrativeUnit", object(unit)))
            .collect::<Result<Vec<_>, _>>()?;
        call.page_of("administrativeUnits", units)
    } else {
        let unit = find(&access.units, &call.route.key)?;
        let object = call.selected("administrativeUnit", object(unit))?;
        Ok(Reply::json(StatusCode::OK, object))
    }
}

/// `GET /directory/administrativeUnits/{id}/members`
pub(crate) fn members(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(UNITS)?;
    let ids = find(&call.directory.access().units, &call.route.key)?
        .members
        .clone();
    call.page_of_objects(&ids)
}

fn find<'a>(units: &'a [UnitRecord], key: &str) -> Result<&'a UnitRecord, GraphError> {
    let id = Uuid::try_parse(key)
        .map_err(|_| GraphError::bad_request(format!("Invalid object identifier '{key}'.")))?;
    units
        .iter()
        .find(|unit| unit.id == id)
        .ok_or_else(|| GraphError::not_found(key))
}

fn object(unit: &UnitRecord) -> Value {
    json!({
        "id": unit.id,
        "deletedDateTime": null,
        "description": null,
        "displayName": unit.display_name,
        "isMemberManagementRestricted": unit.restricted,
        "membershipRule": null,
        "membershipRuleProcessingState": null,
        "membershipType": null,
        "visibility": null,
    })
}
