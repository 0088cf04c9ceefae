//! What is asked of Graph, each with the least permission that it takes.

/// What a read is for, and the permission that it takes, for its error.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "backends have needs of their own"
)]
pub struct Need {
    /// Completes "cannot …".
    pub to: &'static str,
    /// The least permission that Microsoft documents for it.
    pub permission: &'static str,
    /// Whether only tenants with Privileged Identity Management can answer.
    pub pim: bool,
}

const fn need(to: &'static str, permission: &'static str) -> Need {
    Need {
        to,
        permission,
        pim: false,
    }
}

const fn pim(to: &'static str, permission: &'static str) -> Need {
    Need {
        to,
        permission,
        pim: true,
    }
}

/// <https://learn.microsoft.com/graph/api/user-list>
pub const READ_USERS: Need = need("read the accounts", "User.Read.All");

/// <https://learn.microsoft.com/graph/api/domain-list>
pub const READ_DOMAINS: Need = need("read the tenant's domains", "Domain.Read.All");

/// <https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments>
pub const READ_ASSIGNMENTS: Need =
    need("read the role assignments", "RoleManagement.Read.Directory");

/// <https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityscheduleinstances>, where
/// RoleEligibilitySchedule.Read.Directory would be less, were it not that reading the assignments takes this one anyway.
pub const READ_ELIGIBILITIES: Need = pim("read the eligible roles", READ_ASSIGNMENTS.permission);

/// <https://learn.microsoft.com/graph/api/group-list-members>
pub const READ_GROUPS: Need = need("read the role-assignable groups", "GroupMember.Read.All");

/// <https://learn.microsoft.com/graph/api/privilegedaccessgroup-list-eligibilityscheduleinstances>
pub const READ_ELIGIBLE: Need = pim(
    "read who is eligible for role-assignable groups",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
);

/// <https://learn.microsoft.com/graph/api/directory-list-administrativeunits>
pub const READ_UNITS: Need = need(
    "read the administrative units",
    "AdministrativeUnit.Read.All",
);

/// <https://learn.microsoft.com/graph/api/user-get>
pub(crate) const READ_CHANGE: Need = need("read when a password was changed", "User.Read.All");

/// <https://learn.microsoft.com/graph/api/user-get>
pub(crate) const READ_SYNCED: Need = need("read where an account is synced from", "User.Read.All");
