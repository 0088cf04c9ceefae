//! Service principals and the application permissions that they were granted.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::filter::Filter;
use super::permission::APPLICATIONS;
use super::{Call, GraphError};
use crate::clock::graph_time;
use crate::directory::ServicePrincipal;
use crate::reply::Reply;
use crate::rng::Rng;

/// The app id of Microsoft Graph in every tenant.
const GRAPH_APP: Uuid = uuid!("00000003-0000-0000-c000-000000000000");

/// Ids of application permissions that are known; all others get a made-up one.
const APP_ROLES: &[(&str, Uuid)] = &[
    (
        "User-PasswordProfile.ReadWrite.All",
        uuid!("cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    ),
    (
        "User.Read.All",
        uuid!("df021288-bdef-4463-88db-98f22de89214"),
    ),
    (
        "User.ReadWrite.All",
        uuid!("741f803b-c850-494e-b5df-cde7c675a1ca"),
    ),
    (
        "User.EnableDisableAccount.All",
        uuid!("3011c876-62b7-4ada-afa2-506cbbecc68c"),
    ),
    (
        "RoleManagement.ReadWrite.Directory",
        uuid!("9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"),
    ),
    (
        "Directory.ReadWrite.All",
        uuid!("19dbc75e-c2e2-444c-a770-ec69d8559fc7"),
    ),
];

/// `GET /servicePrincipals`, `/servicePrincipals/{id}` and `/servicePrincipals(appId='…')`
pub(crate) fn list_or_read(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(APPLICATIONS)?;
    let own = call.directory.service_principals.iter();
    let all = own.map(principal).chain([graph_itself(call)]);
    if !call.route.key.is_empty() {
        let key = wanted(&call.route.key);
        let found = all
            .into_iter()
            .find(|object| object.get(key.0).and_then(Value::as_str) == Some(key.1))
            .ok_or_else(|| GraphError::not_found(&call.route.key))?;
        let object = call.selected("servicePrincipal", found)?;
        return Ok(Reply::json(StatusCode::OK, object));
    }
    let filter = match &call.query.filter {
        Some(text) => Filter::parse(text, &["appId", "displayName", "id"])?,
        None => Filter::default(),
    };
    let principals = all
        .filter(|object| filter.accepts(|name| object.get(name).cloned().unwrap_or_default()))
        .map(|object| call.selected("servicePrincipal", object))
        .collect::<Result<Vec<_>, _>>()?;
    call.page_of("servicePrincipals", principals)
}

/// `GET /servicePrincipals/{id}/appRoleAssignments`
pub(crate) fn app_role_assignments(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(APPLICATIONS)?;
    let (property, wanted) = wanted(&call.route.key);
    let app = call
        .directory
        .service_principals
        .iter()
        .find(|app| {
            let id = if property == "id" {
                app.id
            } else {
                app.client_id
            };
            id.to_string() == wanted
        })
        .ok_or_else(|| GraphError::not_found(&call.route.key))?;
    let assignments: Vec<Value> = app
        .permissions
        .iter()
        .map(|permission| {
            json!({
                "id": made_up(&format!("{} {permission}", app.id)),
                "appRoleId": app_role(permission),
                "createdDateTime": graph_time(call.world.started),
                "deletedDateTime": null,
                "principalDisplayName": app.display_name,
                "principalId": app.id,
                "principalType": "ServicePrincipal",
                "resourceDisplayName": "Microsoft Graph",
                "resourceId": graph_id(call),
            })
        })
        .collect();
    call.page_of("appRoleAssignments", assignments)
}

/// The property and value that a key in the path stands for.
fn wanted(key: &str) -> (&'static str, &str) {
    match key
        .strip_prefix("appId='")
        .and_then(|key| key.strip_suffix('\''))
    {
        Some(app_id) => ("appId", app_id),
        None => ("id", key),
    }
}

fn principal(app: &ServicePrincipal) -> Value {
    json!({
        "id": app.id,
        "accountEnabled": true,
        "appDisplayName": app.display_name,
        "appId": app.client_id,
        "appRoles": [],
        "displayName": app.display_name,
        "servicePrincipalType": "Application",
    })
}

/// Microsoft Graph, whose app roles give names to the ids of the assignments.
fn graph_itself(call: &Call<'_>) -> Value {
    let mut names: Vec<&str> = call
        .directory
        .service_principals
        .iter()
        .flat_map(|app| app.permissions.iter().map(String::as_str))
        .chain(APP_ROLES.iter().map(|(name, _)| *name))
        .collect();
    names.sort_unstable();
    names.dedup();
    let roles: Vec<Value> = names
        .into_iter()
        .map(|name| {
            json!({
                "id": app_role(name),
                "allowedMemberTypes": ["Application"],
                "displayName": name,
                "isEnabled": true,
                "value": name,
            })
        })
        .collect();
    json!({
        "id": graph_id(call),
        "accountEnabled": true,
        "appDisplayName": "Microsoft Graph",
        "appId": GRAPH_APP,
        "appRoles": roles,
        "displayName": "Microsoft Graph",
        "servicePrincipalType": "Application",
    })
}

fn graph_id(call: &Call<'_>) -> Uuid {
    made_up(&call.directory.id.to_string())
}

fn app_role(permission: &str) -> Uuid {
    APP_ROLES
        .iter()
        .find(|(name, _)| *name == permission)
        .map_or_else(|| made_up(permission), |&(_, id)| id)
}

/// The same id for the same text, always.
fn made_up(text: &str) -> Uuid {
    Rng::derived(0, text).uuid()
}
