//! Who may change what on whom, written from Microsoft's documentation alone.
//!
//! Three questions, in this order: does the token carry a permission for the property, is the
//! target shielded by a restricted management unit, and does a role of the caller reach it.

use uuid::Uuid;

use crate::directory::{Grant, Holdings};
use crate::matrix::Callers;
use crate::role::Role;
use crate::switches::Switches;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acting<'a> {
    pub(crate) principal: Uuid,
    pub(crate) app_only: bool,
    /// `roles` of an app-only token, `scp` of a delegated one.
    pub(crate) permissions: &'a [String],
    pub(crate) holdings: Option<&'a Holdings>,
}

/// Whose account it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) principal: Uuid,
    pub(crate) holdings: Option<&'a Holdings>,
}

/// Why not. To the caller Graph says the same for a missing permission and a missing role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Permission,
    RestrictedUnit,
    Role,
}

/// The permission that was made for `passwordProfile`.
const PASSWORD_PROFILE: &str = "User-PasswordProfile.ReadWrite.All";
/// Broad permissions that include it, if a directory role comes with them.
const BROAD: [&str; 2] = ["User.ReadWrite.All", "Directory.ReadWrite.All"];
/// What was documented for delegated callers until 2024 and is still used.
const AS_THE_USER: &str = "Directory.AccessAsUser.All";

impl Acting<'_> {
    pub(crate) fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|granted| granted == permission)
    }

    fn has_any(&self, permissions: &[&str]) -> bool {
        permissions.iter().any(|permission| self.has(permission))
    }

    fn grants(&self) -> &[Grant] {
        self.holdings.map_or(&[], |holdings| &holdings.active)
    }

    /// A role scoped to a unit is useless to a service principal that cannot read the directory.
    fn reads_the_directory(&self) -> bool {
        !self.app_only
            || self.has_any(&["User.Read.All", "Directory.Read.All"])
            || self.has_any(&BROAD)
            || self
                .grants()
                .iter()
                .any(|grant| grant.unit.is_none() && READER_ROLES.contains(&grant.role))
    }
}

const READER_ROLES: [Role; 3] = [
    Role::DIRECTORY_READERS,
    Role::GLOBAL_READER,
    Role::GLOBAL_ADMINISTRATOR,
];

/// May the caller set the target's password?
pub(crate) fn password(
    acting: Acting<'_>,
    target: Target<'_>,
    switches: &Switches,
) -> Result<(), Denial> {
    let delegated_only = !acting.app_only && acting.has(AS_THE_USER);
    if !(acting.has(PASSWORD_PROFILE) || acting.has_any(&BROAD) || delegated_only) {
        return Err(Denial::Permission);
    }
    // One's own password is changed with `changePassword`, which asks for the old one.
    if acting.principal == target.principal {
        return Err(Denial::Role);
    }
    match role_decision(acting, target, switches, Callers::FOR_ORDINARY) {
        Err(Denial::Role) if app_needs_no_role(acting, target, switches) => Ok(()),
        decision => decision,
    }
}

/// May the caller enable or disable the target?
pub(crate) fn account_enabled(
    acting: Acting<'_>,
    target: Target<'_>,
    switches: &Switches,
) -> Result<(), Denial> {
    let narrow = acting.has("User.EnableDisableAccount.All") && acting.has("User.Read.All");
    if !(narrow || acting.has_any(&BROAD)) {
        return Err(Denial::Permission);
    }
    match role_decision(acting, target, switches, Callers::SENSITIVE) {
        // The role is asked for on top only when the target is an administrator.
        Err(Denial::Role) if acting.app_only && is_ordinary(target, switches) => Ok(()),
        decision => decision,
    }
}

/// The newer text of the documentation: the dedicated permission without any role.
fn app_needs_no_role(acting: Acting<'_>, target: Target<'_>, switches: &Switches) -> bool {
    acting.app_only
        && acting.has(PASSWORD_PROFILE)
        && !switches.app_only_password_requires_role
        && (switches.app_only_may_reset_admins || is_ordinary(target, switches))
}

fn is_ordinary(target: Target<'_>, switches: &Switches) -> bool {
    callers_for(target.holdings, switches) == Callers::FOR_ORDINARY
}

/// The roles that protect their holder.
fn counted<'a>(holdings: &'a Holdings, switches: &Switches) -> impl Iterator<Item = &'a Grant> {
    let eligible: &[Grant] = if switches.eligible_roles_count {
        &holdings.eligible
    } else {
        &[]
    };
    holdings.active.iter().chain(eligible)
}

/// The columns that every row of the target allows.
fn callers_for(holdings: Option<&Holdings>, switches: &Switches) -> Callers {
    let Some(holdings) = holdings else {
        return Callers::FOR_ORDINARY;
    };
    let by_roles = counted(holdings, switches).fold(Callers::FOR_ORDINARY, |callers, grant| {
        let row = Callers::for_target_role(grant.role);
        let row = if grant.restricted {
            row.and(Callers::FOR_PROTECTED)
        } else {
            row
        };
        callers.and(row)
    });
    let in_group = holdings.in_role_assignable_group
        || (switches.eligible_roles_count && holdings.eligible_for_role_assignable_group);
    if in_group {
        by_roles.and(Callers::FOR_PROTECTED)
    } else {
        by_roles
    }
}

/// Does any active role of the caller, as far as it is among `columns`, reach the target?
fn role_decision(
    acting: Acting<'_>,
    target: Target<'_>,
    switches: &Switches,
    columns: Callers,
) -> Result<(), Denial> {
    let allowed = callers_for(target.holdings, switches).and(columns);
    let (units, restricted): (&[Uuid], &[Uuid]) = target.holdings.map_or((&[], &[]), |holdings| {
        (&holdings.units, &holdings.restricted_units)
    });
    // Documented deadlock: nobody reaches a Global Administrator in there until taken out.
    if !restricted.is_empty() && holds_global_administrator(target, switches) {
        return Err(Denial::RestrictedUnit);
    }
    let reaches = |grant: &Grant| match grant.unit {
        // Tenant-wide roles stop at a restricted unit, Global Administrator included.
        None => restricted.is_empty() && !Callers::column(grant.role).and(allowed).is_empty(),
        Some(unit) => {
            let inside = if restricted.is_empty() {
                units.contains(&unit)
            } else {
                restricted.contains(&unit)
            };
            inside
                && acting.reads_the_directory()
                && unit_scoped_role_reaches(grant.role, target, allowed, columns, switches)
        }
    };
    if acting.grants().iter().any(reaches) {
        Ok(())
    } else if restricted.is_empty() {
        Err(Denial::Role)
    } else {
        Err(Denial::RestrictedUnit)
    }
}

fn holds_global_administrator(target: Target<'_>, switches: &Switches) -> bool {
    target.holdings.is_some_and(|holdings| {
        counted(holdings, switches).any(|grant| grant.role == Role::GLOBAL_ADMINISTRATOR)
    })
}

/// At unit scope, members who hold an administrator role are out of reach.
fn unit_scoped_role_reaches(
    role: Role,
    target: Target<'_>,
    allowed: Callers,
    columns: Callers,
    switches: &Switches,
) -> bool {
    let column = Callers::column(role).and(columns);
    match role {
        Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
            if switches.unit_scoped_privileged_auth_admin_resets_anyone =>
        {
            !column.and(allowed).is_empty()
        }
        Role::USER_ADMINISTRATOR if switches.unit_scoped_user_admin_resets_limited_admins => {
            !column.and(allowed).is_empty()
        }
        Role::AUTHENTICATION_ADMINISTRATOR
        | Role::HELPDESK_ADMINISTRATOR
        | Role::PASSWORD_ADMINISTRATOR
        | Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR
        | Role::USER_ADMINISTRATOR => !column.is_empty() && is_ordinary(target, switches),
        // Every other role that resets passwords exists for the whole tenant only.
        _ => false,
    }
}
