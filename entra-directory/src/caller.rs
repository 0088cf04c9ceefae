use std::sync::Arc;

use rotation_core::{AccountId, BackendError, Caller, TenantId};

use crate::reader::GraphReader;
use crate::roles;

/// Who we are: tenant, identity and permissions from the token, roles from the directory; with `pim`, also those that we are
/// eligible for.
///
/// # Errors
/// [`BackendError`] if any of it cannot be read.
pub async fn caller<G: GraphReader>(graph: &Arc<G>, pim: bool) -> Result<Caller, BackendError> {
    let claims = graph.claims().await?;
    let roles = roles::read(graph, pim).await?;
    let tenant = TenantId::new(&claims.tid.to_string());
    let mut caller = Caller::app_only(tenant, AccountId::new(&claims.oid.to_string()));
    caller.kind = claims.kind();
    caller.permissions = claims.permissions();
    caller.roles = roles.of(claims.oid).to_vec();
    Ok(caller)
}
