//! Who calls, from the bearer token.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

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
    /// The partner's tenant that has the account of the user, if that is another.
    pub(crate) partner: Option<Arc<Directory>>,
    /// As frozen in the token: `roles`, or `scp` of a user.
    pub(crate) permissions: Vec<String>,
    not_before: i64,
    expires: i64,
}

/// The callers whose tokens were read lately, as reading one takes longer than all the rest of a request.
#[derive(Default)]
pub(crate) struct Callers(RwLock<HashMap<Box<str>, Known>>);

struct Known {
    token: Box<str>,
    caller: Arc<Caller>,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").finish_non_exhaustive()
    }
}

impl Callers {
    const MOST: usize = 10_000;

    /// Reads an `Authorization` header.
    pub(crate) fn authenticate(
        &self,
        world: &World,
        header: Option<&str>,
    ) -> Result<Arc<Caller>, GraphError> {
        let token = header
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        if token.is_empty() {
            return Err(GraphError::unauthenticated("Access token is empty."));
        }
        // Its end is the signature, which is enough to find it by.
        let signature = token.rsplit('.').next().unwrap_or_default();
        let caller = match self.known(signature, token) {
            Some(caller) => caller,
            None => self.remember(signature, token, Caller::read(world, token)?),
        };
        let now = world.clock.now().as_second();
        if now < caller.not_before || caller.expires <= now {
            return Err(GraphError::expired_token());
        }
        Ok(caller)
    }

    fn known(&self, signature: &str, token: &str) -> Option<Arc<Caller>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(signature).filter(|known| *known.token == *token);
        known.map(|known| Arc::clone(&known.caller))
    }

    fn remember(&self, signature: &str, token: &str, caller: Caller) -> Arc<Caller> {
        let caller = Arc::new(caller);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        let entry = Known {
            token: token.into(),
            caller: Arc::clone(&caller),
        };
        known.insert(signature.into(), entry);
        caller
    }
}

impl Caller {
    /// Reads a token, good or not any longer.
    fn read(world: &World, token: &str) -> Result<Self, GraphError> {
        let unreadable =
            || GraphError::unauthenticated("CompactToken parsing failed with error code: 80049217");
        let claims: Claims = world.signer.verify(token).ok_or_else(unreadable)?;
        let directory = world.tenant_by_id(claims.tid).ok_or_else(unreadable)?;
        let partner = claims.partner().and_then(|home| world.tenant_by_id(home));
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
            partner: partner.map(Arc::clone),
            permissions,
            not_before: claims.nbf,
            expires: claims.exp,
        })
    }
}
