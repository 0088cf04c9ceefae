//! The default rules: two roles reach every account, all others only ordinary accounts.

use super::{Denial, Refused};
use crate::{Holdings, RoleAssignment, RoleId, Scope};

/// Whether the caller's role `held` reaches an account with `holdings`, given that Microsoft's matrix allows it.
pub(super) fn verdict(held: &RoleAssignment, holdings: &Holdings) -> Result<(), Refused> {
    let any_account = matches!(
        held.role,
        RoleId::GLOBAL_ADMINISTRATOR | RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
    );
    // Microsoft's pages contradict each other on what a unit-scoped role may do to administrators
    if any_account && held.scope == Scope::Tenant {
        return Ok(());
    }
    if let Some(admin) = holdings
        .roles
        .iter()
        .find(|target| is_administrative(target.role))
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
