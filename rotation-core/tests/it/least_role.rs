//! The least role that would do, on every row of Microsoft's matrix and on every pair of rows.

use rotation_core::{
    Account, AccountId, Holdings, RoleAssignment, RoleId, RuleSet, Scope, UnitId, least_role,
    role_named,
};

use crate::capability_matrix::{accounts, caller, is_allowed, json};

/// In the order of the customer.
fn roles() -> [RoleId; 6] {
    [
        "Password Administrator",
        "Helpdesk Administrator",
        "Authentication Administrator",
        "User Administrator",
        "Privileged Authentication Administrator",
        "Global Administrator",
    ]
    .map(|name| role_named(name).unwrap())
}

fn holding(holdings: Holdings) -> Account {
    Account::new(AccountId::new("1"), "ada@contoso.com").holding(holdings)
}

fn both(one: &Holdings, other: &Holdings) -> Holdings {
    let mut both = one.clone();
    both.roles.extend(other.roles.iter().cloned());
    both.member_of_role_assignable_group |= other.member_of_role_assignable_group;
    both.owner_of_role_assignable_group |= other.owner_of_role_assignable_group;
    both
}

/// It is allowed, and none before it in the order is.
fn check(holdings: Holdings, rules: RuleSet) -> Option<RoleId> {
    let least = least_role(&holdings, rules);
    let account = holding(holdings);
    for role in roles() {
        let allowed = is_allowed(&caller(role), &account, rules);
        if Some(role) == least {
            assert!(allowed, "{role} does not reach {account:?} by {rules:?}");
            return least;
        }
        assert!(!allowed, "{role} is enough for {account:?} by {rules:?}");
    }
    assert_eq!(least, None, "not one of the six");
    None
}

#[test]
fn no_lesser_role_would_do_for_any_row_or_pair_of_rows() {
    let rows: Vec<Holdings> = json()["targets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(accounts)
        .map(|account| account.holdings.unwrap())
        .collect();
    let mut named = Vec::new();
    for rules in [RuleSet::Strict, RuleSet::Documented] {
        for one in &rows {
            for other in &rows {
                named.push(check(both(one, other), rules).expect("no unit in the way"));
            }
        }
    }
    // Global Administrator is never the least: Privileged Authentication Administrator reaches the same accounts.
    for role in &roles()[..5] {
        assert!(named.contains(role), "{role} is never the least");
    }
}

#[test]
fn a_restricted_unit_leaves_no_tenant_wide_role() {
    for rules in [RuleSet::Strict, RuleSet::Documented] {
        let mut holdings = Holdings::default();
        holdings.management_restricted = true;
        holdings.units.push(UnitId::new("restricted"));
        assert_eq!(check(holdings, rules), None);
    }
}

#[test]
fn an_unlisted_role_needs_the_strongest_but_one() {
    let unit = Scope::Unit {
        id: UnitId::new("u"),
        restricted: false,
    };
    let mut holdings = Holdings::default();
    let reader = role_named("Global Reader").unwrap();
    holdings
        .roles
        .push(RoleAssignment::eligible(reader).within(unit));
    for rules in [RuleSet::Strict, RuleSet::Documented] {
        let least = check(holdings.clone(), rules);
        assert_eq!(least, Some(RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR));
    }
}
