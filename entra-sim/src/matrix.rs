//! "Who can reset passwords", as bits: a row says which callers may touch a target that holds it.
//!
//! Written from the table and the sentences below it at
//! <https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions#who-can-reset-passwords>.

use crate::role::Role;

/// A set of caller columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callers(u8);

const PASSWORD: u8 = 1;
const HELPDESK: u8 = 1 << 1;
const AUTHENTICATION: u8 = 1 << 2;
const USER: u8 = 1 << 3;
const PRIVILEGED_AUTHENTICATION: u8 = 1 << 4;
const GLOBAL: u8 = 1 << 5;
/// Security Administrator, Security Operator, Entra SOC Identity Responder and Partner Tier1
/// Support: accounts of non-administrators only.
const NON_ADMINS_ONLY: u8 = 1 << 6;
/// Partner Tier2 Support, deprecated, everybody.
const PARTNER_TIER2: u8 = 1 << 7;

const TOP: u8 = PRIVILEGED_AUTHENTICATION | GLOBAL | PARTNER_TIER2;
const ALL_COLUMNS: u8 = PASSWORD | HELPDESK | AUTHENTICATION | USER | TOP;

impl Callers {
    /// Row "no role": every caller of the table.
    pub(crate) const FOR_ORDINARY: Self = Self(ALL_COLUMNS | NON_ADMINS_ONLY);
    /// Rows "member or owner of a role-assignable group", "role scoped to a restricted
    /// management administrative unit", "any other role".
    pub(crate) const FOR_PROTECTED: Self = Self(TOP);
    /// The callers of "who can perform sensitive actions", `accountEnabled` among them.
    pub(crate) const SENSITIVE: Self =
        Self(AUTHENTICATION | USER | PRIVILEGED_AUTHENTICATION | GLOBAL);

    /// The column of a caller's role.
    pub(crate) fn column(role: Role) -> Self {
        Self(match role {
            Role::PASSWORD_ADMINISTRATOR => PASSWORD,
            Role::HELPDESK_ADMINISTRATOR => HELPDESK,
            Role::AUTHENTICATION_ADMINISTRATOR => AUTHENTICATION,
            Role::USER_ADMINISTRATOR => USER,
            Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR => PRIVILEGED_AUTHENTICATION,
            Role::GLOBAL_ADMINISTRATOR => GLOBAL,
            Role::SECURITY_ADMINISTRATOR
            | Role::SECURITY_OPERATOR
            | Role::ENTRA_SOC_IDENTITY_RESPONDER
            | Role::PARTNER_TIER1_SUPPORT => NON_ADMINS_ONLY,
            Role::PARTNER_TIER2_SUPPORT => PARTNER_TIER2,
            _ => 0,
        })
    }

    /// The row of a role that the target holds.
    pub(crate) fn for_target_role(role: Role) -> Self {
        Self(match role {
            Role::DIRECTORY_READERS | Role::GUEST_INVITER | Role::PASSWORD_ADMINISTRATOR => {
                ALL_COLUMNS
            }
            Role::MESSAGE_CENTER_READER
            | Role::REPORTS_READER
            | Role::USAGE_SUMMARY_REPORTS_READER
            | Role::USER_EXPERIENCE_SUCCESS_MANAGER => HELPDESK | AUTHENTICATION | USER | TOP,
            Role::HELPDESK_ADMINISTRATOR => HELPDESK | USER | TOP,
            Role::AUTHENTICATION_ADMINISTRATOR => AUTHENTICATION | TOP,
            Role::GROUPS_ADMINISTRATOR | Role::USER_ADMINISTRATOR => USER | TOP,
            // Privileged Role, Privileged Authentication and Global Administrator have rows of
            // their own that read like that of any other role.
            _ => TOP,
        })
    }

    /// The callers in both sets: a target that matches several rows needs all of them.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}
