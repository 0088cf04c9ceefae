//! Creating groups and deleting them, and who is in them.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::groups::{find, object};
use super::permission::{ASSIGN_ROLES, CHANGE_MEMBERS, CREATE_GROUPS, DELEGATED_ROLE_ASSIGNERS};
use super::{Call, GraphError};
use crate::directory::GroupRecord;
use crate::reply::Reply;

/// Graph's own answer to whoever does not say what kind of group it is to be.
const INCOMPLETE: &str = "A value is required for property 'mailEnabled', 'mailNickname' or 'securityEnabled' of resource 'Group'.";

/// `POST /groups`, for security groups: <https://learn.microsoft.com/graph/api/group-post-groups>
pub(crate) fn create(call: &Call<'_>) -> Result<Reply, GraphError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct New {
        display_name: String,
        mail_enabled: Option<bool>,
        mail_nickname: Option<String>,
        security_enabled: Option<bool>,
        #[serde(default, rename = "description")]
        _description: Option<String>,
        #[serde(default, rename = "groupTypes")]
        _group_types: Vec<Value>,
        #[serde(default)]
        is_assignable_to_role: bool,
    }
    call.require(CREATE_GROUPS)?;
    let new: New = call.new_object()?;
    if new.mail_enabled != Some(false)
        || new.security_enabled != Some(true)
        || new.mail_nickname.is_none()
    {
        return Err(GraphError::bad_request(INCOMPLETE));
    }
    let group = GroupRecord {
        id: Uuid::new_v4(),
        display_name: new.display_name,
        role_assignable: new.is_assignable_to_role,
        members: Vec::new(),
        owners: Vec::new(),
        eligible_members: Vec::new(),
        eligible_owners: Vec::new(),
    };
    require_for(call, &group)?;
    if group.role_assignable && !call.directory.switches.premium_p1 {
        return Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "Request_BadRequest",
            "The tenant needs a Microsoft Entra ID P1 license for groups that are assignable to roles.",
        ));
    }
    let created = object(call, &group);
    call.directory
        .change_access(|access| access.groups.push(group));
    Ok(Reply::json(StatusCode::CREATED, created))
}

/// `DELETE /groups/{id}`, with the roles it holds: <https://learn.microsoft.com/graph/api/group-delete>
pub(crate) fn delete(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(CREATE_GROUPS)?;
    let id = existing(call)?;
    call.directory.change_access(|access| {
        access.groups.retain(|group| group.id != id);
        access.assignments.retain(|held| held.principal != id);
        access.eligibilities.retain(|held| held.principal != id);
    });
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /groups/{id}/members/$ref`: <https://learn.microsoft.com/graph/api/group-post-members>
pub(crate) fn add_member(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(CHANGE_MEMBERS)?;
    let group = existing(call)?;
    let referenced = call.referenced()?;
    let member = Uuid::try_parse(&referenced).ok().filter(|id| {
        let mut apps = call.directory.service_principals().into_iter();
        call.directory.account(*id).is_some() || apps.any(|app| app.id == *id)
    });
    let member = member.ok_or_else(|| GraphError::not_found(&referenced))?;
    let added = change(call, group, |members| {
        let is_new = !members.contains(&member);
        is_new.then(|| members.push(member))
    });
    added.ok_or_else(|| {
        GraphError::bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        )
    })?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `DELETE /groups/{id}/members/{id}/$ref`: <https://learn.microsoft.com/graph/api/group-delete-members>
pub(crate) fn remove_member(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(CHANGE_MEMBERS)?;
    let group = existing(call)?;
    let item = &*call.route.item;
    change(call, group, |members| {
        let place = members
            .iter()
            .position(|member| member.to_string() == item)?;
        Some(members.remove(place))
    })
    .ok_or_else(|| GraphError::not_found(item))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The group that the path names, which the caller may change.
fn existing(call: &Call<'_>) -> Result<Uuid, GraphError> {
    let access = call.directory.access();
    let group = find(&access.groups, &call.route.key)?.clone();
    drop(access);
    require_for(call, &group)?;
    Ok(group.id)
}

/// Whoever changes a role-assignable group could give a role to anybody.
fn require_for(call: &Call<'_>, group: &GroupRecord) -> Result<(), GraphError> {
    if !group.role_assignable {
        return Ok(());
    }
    call.require(ASSIGN_ROLES)?;
    call.require_delegated_role(DELEGATED_ROLE_ASSIGNERS)
}

fn change<T>(
    call: &Call<'_>,
    id: Uuid,
    change: impl FnOnce(&mut Vec<Uuid>) -> Option<T>,
) -> Option<T> {
    call.directory.change_access(|access| {
        let group = access.groups.iter_mut().find(|group| group.id == id)?;
        change(&mut group.members)
    })
}
