//! The page on which an administrator consents to what an app's registration asks for. Who opens it is taken for an
//! administrator who agrees: there is no browser here to ask.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>

use std::sync::Arc;

use axum::http::{StatusCode, header};
use url::form_urlencoded;
use uuid::Uuid;

use super::{AadSts, named_tenant};
use crate::reply::Reply;
use crate::world::World;

/// Answers `GET /{tenant}/adminconsent?client_id=…`.
pub(crate) fn admin_consent(world: &World, tenant: &str, query: &str) -> Reply {
    consented(world, tenant, query).unwrap_or_else(|error| error.reply(world.clock.now(), None))
}

fn consented(world: &World, tenant: &str, query: &str) -> Result<Reply, AadSts> {
    let parameter = |name: &str| {
        let mut all = form_urlencoded::parse(query.as_bytes());
        all.find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let directory = named_tenant(world, tenant)?;
    let client_id = parameter("client_id").unwrap_or_default();
    let id = Uuid::try_parse(&client_id).ok();
    let registered = id.and_then(|id| world.registration(id));
    let registered = registered.ok_or_else(|| AadSts::AppNotFound {
        client_id: client_id.into_owned(),
        tenant: directory.display_name.clone(),
    })?;
    let app = &registered.app;
    directory.bring_in(app);
    directory.change_service_principals(|apps| {
        let mut apps = apps.iter_mut();
        if let Some(here) = apps.find(|here| here.client_id == app.client_id) {
            let granted = &mut Arc::make_mut(here).permissions;
            for permission in &app.required {
                if !granted.contains(permission) {
                    granted.push(permission.clone());
                }
            }
        }
    });
    let outcome = form_urlencoded::Serializer::new(String::new())
        .append_pair("tenant", &directory.id.to_string())
        .append_pair("state", &parameter("state").unwrap_or_default())
        .append_pair("admin_consent", "True")
        .finish();
    Ok(match parameter("redirect_uri") {
        Some(target) => {
            let location = format!("{target}?{outcome}");
            Reply::empty(StatusCode::FOUND).header(header::LOCATION, &location)
        }
        None => Reply::text(StatusCode::OK, "text/plain", outcome),
    })
}
