//! Everything there is to say on whether a caller may act on an account, for a person who wants to know why.

use super::{
    Capability, Denial, Refused, RuleSet, by_roles, capability, documented, reaches, works,
};
use crate::{Account, Caller, RoleAssignment};

/// Why a caller may rotate an account, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether its roles let it rotate the account: what [`capability`] says.
    pub rotate: Capability,
    /// Whether its roles let it enable and disable the account, which is another right.
    pub enable: Capability,
    /// What each of its roles comes to for rotating.
    pub roles: Vec<RoleVerdict>,
}

/// What one role of a caller comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleVerdict {
    /// The role. One that the caller is only eligible for is judged as if it were activated.
    pub held: RoleAssignment,
    /// Whether it lets the caller rotate the account.
    pub verdict: Verdict,
}

/// Whether a role lets its holder rotate an account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "yes, no, or neither")]
pub enum Verdict {
    /// It does.
    Allows,
    /// It lets its holder rotate accounts, but not this one.
    Denies(Denial),
    /// It has nothing to do with passwords.
    Unrelated,
}

/// Why `caller` may rotate `account` by `rules`, or not. Permissions of the token are another matter, as for
/// [`capability`].
///
/// ```
/// use rotation_core::{Account, AccountId, Caller, Capability, Holdings, RoleAssignment, RoleId, RuleSet, TenantId, Verdict, explain};
///
/// let mut caller = Caller::app_only(TenantId::new("contoso"), AccountId::new("app"));
/// caller.roles.push(RoleAssignment::eligible(RoleId::USER_ADMINISTRATOR));
/// let ada = Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
/// let explanation = explain(&caller, &ada, RuleSet::Strict);
/// assert!(matches!(explanation.rotate, Capability::Denied { .. }), "the role is not active");
/// assert_eq!(explanation.roles[0].verdict, Verdict::Allows, "it would do");
/// ```
#[must_use]
pub fn explain(caller: &Caller, account: &Account, rules: RuleSet) -> Explanation {
    let each = |held: &RoleAssignment| RoleVerdict {
        held: held.clone(),
        verdict: match account
            .holdings
            .as_ref()
            .map(|holdings| reaches(held, holdings, rules).and_then(|()| works(held, caller)))
        {
            Some(Ok(())) => Verdict::Allows,
            Some(Err(Refused::Because(because))) => Verdict::Denies(because),
            Some(Err(Refused::NotACaller)) => Verdict::Unrelated,
            None => Verdict::Denies(Denial::RolesUnknown),
        },
    };
    Explanation {
        rotate: capability(caller, account, rules),
        enable: by_roles(caller, account, rules, documented::enables_accounts),
        roles: caller.roles.iter().map(each).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Holdings, RoleId, TenantId, role_named};

    fn caller(role: &str) -> Caller {
        let mut caller = Caller::app_only(TenantId::new("t"), AccountId::new("app"));
        let role = role_named(role).unwrap();
        caller.roles.push(RoleAssignment::active(role));
        caller
    }

    #[test]
    fn a_password_administrator_rotates_what_it_cannot_disable() {
        let account = Account::new(AccountId::new("1"), "a").holding(Holdings::default());
        for (role, rotates, enables) in [
            ("Password Administrator", true, false),
            ("Helpdesk Administrator", true, false),
            ("Authentication Administrator", true, true),
            ("User Administrator", true, true),
            ("Privileged Authentication Administrator", true, true),
            ("Global Administrator", true, true),
            ("Global Reader", false, false),
        ] {
            let explanation = explain(&caller(role), &account, RuleSet::Documented);
            let allowed = |capability| matches!(capability, Capability::Allowed { .. });
            let found = (allowed(explanation.rotate), allowed(explanation.enable));
            assert_eq!(found, (rotates, enables), "{role}");
        }
    }

    #[test]
    fn each_role_has_its_own_reason() {
        let mut holdings = Holdings::default();
        let held = RoleAssignment::active(RoleId::USER_ADMINISTRATOR);
        holdings.roles.push(held);
        let account = Account::new(AccountId::new("1"), "a").holding(holdings);
        let mut caller = caller("Global Reader");
        let roles = ["Helpdesk Administrator", "Global Administrator"];
        for role in roles.map(|name| role_named(name).unwrap()) {
            caller.roles.push(RoleAssignment::eligible(role));
        }
        let verdicts = explain(&caller, &account, RuleSet::Strict).roles;
        let verdicts: Vec<_> = verdicts.into_iter().map(|each| each.verdict).collect();
        let [Verdict::Unrelated, Verdict::Denies(denial), Verdict::Allows] = verdicts.as_slice()
        else {
            panic!("{verdicts:?}");
        };
        assert!(matches!(denial, Denial::TargetRole { .. }), "{denial}");
    }
}
