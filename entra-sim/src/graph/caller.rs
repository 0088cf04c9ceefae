//! Who calls, from the bearer token.

use std::sync::Arc;

use uuid::Uuid;

use super::GraphError;
use crate::directory::Directory;
use crate::token::Claims;
use crate::world::World;

/// The identity behind a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) directory: Arc<Directory>,
    /// Object id of the service principal, or of the signed-in user.
    pub(crate) principal: Uuid,
    pub(crate) client_id: Uuid,
    pub(crate) app_only: bool,
    /// As frozen in the token: `roles`, or `scp` of a user.
    pub(crate) permissions: Vec<String>,
}

impl Caller {
    /// Reads an `Authorization` header.
    pub(crate) fn authenticate(world: &World, header: Option<&str>) -> Result<Self, GraphError> {
        let token = header
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        if token.is_empty() {
            return Err(GraphError::unauthenticated("Access token is empty."));
        }
        let unreadable =
            || GraphError::unauthenticated("CompactToken parsing failed with error code: 80049217");
        let claims: Claims = world.signer.verify(token).ok_or_else(unreadable)?;
        let now = world.clock.now().as_second();
        if now < claims.nbf || claims.exp <= now {
            return Err(GraphError::expired_token());
        }
        let directory = world.tenant_by_id(claims.tid).ok_or_else(unreadable)?;
        let app_only = claims.idtyp == "app";
        let permissions = if app_only {
            claims.roles.unwrap_or_default()
        } else {
            let scopes = claims.scp.unwrap_or_default();
            scopes.split_whitespace().map(str::to_owned).collect()
        };
        Ok(Self {
            directory: Arc::clone(directory),
            principal: claims.oid,
            client_id: claims.appid,
            app_only,
            permissions,
        })
    }
}
