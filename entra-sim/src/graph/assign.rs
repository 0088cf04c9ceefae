//! Giving roles and taking them away, directly or through Privileged Identity Management.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::permission::{ASSIGN_ROLES, DELEGATED_ROLE_ASSIGNERS, REQUEST_ASSIGNMENTS};
use super::roles::assignment_json;
use super::{Call, GraphError};
use crate::clock::{graph_time, later};
use crate::directory::Assignment;
use crate::reply::Reply;
use crate::role::Role;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct New {
    principal_id: Uuid,
    role_definition_id: Uuid,
    directory_scope_id: String,
}

/// <https://learn.microsoft.com/graph/api/resources/unifiedroleassignmentschedulerequest>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    action: String,
    principal_id: Uuid,
    role_definition_id: Uuid,
    directory_scope_id: String,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    schedule_info: Option<Schedule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Schedule {
    #[serde(default, rename = "startDateTime")]
    _start: Option<Timestamp>,
    expiration: Expiration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expiration {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    duration: Option<Span>,
    #[serde(default)]
    end_date_time: Option<Timestamp>,
}

/// `POST /roleManagement/directory/roleAssignments`:
/// <https://learn.microsoft.com/graph/api/rbacapplication-post-roleassignments>
pub(crate) fn assign(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(ASSIGN_ROLES)?;
    call.require_delegated_role(DELEGATED_ROLE_ASSIGNERS)?;
    let new: New = call.new_object()?;
    let assignment = checked(call, &new)?;
    add(call, assignment.clone()).ok_or_else(|| {
        GraphError::bad_request(
            "A conflicting object with one or more of the specified property values is present in the directory.",
        )
    })?;
    let object = assignment_json(call, &assignment);
    Ok(Reply::json(StatusCode::CREATED, object))
}

/// `DELETE /roleManagement/directory/roleAssignments/{id}`:
/// <https://learn.microsoft.com/graph/api/unifiedroleassignment-delete>
pub(crate) fn unassign(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(ASSIGN_ROLES)?;
    call.require_delegated_role(DELEGATED_ROLE_ASSIGNERS)?;
    remove(call, &call.route.key).ok_or_else(|| GraphError::not_found(&call.route.key))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /roleManagement/directory/roleAssignmentScheduleRequests`, by administrators:
/// <https://learn.microsoft.com/graph/api/rbacapplication-post-roleassignmentschedulerequests>
pub(crate) fn request(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(REQUEST_ASSIGNMENTS)?;
    call.require_delegated_role(DELEGATED_ROLE_ASSIGNERS)?;
    call.require_pim()?;
    let request: Request = call.new_object()?;
    let mut assignment = checked(
        call,
        &New {
            principal_id: request.principal_id,
            role_definition_id: request.role_definition_id,
            directory_scope_id: request.directory_scope_id,
        },
    )?;
    let status = match request.action.as_str() {
        "adminAssign" => {
            if request.justification.unwrap_or_default().trim().is_empty() {
                return Err(against_policy("JustificationRule"));
            }
            assignment.ends = end(call, request.schedule_info)?;
            let added = add(call, assignment.clone());
            added.ok_or_else(|| {
                refused(
                    "RoleAssignmentExists",
                    "The Role assignment already exists.",
                )
            })?;
            "Provisioned"
        }
        "adminUpdate" => {
            if request.justification.unwrap_or_default().trim().is_empty() {
                return Err(against_policy("JustificationRule"));
            }
            assignment.ends = end(call, request.schedule_info)?;
            change(call, &assignment).ok_or_else(unassigned)?;
            "Provisioned"
        }
        "adminRemove" => {
            remove(call, &assignment.id).ok_or_else(unassigned)?;
            "Revoked"
        }
        other => {
            return Err(GraphError::bad_request(format!(
                "The action '{other}' is not one that an administrator may request here."
            )));
        }
    };
    let object = json!({
        "id": Uuid::new_v4(),
        "action": request.action,
        "createdDateTime": graph_time(call.world.clock.now()),
        "directoryScopeId": "/",
        "isValidationOnly": false,
        "principalId": assignment.principal,
        "roleDefinitionId": assignment.role,
        "status": status,
        "targetScheduleId": assignment.id,
    });
    Ok(Reply::json(StatusCode::CREATED, object))
}

/// The assignment that is asked for, if there can be such a one.
fn checked(call: &Call<'_>, new: &New) -> Result<Assignment, GraphError> {
    let role = Role::from_id(new.role_definition_id);
    let mut custom = call.directory.custom_roles.iter();
    if role.name().is_none() && !custom.any(|(custom, _)| *custom == role) {
        return Err(GraphError::bad_request(format!(
            "The role definition '{}' is invalid.",
            role.id()
        )));
    }
    let principal = new.principal_id;
    let access = call.directory.access();
    let mut apps = call.directory.service_principals().into_iter();
    let group = access.groups.iter().find(|group| group.id == principal);
    if group.is_some_and(|group| !group.role_assignable) {
        return Err(GraphError::bad_request(
            "Only groups with isAssignableToRole can be assigned to a role.",
        ));
    }
    let exists = group.is_some()
        || call.directory.account(principal).is_some()
        || apps.any(|app| app.id == principal);
    if !exists {
        return Err(GraphError::not_found(&principal.to_string()));
    }
    let unit = match new.directory_scope_id.strip_prefix("/administrativeUnits/") {
        None if new.directory_scope_id == "/" => None,
        None => {
            return Err(GraphError::bad_request(format!(
                "The directory scope '{}' is not supported.",
                new.directory_scope_id
            )));
        }
        Some(id) => {
            let mut units = access.units.iter();
            let unit = units.find(|unit| unit.id.to_string() == id);
            Some(unit.ok_or_else(|| GraphError::not_found(id))?.id)
        }
    };
    Ok(Assignment::new(principal, role, unit))
}

fn add(call: &Call<'_>, assignment: Assignment) -> Option<()> {
    call.directory.change_access(|access| {
        let mut known = access.assignments.iter();
        let is_new = known.all(|known| known.id != assignment.id);
        is_new.then(|| access.assignments.push(assignment))
    })
}

fn change(call: &Call<'_>, assignment: &Assignment) -> Option<()> {
    call.directory.change_access(|access| {
        let mut known = access.assignments.iter_mut();
        known.find(|known| known.id == assignment.id)?.ends = assignment.ends;
        Some(())
    })
}

fn remove(call: &Call<'_>, id: &str) -> Option<()> {
    call.directory.change_access(|access| {
        let mut known = access.assignments.iter();
        let place = known.position(|known| known.id == id)?;
        access.assignments.remove(place);
        Some(())
    })
}

/// When the assignment ends, as far as the settings of the role allow it.
fn end(call: &Call<'_>, schedule: Option<Schedule>) -> Result<Option<Timestamp>, GraphError> {
    let invalid = || GraphError::bad_request("The expiration of the scheduleInfo is invalid.");
    let expiration = schedule.ok_or_else(invalid)?.expiration;
    let now = call.world.clock.now();
    let end = match expiration.kind.to_lowercase().as_str() {
        "noexpiration" => None,
        "afterdatetime" => Some(expiration.end_date_time.ok_or_else(invalid)?),
        "afterduration" => {
            let span = expiration.duration.ok_or_else(invalid)?;
            let length = span.to_duration(SpanRelativeTo::days_are_24_hours());
            let length = length
                .ok()
                .and_then(|length| Duration::try_from(length).ok());
            Some(later(now, length.ok_or_else(invalid)?))
        }
        _ => return Err(invalid()),
    };
    let latest = call.directory.switches.longest_assignment;
    match latest.map(|longest| later(now, longest)) {
        Some(latest) if end.is_none_or(|end| latest < end) => Err(against_policy("ExpirationRule")),
        _ => Ok(end),
    }
}

fn unassigned() -> GraphError {
    let message = "The Role assignment does not exist.";
    refused("RoleAssignmentDoesNotExist", message)
}

/// The settings of the role say no.
fn against_policy(rule: &str) -> GraphError {
    refused(
        "RoleAssignmentRequestPolicyValidationFailed",
        format!("The following policy rules failed: [\"{rule}\"]"),
    )
}

/// Privileged Identity Management's own codes.
fn refused(code: &'static str, message: impl Into<Cow<'static, str>>) -> GraphError {
    GraphError::new(StatusCode::BAD_REQUEST, code, message)
}
