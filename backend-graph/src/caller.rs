use std::collections::BTreeSet;
use std::sync::Arc;

use rotation_core::{
    AccountId, BackendError, Caller, CallerKind, RoleAssignment, RoleId, TenantId,
};

use crate::claims;
use crate::client::Client;
use crate::roles;

/// Who we are: tenant, identity and permissions from the token, roles from the directory.
/// `partner_roles` come on top, for a person: the directory lists what a partner's person may do there under a group of
/// another tenant.
pub(crate) async fn caller(
    client: &Arc<Client>,
    pim: bool,
    partner_roles: &BTreeSet<RoleId>,
) -> Result<Caller, BackendError> {
    let claims = claims::read(client).await?;
    let roles = roles::read(client, pim).await?;
    let tenant = TenantId::new(&claims.tid.to_string());
    let mut caller = Caller::app_only(tenant, AccountId::new(&claims.oid.to_string()));
    caller.kind = claims.kind();
    caller.permissions = claims.permissions();
    caller.roles = roles.of(claims.oid).to_vec();
    if caller.kind == CallerKind::Delegated {
        let by_partner = partner_roles.iter().copied().map(RoleAssignment::active);
        caller.roles.extend(by_partner);
    }
    Ok(caller)
}
