//! The least role that would do, for whoever asks which one to assign.

use super::{documented, reaches};
use crate::{Holdings, RoleAssignment, RoleId, RuleSet};

/// From the least to the most powerful. Microsoft gives no order; this one follows how many accounts a role reaches, as
/// Authentication and User Administrator each reach some that the other does not.
const LEAST_FIRST: [RoleId; 6] = [
    documented::PASSWORD,
    documented::HELPDESK,
    documented::AUTHENTICATION,
    RoleId::USER_ADMINISTRATOR,
    RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
    RoleId::GLOBAL_ADMINISTRATOR,
];

/// The least role that, assigned in the whole tenant, lets a caller rotate an account with `holdings`, of the six columns
/// of Microsoft's table
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions#who-can-reset-passwords>).
/// `None` if no role does so: the account is in a restricted management administrative unit.
///
/// ```
/// use rotation_core::{Holdings, RoleAssignment, RoleId, RuleSet, least_role, role_named};
///
/// let mut holdings = Holdings::default();
/// assert_eq!(least_role(&holdings, RuleSet::Strict), role_named("Password Administrator"));
///
/// holdings.roles.push(RoleAssignment::active(RoleId::USER_ADMINISTRATOR));
/// assert_eq!(least_role(&holdings, RuleSet::Documented), Some(RoleId::USER_ADMINISTRATOR));
/// let strictly = RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR;
/// assert_eq!(least_role(&holdings, RuleSet::Strict), Some(strictly));
///
/// holdings.management_restricted = true;
/// assert_eq!(least_role(&holdings, RuleSet::Documented), None);
/// ```
#[must_use]
pub fn least_role(holdings: &Holdings, rules: RuleSet) -> Option<RoleId> {
    LEAST_FIRST
        .into_iter()
        .find(|role| reaches(&RoleAssignment::active(*role), holdings, rules).is_ok())
}
