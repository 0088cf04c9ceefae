//! What Microsoft does not document, as switches; the defaults are the stricter reading.

use std::time::Duration;

/// What a password PATCH on a target that Entra cannot serve answers.
///
/// That it is refused is documented or common sense, the status is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unserved {
    /// 204, and the password is set.
    Accept,
    /// 400 `Request_BadRequest`.
    BadRequest,
    /// 403 `Authorization_RequestDenied`.
    Forbidden,
}

/// The undocumented behaviours of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switches {
    /// An app-only caller needs a directory role besides its permission to set passwords.
    /// `false`: `User-PasswordProfile.ReadWrite.All` alone is enough, as the newer text says.
    pub app_only_password_requires_role: bool,
    /// With the switch above off: an app without a role may reset administrators too.
    pub app_only_may_reset_admins: bool,
    /// PIM-eligible roles, and eligibility for a role-assignable group, protect their holder.
    pub eligible_roles_count: bool,
    /// A User Administrator scoped to a unit may reset the unit's members who hold the roles
    /// that a tenant-wide User Administrator may reset, instead of members without role only.
    pub unit_scoped_user_admin_resets_limited_admins: bool,
    /// A Privileged Authentication Administrator scoped to a unit may reset every member.
    /// On by default, because the role's own description says "any user".
    pub unit_scoped_privileged_auth_admin_resets_anyone: bool,
    /// Banned passwords and names are refused in an administrator's PATCH too.
    pub banned_password_check: bool,
    /// A password that contains the part of the UPN before the `@` is refused.
    pub user_name_check: bool,
    /// A space counts as a symbol.
    pub space_is_symbol: bool,
    /// What an omitted `forceChangePasswordNextSignIn` means.
    pub force_change_by_default: bool,
    /// Setting the password of an account synchronised from on-premises.
    pub synced_target: Unserved,
    /// Setting the password of an account in a federated domain.
    pub federated_target: Unserved,
    /// Setting the password of a guest whose credential lives elsewhere.
    pub guest_target: Unserved,
    /// A disabled account is told so before its password is looked at.
    pub disabled_before_password: bool,
    /// Apps on their own may read delegated administration customers and relationships, as the newest pages say, and not
    /// people alone.
    pub app_only_reads_relationships: bool,
    /// `roleAssignments` without a `$filter` is refused.
    pub role_assignments_require_filter: bool,
    /// The longest active assignment that Privileged Identity Management lets an administrator make, by its settings for the
    /// role; `None`: also one without an end, as the settings are at first.
    pub longest_assignment: Option<Duration>,
    /// The tenant has Entra ID P1: groups can be made role-assignable. What is answered without it is not documented.
    pub premium_p1: bool,
    /// The tenant has Entra ID P2: the PIM endpoints work.
    pub premium_p2: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            app_only_password_requires_role: true,
            app_only_may_reset_admins: false,
            eligible_roles_count: true,
            unit_scoped_user_admin_resets_limited_admins: false,
            unit_scoped_privileged_auth_admin_resets_anyone: true,
            banned_password_check: true,
            user_name_check: false,
            space_is_symbol: false,
            force_change_by_default: true,
            synced_target: Unserved::BadRequest,
            federated_target: Unserved::BadRequest,
            guest_target: Unserved::BadRequest,
            disabled_before_password: true,
            app_only_reads_relationships: false,
            role_assignments_require_filter: false,
            longest_assignment: None,
            premium_p1: true,
            premium_p2: true,
        }
    }
}
