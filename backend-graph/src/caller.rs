use std::sync::Arc;

use rotation_core::{AccountId, BackendError, Caller, TenantId};

use crate::claims;
use crate::client::Client;
use crate::roles::Roles;

/// Who we are: tenant, identity and permissions from the token, roles from the directory.
pub(crate) async fn caller(client: &Arc<Client>, pim: bool) -> Result<Caller, BackendError> {
    let claims = claims::read(client).await?;
    let roles = Roles::read(client, pim).await?;
    let tenant = TenantId::new(&claims.tid.to_string());
    let mut caller = Caller::app_only(tenant, AccountId::new(&claims.oid.to_string()));
    caller.kind = claims.kind();
    caller.permissions = claims.permissions();
    caller.roles = roles.of(claims.oid).to_vec();
    Ok(caller)
}
