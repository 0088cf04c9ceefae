//! The default rules: two roles reach every account, all others only ordinary accounts.

use super::{Denial, Refused};
use crate::{Holdings, RoleAssignment, RoleId, Scope};

/// Whether the caller's role `held` reaches an account with `holdings`, given that Microsoft's matrix allows it.
pub(super) fn verdict(held: &RoleAssignment, holdings: &Holdings) -> Result<(), Refused> {
    let any_account = matches!(
        held.role,
        RoleId::GLOBAL_ADMINISTRATOR | RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
    );
    let tenant_wide = held.scope == Scope::Tenant;
    if any_account && tenant_wide {
        return Ok(());
    }
    // Microsoft's pages contradict each other on whom a unit-scoped role reaches; those without any role are certain
    if let Some(admin) = holdings
        .roles
        .iter()
        .find(|target| !tenant_wide || is_administrative(target.role))
    {
        return Err(Refused::Because(Denial::TargetRole {
            role: admin.role,
            state: admin.state,
        }));
    }
    if holdings.member_of_role_assignable_group || holdings.owner_of_role_assignable_group {
        return Err(Refused::Because(Denial::RoleAssignableGroup));
    }
    Ok(())
}

/// A role that we do not know, custom or new, may be anything.
fn is_administrative(role: RoleId) -> bool {
    role.built_in()
        .is_none_or(|role| role.is_privileged || role.display_name.contains("Administrator"))
}
