//! Which permission opens which endpoint, least privileged first.

use axum::http::StatusCode;

use super::{Call, GraphError};
use crate::directory::Holdings;
use crate::role::Role;

pub(crate) const USERS: &[&str] = &[
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
/// Permissions that show only the basic profile of users.
pub(crate) const USERS_BASIC: &[&str] = &[
    "User.ReadBasic.All",
    "User-PasswordProfile.ReadWrite.All",
    "User.EnableDisableAccount.All",
];
pub(crate) const DOMAINS: &[&str] = &[
    "Domain.Read.All",
    "Domain.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const ORGANIZATION: &[&str] = &[
    "Organization.Read.All",
    "Organization.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const GROUPS: &[&str] = &[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const UNITS: &[&str] = &[
    "AdministrativeUnit.Read.All",
    "AdministrativeUnit.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const APPLICATIONS: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const CONTRACTS: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];
pub(crate) const RELATIONSHIPS: &[&str] = &[
    "DelegatedAdminRelationship.Read.All",
    "DelegatedAdminRelationship.ReadWrite.All",
];
pub(crate) const ROLES: &[&str] = &[
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
pub(crate) const ROLE_ELIGIBILITY: &[&str] = &[
    "RoleEligibilitySchedule.Read.Directory",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
];
pub(crate) const ROLE_ASSIGNMENT_SCHEDULES: &[&str] = &[
    "RoleAssignmentSchedule.Read.Directory",
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
];
pub(crate) const GROUP_ELIGIBILITY: &[&str] = &[
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
    "PrivilegedAccess.Read.AzureADGroup",
    "PrivilegedAccess.ReadWrite.AzureADGroup",
];

pub(crate) const CREATE_APPS: &[&str] = &["Application.ReadWrite.All", "Directory.ReadWrite.All"];
pub(crate) const GRANT_APP_ROLES: &[&str] = &["AppRoleAssignment.ReadWrite.All"];
pub(crate) const ASSIGN_ROLES: &[&str] = &["RoleManagement.ReadWrite.Directory"];
pub(crate) const REQUEST_ASSIGNMENTS: &[&str] = &[
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
];
pub(crate) const CREATE_GROUPS: &[&str] = &["Group.ReadWrite.All", "Directory.ReadWrite.All"];
pub(crate) const CHANGE_MEMBERS: &[&str] = &[
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.ReadWrite.All",
];

/// Roles one of which a signed-in user needs to create or delete service principals, besides the permission.
pub(crate) const DELEGATED_APP_CREATORS: &[Role] = &[
    Role::APPLICATION_ADMINISTRATOR,
    Role::CLOUD_APPLICATION_ADMINISTRATOR,
    Role::GLOBAL_ADMINISTRATOR,
];
/// The same to grant permissions of Microsoft Graph, to assign roles, and for role-assignable groups.
pub(crate) const DELEGATED_ROLE_ASSIGNERS: &[Role] = &[
    Role::PRIVILEGED_ROLE_ADMINISTRATOR,
    Role::GLOBAL_ADMINISTRATOR,
];
/// Roles one of which a signed-in user needs to read roles, besides the permission.
const DELEGATED_ROLE_READERS: &[Role] = &[
    Role::DIRECTORY_READERS,
    Role::GLOBAL_READER,
    Role::PRIVILEGED_ROLE_ADMINISTRATOR,
    Role::GLOBAL_ADMINISTRATOR,
];
/// The same for the schedules of PIM.
const DELEGATED_PIM_READERS: &[Role] = &[
    Role::GLOBAL_READER,
    Role::SECURITY_OPERATOR,
    Role::SECURITY_ADMINISTRATOR,
    Role::PRIVILEGED_ROLE_ADMINISTRATOR,
    Role::GLOBAL_ADMINISTRATOR,
];

impl Call<'_> {
    /// Refuses a caller that has none of the permissions.
    pub(crate) fn require(&self, permissions: &[&str]) -> Result<(), GraphError> {
        if self.has_any(permissions) {
            Ok(())
        } else {
            Err(GraphError::denied())
        }
    }

    pub(crate) fn has_any(&self, permissions: &[&str]) -> bool {
        self.caller
            .permissions
            .iter()
            .any(|granted| permissions.contains(&granted.as_str()))
    }

    /// Refuses a caller that may not read role assignments and definitions.
    pub(crate) fn require_role_reader(&self) -> Result<(), GraphError> {
        self.require(ROLES)?;
        self.require_delegated_role(DELEGATED_ROLE_READERS)
    }

    /// Refuses a caller that may not read PIM schedules, and any caller without Entra ID P2.
    pub(crate) fn require_pim_reader(&self, permissions: &[&str]) -> Result<(), GraphError> {
        self.require(permissions)?;
        self.require_delegated_role(DELEGATED_PIM_READERS)?;
        self.require_pim()
    }

    /// Refuses any caller without Entra ID P2.
    pub(crate) fn require_pim(&self) -> Result<(), GraphError> {
        if self.directory.switches.premium_p2 {
            Ok(())
        } else {
            Err(GraphError::new(
                StatusCode::BAD_REQUEST,
                "AadPremiumLicenseRequired",
                "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.",
            ))
        }
    }

    /// Refuses a caller that may not read contracts.
    pub(crate) fn require_contract_reader(&self) -> Result<(), GraphError> {
        self.require(CONTRACTS)?;
        self.require_delegated_role(DELEGATED_ROLE_READERS)
    }

    /// What a caller of a partner holds here, now.
    pub(crate) fn holdings_of_partner(&self) -> Option<Holdings> {
        let caller = self.caller;
        let partner = caller.partner.as_deref()?;
        let holdings = self
            .world
            .partner_holdings(partner, caller.principal, self.directory);
        Some(holdings)
    }

    /// Refuses a signed-in user who holds none of `roles` tenant-wide; an app needs no role.
    pub(crate) fn require_delegated_role(&self, roles: &[Role]) -> Result<(), GraphError> {
        let of_partner = self.holdings_of_partner();
        let access = self.directory.access();
        let held = of_partner.as_ref();
        let held = held.or_else(|| access.holdings(self.caller.principal));
        let held = held.is_some_and(|held| {
            held.active
                .iter()
                .any(|grant| grant.unit.is_none() && roles.contains(&grant.role))
        });
        if self.caller.app_only || held {
            Ok(())
        } else {
            Err(GraphError::denied())
        }
    }
}
