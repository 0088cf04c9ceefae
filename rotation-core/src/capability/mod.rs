//! Who may rotate whom: a pure function of caller and account, with its reason.
//!
//! [`documented`] is Microsoft's matrix; [`strict`] narrows it. The permission to set passwords is another matter, the same
//! for every account: see [`Caller::may_set_passwords`].

mod documented;
mod explain;
mod least_role;
mod strict;

pub use explain::{Explanation, RoleVerdict, Verdict, explain};
pub use least_role::least_role;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Account, AssignmentState, Caller, Holdings, RoleAssignment, RoleId, Scope};

/// Which rules decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RuleSet {
    /// Exactly Microsoft's "who can reset passwords" matrix, with scoped assignments and restricted units
    /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions#who-can-reset-passwords>).
    Documented,
    /// Microsoft's matrix, and in addition: only Global Administrator and Privileged Authentication Administrator
    /// touch an account that holds any administrator role, privileged role or tie to a role-assignable group, and a role
    /// scoped to an administrative unit reaches only members without any role.
    #[default]
    Strict,
}

/// Whether a caller may rotate an account, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Capability {
    /// Yes.
    Allowed {
        /// The caller's role that allows it.
        by: RoleId,
    },
    /// No.
    Denied {
        /// The reason.
        because: Denial,
    },
}

/// Why a caller may not rotate an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "denial", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Denial {
    /// The caller's roles that would do are scoped to administrative units, and an application with such a role needs
    /// rights to read the directory besides
    /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/manage-roles-portal>).
    DirectoryUnreadable,
    /// The account is in a restricted management administrative unit that none of the caller's roles is scoped to.
    ManagementRestricted,
    /// No role of the caller that is in force lets it set passwords.
    NoRole {
        /// A role that would, were it activated.
        eligible: Option<RoleId>,
    },
    /// The caller's roles are scoped to administrative units that the account is not in.
    OutOfScope,
    /// The account is a member or owner of a role-assignable group.
    RoleAssignableGroup,
    /// The roles of the account could not be established.
    RolesUnknown,
    /// The account holds a role that the caller's roles do not reach.
    TargetRole {
        /// That role.
        role: RoleId,
        /// Whether it is in force.
        state: AssignmentState,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectoryUnreadable => f.write_str(
                "the caller's role is scoped to an administrative unit and does nothing without rights to read the \
                 directory, such as User.Read.All or Directory Readers",
            ),
            Self::ManagementRestricted => f.write_str(
                "member of a restricted management administrative unit: only a role scoped to that unit reaches it",
            ),
            Self::NoRole { eligible: None } => {
                f.write_str("the caller holds no role that sets passwords, such as User Administrator")
            }
            Self::NoRole { eligible: Some(role) } => {
                write!(f, "the caller is only eligible for {role}: activate it")
            }
            Self::OutOfScope => f.write_str("outside the administrative units that the caller's roles are scoped to"),
            Self::RoleAssignableGroup => f.write_str(
                "member or owner of a role-assignable group: needs Privileged Authentication Administrator",
            ),
            Self::RolesUnknown => f.write_str("its roles could not be established"),
            Self::TargetRole { role, state } => {
                let holds = match state {
                    AssignmentState::Active => "holds",
                    AssignmentState::Eligible => "is eligible for",
                };
                write!(f, "{holds} {role}, which the caller's roles do not reach")
            }
        }
    }
}

/// Whether `caller` may rotate `account` by `rules`.
///
/// ```
/// use rotation_core::{Account, AccountId, Caller, Capability, Holdings, RoleAssignment, RoleId, RuleSet, TenantId, capability};
///
/// let mut caller = Caller::app_only(TenantId::new("contoso"), AccountId::new("app"));
/// caller.roles.push(RoleAssignment::active(RoleId::USER_ADMINISTRATOR));
/// let ada = Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
/// assert_eq!(capability(&caller, &ada, RuleSet::Strict), Capability::Allowed { by: RoleId::USER_ADMINISTRATOR });
/// ```
#[must_use]
pub fn capability(caller: &Caller, account: &Account, rules: RuleSet) -> Capability {
    by_roles(caller, account, rules, documented::sets_passwords)
}

/// What the caller's roles that are `for_it` come to.
fn by_roles(
    caller: &Caller,
    account: &Account,
    rules: RuleSet,
    for_it: impl Fn(RoleId) -> bool,
) -> Capability {
    let Some(holdings) = &account.holdings else {
        return Capability::Denied {
            because: Denial::RolesUnknown,
        };
    };
    let mut reason = None;
    for held in caller.active_roles().filter(|held| for_it(held.role)) {
        match reaches(held, holdings, rules).and_then(|()| works(held, caller)) {
            Ok(()) => return Capability::Allowed { by: held.role },
            Err(Refused::Because(because)) => {
                reason.get_or_insert(because);
            }
            Err(Refused::NotACaller) => {}
        }
    }
    let because = reason.unwrap_or_else(|| Denial::NoRole {
        eligible: eligible_role(caller, for_it),
    });
    Capability::Denied { because }
}

/// Whether `held` reaches an account with `holdings`, as if it were in force.
fn reaches(held: &RoleAssignment, holdings: &Holdings, rules: RuleSet) -> Result<(), Refused> {
    documented::verdict(held, holdings).and_then(|()| match rules {
        RuleSet::Documented => Ok(()),
        RuleSet::Strict => strict::verdict(held, holdings),
    })
}

/// Whether the role that `caller` holds can be put to use.
fn works(held: &RoleAssignment, caller: &Caller) -> Result<(), Refused> {
    if held.scope == Scope::Tenant || caller.reads_the_directory() {
        Ok(())
    } else {
        Err(Refused::Because(Denial::DirectoryUnreadable))
    }
}

/// Why one role of the caller does not reach an account.
#[derive(Debug)]
enum Refused {
    /// The role has nothing to do with passwords.
    NotACaller,
    Because(Denial),
}

fn eligible_role(caller: &Caller, for_it: impl Fn(RoleId) -> bool) -> Option<RoleId> {
    let mut eligible = caller
        .roles
        .iter()
        .filter(|held| held.state == AssignmentState::Eligible);
    eligible
        .find(|held| for_it(held.role))
        .map(|held| held.role)
}

/// Whether `held` is scoped to a unit that an account with `holdings` is a member of.
fn covers(held: &RoleAssignment, holdings: &Holdings) -> bool {
    matches!(&held.scope, Scope::Unit { id, .. } if holdings.units.contains(id))
}
