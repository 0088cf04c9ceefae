//! Groups, their members and owners, and who could become one of them.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::Filter;
use super::permission::{GROUP_ELIGIBILITY, GROUPS};
use super::{Call, GraphError};
use crate::clock::graph_time;
use crate::directory::GroupRecord;
use crate::reply::Reply;

/// What groups can be filtered by.
const FILTERABLE: &[&str] = &["displayName", "id", "isAssignableToRole", "securityEnabled"];

/// `GET /groups` and `GET /groups/{id}`
pub(crate) fn list_or_read(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(GROUPS)?;
    let access = call.directory.access();
    if !call.route.key.is_empty() {
        let group = find(&access.groups, &call.route.key)?;
        let object = call.selected("group", object(call, group))?;
        return Ok(Reply::json(StatusCode::OK, object));
    }
    let filter = match &call.query.filter {
        Some(text) => Filter::parse(text, FILTERABLE)?,
        None => Filter::default(),
    };
    let groups = access
        .groups
        .iter()
        .map(|group| object(call, group))
        .filter(|group| filter.accepts(|name| group.get(name).cloned().unwrap_or_default()))
        .map(|group| call.selected("group", group))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("groups", groups)
}

/// `GET /groups/{id}/members`
pub(crate) fn members(call: &Call<'_>) -> Result<Reply, GraphError> {
    people(call, |group| &group.members)
}

/// `GET /groups/{id}/owners`
pub(crate) fn owners(call: &Call<'_>) -> Result<Reply, GraphError> {
    people(call, |group| &group.owners)
}

/// `GET /groups/{id}/members/microsoft.graph.servicePrincipal`, which v1.0 leaves out of all members
/// (<https://learn.microsoft.com/graph/api/group-list-members>).
pub(crate) fn member_apps(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(GROUPS)?;
    let access = call.directory.access();
    let members = find(&access.groups, &call.route.key)?.members.iter();
    let apps = call.directory.service_principals();
    let is_app = |id: &&Uuid| apps.iter().any(|app| app.id == **id);
    let found: Vec<Value> = members
        .filter(is_app)
        .map(|id| call.directory_object(&access, *id))
        .collect();
    call.page_of("servicePrincipals", found)
}

fn people(call: &Call<'_>, of: impl Fn(&GroupRecord) -> &Vec<Uuid>) -> Result<Reply, GraphError> {
    call.require(GROUPS)?;
    let ids = of(find(&call.directory.access().groups, &call.route.key)?).clone();
    call.page_of_objects(&ids)
}

/// `GET /identityGovernance/privilegedAccess/group/eligibilityScheduleInstances`
pub(crate) fn eligibility(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require_pim_reader(GROUP_ELIGIBILITY)?;
    let filter = match &call.query.filter {
        Some(text) => Filter::parse(text, &["groupId", "principalId"])?,
        None => {
            return Err(GraphError::bad_request(
                "The query must filter by groupId or principalId.",
            ));
        }
    };
    let access = call.directory.access();
    let instances = access
        .groups
        .iter()
        .flat_map(|group| {
            let members = group.eligible_members.iter().map(|id| (id, "member"));
            let owners = group.eligible_owners.iter().map(|id| (id, "owner"));
            members
                .chain(owners)
                .map(|(principal, access_id)| instance(call, group.id, *principal, access_id))
        })
        .filter(|instance| filter.accepts(|name| instance.get(name).cloned().unwrap_or_default()))
        .map(|instance| call.selected("privilegedAccessGroupEligibilityScheduleInstance", instance))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of(call.path.trim_start_matches('/'), instances)
}

fn instance(call: &Call<'_>, group: Uuid, principal: Uuid, access_id: &str) -> Value {
    let id = format!("{group}_{access_id}_{principal}");
    json!({
        "id": id,
        "accessId": access_id,
        "eligibilityScheduleId": id,
        "groupId": group,
        "memberType": "direct",
        "principalId": principal,
        "startDateTime": graph_time(call.world.started),
        "endDateTime": null,
    })
}

pub(crate) fn find<'a>(
    groups: &'a [GroupRecord],
    key: &str,
) -> Result<&'a GroupRecord, GraphError> {
    let id = Uuid::try_parse(key)
        .map_err(|_| GraphError::bad_request(format!("Invalid object identifier '{key}'.")))?;
    groups
        .iter()
        .find(|group| group.id == id)
        .ok_or_else(|| GraphError::not_found(key))
}

pub(crate) fn object(call: &Call<'_>, group: &GroupRecord) -> Value {
    json!({
        "id": group.id,
        "createdDateTime": graph_time(call.world.started),
        "deletedDateTime": null,
        "description": null,
        "displayName": group.display_name,
        "groupTypes": [],
        "isAssignableToRole": group.role_assignable.then_some(true),
        "isManagementRestricted": false,
        "mail": null,
        "mailEnabled": false,
        "mailNickname": group.id.simple().to_string(),
        "membershipRule": null,
        "onPremisesSyncEnabled": null,
        "securityEnabled": true,
        "visibility": "Private",
    })
}
