//! What Microsoft leaves open, one switch of the simulator each: who is accepted then, foretold from the documented rules.

use entra_sim::Switches;
use rotation_core::{Account, Caller, CallerKind, RoleAssignment, RoleId, Scope, role_named};

use crate::beforehand::documented;
use crate::walk::Pair;

/// The other answer to an open question.
pub(crate) struct Position {
    pub(crate) name: &'static str,
    pub(crate) switch: fn(&mut Switches),
    /// Whether the documented rules still allow nothing that is refused.
    pub(crate) documented_holds: bool,
    /// Exactly who is accepted.
    pub(crate) accepted: fn(&Pair<'_>) -> bool,
}

pub(crate) const POSITIONS: [Position; 5] = [
    Position {
        name: "eligible roles do not count",
        switch: |switches| switches.eligible_roles_count = false,
        documented_holds: true,
        accepted: |pair| documented(pair.caller, pair.active),
    },
    Position {
        name: "a unit-scoped User Administrator resets limited administrators",
        switch: |switches| switches.unit_scoped_user_admin_resets_limited_admins = true,
        documented_holds: true,
        accepted: |pair| {
            documented(pair.caller, pair.account)
                || scoped(pair.caller, RoleId::USER_ADMINISTRATOR)
                    .any(|held| reaches_limited_administrator(pair, held))
        },
    },
    Position {
        name: "a unit-scoped Privileged Authentication Administrator resets no administrator",
        switch: |switches| switches.unit_scoped_privileged_auth_admin_resets_anyone = false,
        documented_holds: false,
        accepted: |pair| documented(&narrowed(pair.caller), pair.account),
    },
    Position {
        name: "an app needs no role for ordinary accounts",
        switch: |switches| switches.app_only_password_requires_role = false,
        documented_holds: true,
        accepted: |pair| {
            documented(pair.caller, pair.account)
                || (needs_no_role(pair) && is_ordinary(pair.account))
        },
    },
    Position {
        name: "an app needs no role at all",
        switch: |switches| {
            switches.app_only_password_requires_role = false;
            switches.app_only_may_reset_admins = true;
        },
        documented_holds: true,
        accepted: |pair| documented(pair.caller, pair.account) || needs_no_role(pair),
    },
];

/// Every combination of answers.
pub(crate) fn set_all(switches: &mut Switches, combination: u32) {
    let bit = |n: u32| combination >> n & 1 == 1;
    switches.app_only_password_requires_role = bit(0);
    switches.app_only_may_reset_admins = bit(1);
    switches.eligible_roles_count = bit(2);
    switches.unit_scoped_user_admin_resets_limited_admins = bit(3);
    switches.unit_scoped_privileged_auth_admin_resets_anyone = bit(4);
}

pub(crate) const COMBINATIONS: u32 = 1 << 5;

/// The combination that the documented rules stand for.
pub(crate) const DOCUMENTED: u32 = 0b10101;

fn is_scoped(held: &RoleAssignment) -> bool {
    matches!(held.scope, Scope::Unit { .. })
}

fn scoped(caller: &Caller, role: RoleId) -> impl Iterator<Item = &RoleAssignment> {
    caller
        .active_roles()
        .filter(move |held| held.role == role && is_scoped(held))
}

fn with_role(caller: &Caller, held: RoleAssignment) -> Caller {
    let mut caller = caller.clone();
    caller.roles = vec![held];
    caller
}

/// As a tenant-wide one, but only within its unit.
fn reaches_limited_administrator(pair: &Pair<'_>, held: &RoleAssignment) -> bool {
    let mut member = pair.account.clone();
    let holdings = member.holdings.as_mut().unwrap();
    holdings.roles.clear();
    holdings.member_of_role_assignable_group = false;
    holdings.owner_of_role_assignable_group = false;
    let mut caller = pair.caller.clone();
    // a role by which an app reads the directory stays; where Global Administrator reaches too, nothing is left to foretell
    let reads = ["Directory Readers", "Global Administrator", "Global Reader"];
    let reads = reads.map(|name| role_named(name).unwrap());
    caller
        .roles
        .retain(|other| other == held || reads.contains(&other.role));
    let tenant_wide = with_role(pair.caller, RoleAssignment::active(held.role));
    let mut anywhere = pair.account.clone();
    anywhere.holdings.as_mut().unwrap().management_restricted = false;
    documented(&caller, &member) && documented(&tenant_wide, &anywhere)
}

/// Unit-scoped Privileged Authentication Administrators for whom administrators are out of reach.
fn narrowed(caller: &Caller) -> Caller {
    let mut caller = caller.clone();
    for held in &mut caller.roles {
        if held.role == RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR && is_scoped(held) {
            held.role = role_named("Password Administrator").unwrap();
        }
    }
    caller
}

fn needs_no_role(pair: &Pair<'_>) -> bool {
    pair.caller.kind == CallerKind::AppOnly
        && pair
            .caller
            .permissions
            .contains("User-PasswordProfile.ReadWrite.All")
        && !pair
            .account
            .holdings
            .as_ref()
            .unwrap()
            .management_restricted
}

fn is_ordinary(account: &Account) -> bool {
    let holdings = account.holdings.as_ref().unwrap();
    holdings.roles.is_empty()
        && !holdings.member_of_role_assignable_group
        && !holdings.owner_of_role_assignable_group
}
