//! The application permissions that service principals were granted.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app_roles::{self, made_up};
use super::permission::{APPLICATIONS, DELEGATED_ROLE_ASSIGNERS, GRANT_APP_ROLES};
use super::service_principals::{find, graph_id};
use super::{Call, GraphError};
use crate::clock::{graph_time, later};
use crate::directory::ServicePrincipal;
use crate::reply::Reply;

/// `GET /servicePrincipals/{id}/appRoleAssignments`
pub(crate) fn list(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(APPLICATIONS)?;
    let app = find(call)?;
    let permissions = app.permissions.iter();
    let assignments: Vec<Value> = permissions
        .map(|permission| object(call, &app, permission))
        .collect();
    call.page_of("appRoleAssignments", assignments)
}

/// `POST /servicePrincipals/{id}/appRoleAssignments`:
/// <https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments>
pub(crate) fn grant(call: &Call<'_>) -> Result<Reply, GraphError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct New {
        principal_id: Uuid,
        resource_id: Uuid,
        app_role_id: Uuid,
    }
    require_granter(call)?;
    let new: New = call.new_object()?;
    let app = find(call)?;
    if new.principal_id != app.id {
        return Err(GraphError::bad_request(
            "The principalId of the request body is not the object of the request.",
        ));
    }
    let known = app_roles::of(call.directory);
    let mut known = known
        .into_iter()
        .filter(|_| new.resource_id == graph_id(call));
    let (permission, _) = known
        .find(|(_, id)| *id == new.app_role_id)
        .ok_or_else(|| {
            GraphError::bad_request("Permission being assigned was not found on application")
        })?;
    let lag = call.directory.permission_lag;
    let from = (!lag.is_zero()).then(|| later(call.world.clock.now(), lag));
    let granted = change(call, &app, |app| {
        let is_new = !app.permissions.contains(&permission);
        is_new.then(|| {
            app.fresh.retain(|(known, _)| *known != permission);
            app.fresh
                .extend(from.map(|from| (permission.clone(), from)));
            app.permissions.push(permission.clone());
        })
    });
    granted.ok_or_else(|| {
        GraphError::bad_request("Permission being assigned already exists on the object")
    })?;
    Ok(Reply::json(
        StatusCode::CREATED,
        object(call, &app, &permission),
    ))
}

/// `DELETE /servicePrincipals/{id}/appRoleAssignments/{id}`:
/// <https://learn.microsoft.com/graph/api/serviceprincipal-delete-approleassignments>
pub(crate) fn revoke(call: &Call<'_>) -> Result<Reply, GraphError> {
    require_granter(call)?;
    let app = find(call)?;
    let item = &*call.route.item;
    change(call, &app, |here| {
        let permissions = &mut here.permissions;
        let is_it = |permission: &String| id(&app, permission).to_string() == item;
        let place = permissions.iter().position(is_it)?;
        Some(permissions.remove(place))
    })
    .ok_or_else(|| GraphError::not_found(item))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn require_granter(call: &Call<'_>) -> Result<(), GraphError> {
    call.require(GRANT_APP_ROLES)?;
    call.require_delegated_role(DELEGATED_ROLE_ASSIGNERS)
}

/// Tokens that are out already stay as they are.
fn change<T>(
    call: &Call<'_>,
    app: &ServicePrincipal,
    change: impl FnOnce(&mut ServicePrincipal) -> Option<T>,
) -> Option<T> {
    call.directory.change_service_principals(|apps| {
        let app = apps.iter_mut().find(|known| known.id == app.id)?;
        change(Arc::make_mut(app))
    })
}

fn id(app: &ServicePrincipal, permission: &str) -> Uuid {
    made_up(&format!("{} {permission}", app.id))
}

fn object(call: &Call<'_>, app: &ServicePrincipal, permission: &str) -> Value {
    json!({
        "id": id(app, permission),
        "appRoleId": app_roles::id(permission),
        "createdDateTime": graph_time(call.world.started),
        "deletedDateTime": null,
        "principalDisplayName": app.display_name,
        "principalId": app.id,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": "Microsoft Graph",
        "resourceId": graph_id(call),
    })
}
