//! Service principals.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::app_roles::{self, made_up};
use super::filter::Filter;
use super::permission::{APPLICATIONS, CREATE_APPS, DELEGATED_APP_CREATORS};
use super::{Call, GraphError};
use crate::directory::ServicePrincipal;
use crate::reply::Reply;

/// The app id of Microsoft Graph in every tenant.
const GRAPH_APP: Uuid = uuid!("00000003-0000-0000-c000-000000000000");
/// The tenant that Microsoft registers its own apps in.
const MICROSOFT: Uuid = uuid!("f8cdef31-a31e-4b4a-93e4-5f571e91255a");

/// `GET /servicePrincipals`, `/servicePrincipals/{id}` and `/servicePrincipals(appId='…')`
pub(crate) fn list_or_read(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(APPLICATIONS)?;
    let own = call.directory.service_principals();
    let own = own.iter().map(|app| principal(call, app));
    let all = own.chain([graph_itself(call)]);
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

/// `POST /servicePrincipals`: <https://learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals>
pub(crate) fn create(call: &Call<'_>) -> Result<Reply, GraphError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct New {
        app_id: String,
    }
    call.require(CREATE_APPS)?;
    call.require_delegated_role(DELEGATED_APP_CREATORS)?;
    let New { app_id } = call.new_object()?;
    let id = Uuid::try_parse(&app_id).ok();
    let registered = id.and_then(|id| call.world.registration(id));
    let registered = registered.ok_or_else(|| {
        GraphError::bad_request(format!(
            "The appId '{app_id}' of the service principal does not reference a valid application object."
        ))
    })?;
    let app = call.directory.bring_in(&registered.app).ok_or_else(|| {
        GraphError::conflict(format!(
            "The service principal cannot be created, updated, or restored because the service principal name {app_id} is already in use."
        ))
    })?;
    Ok(Reply::json(StatusCode::CREATED, principal(call, &app)))
}

/// `DELETE /servicePrincipals/{id}`, with what it holds:
/// <https://learn.microsoft.com/graph/api/serviceprincipal-delete>
pub(crate) fn delete(call: &Call<'_>) -> Result<Reply, GraphError> {
    call.require(CREATE_APPS)?;
    call.require_delegated_role(DELEGATED_APP_CREATORS)?;
    let app = find(call)?;
    call.directory
        .change_service_principals(|apps| apps.retain(|known| known.id != app.id));
    call.directory.change_access(|access| {
        let is_other = |assigned: Uuid| assigned != app.id;
        access.assignments.retain(|held| is_other(held.principal));
        for group in &mut access.groups {
            group.members.retain(|member| is_other(*member));
        }
    });
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The one that the path names.
pub(crate) fn find(call: &Call<'_>) -> Result<Arc<ServicePrincipal>, GraphError> {
    let (property, wanted) = wanted(&call.route.key);
    let is_it = |app: &Arc<ServicePrincipal>| {
        let id = if property == "id" {
            app.id
        } else {
            app.client_id
        };
        id.to_string() == wanted
    };
    let mut apps = call.directory.service_principals().into_iter();
    apps.find(is_it)
        .ok_or_else(|| GraphError::not_found(&call.route.key))
}

/// The object id of Microsoft Graph in the tenant.
pub(crate) fn graph_id(call: &Call<'_>) -> Uuid {
    made_up(&call.directory.id.to_string())
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

fn principal(call: &Call<'_>, app: &ServicePrincipal) -> Value {
    let registered = call.world.registration(app.client_id);
    json!({
        "id": app.id,
        "accountEnabled": true,
        "appDisplayName": app.display_name,
        "appId": app.client_id,
        "appOwnerOrganizationId": registered.map(|registered| registered.home),
        "appRoles": [],
        "displayName": app.display_name,
        "servicePrincipalType": "Application",
    })
}

/// Microsoft Graph, whose app roles give names to the ids of the assignments.
fn graph_itself(call: &Call<'_>) -> Value {
    let roles: Vec<Value> = app_roles::of(call.directory)
        .into_iter()
        .map(|(name, id)| {
            json!({
                "id": id,
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
        "appOwnerOrganizationId": MICROSOFT,
        "appRoles": roles,
        "displayName": "Microsoft Graph",
        "servicePrincipalType": "Application",
    })
}
