//! What is to become of an account, and in which order the reasons come.

use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountKey, AccountKind, Caller, Decision, Denial, Due, Holdings, Known,
    Planner, Policy, RoleAssignment, RoleId, RunId, SkipReason, TenantId, Version, VersionId,
    VersionKey, VersionState, role_named,
};

fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

fn old(name: &str) -> Account {
    let mut account = Account::new(AccountId::new(name), format!("{name}@contoso.com"))
        .holding(Holdings::default());
    account.password_changed = Some("2020-01-01T00:00:00Z".parse().unwrap());
    account
}

fn caller() -> Caller {
    let mut caller = Caller::app_only(TenantId::new("contoso"), AccountId::new("app"));
    caller
        .roles
        .push(RoleAssignment::active(RoleId::USER_ADMINISTRATOR));
    caller
}

fn decide(policy: Policy, account: &Account) -> Decision {
    Planner::new(policy, caller(), now()).decide(account, &Known::default())
}

#[test]
fn an_old_ordinary_account_is_rotated_and_the_role_is_named() {
    let decision = decide(Policy::default(), &old("ada"));
    let Decision::Rotate {
        due: Due::TooOld { .. },
        by,
    } = &decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!(*by, RoleId::USER_ADMINISTRATOR);
    assert_eq!(
        decision.to_string(),
        "last changed on 2020-01-01; allowed by User Administrator"
    );
}

#[test]
fn an_admin_that_is_due_is_denied_and_one_that_is_not_due_is_skipped() {
    let mut admin = old("root");
    admin
        .holdings
        .as_mut()
        .unwrap()
        .roles
        .push(RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR));
    assert!(matches!(
        decide(Policy::default(), &admin),
        Decision::Deny {
            because: Denial::TargetRole {
                role: RoleId::GLOBAL_ADMINISTRATOR,
                ..
            }
        }
    ));
    admin.password_changed = Some(now());
    assert!(matches!(
        decide(Policy::default(), &admin),
        Decision::Skip {
            why: SkipReason::NotDue { .. }
        }
    ));
}

#[test]
fn the_callers_own_account_is_never_rotated() {
    assert_eq!(
        decide(Policy::default(), &old("app")),
        Decision::Skip {
            why: SkipReason::OwnAccount
        }
    );
}

#[test]
fn unsettled_accounts_are_due_whatever_their_age_but_stay_excluded_and_denied() {
    let mut young = old("ada");
    young.password_changed = Some(now());
    let account = AccountKey {
        tenant: TenantId::new("contoso"),
        account: young.id.clone(),
    };
    let key = VersionKey {
        account,
        version: VersionId::new(),
    };
    let mut known = Known::default();
    known.note(&Version::new(
        key,
        young.user_name.clone(),
        RunId::new(),
        now(),
        VersionState::Pending,
    ));
    let decide = |policy: Policy, account: &Account| {
        Planner::new(policy, caller(), now()).decide(account, &known)
    };
    assert!(matches!(
        decide(Policy::default(), &young),
        Decision::Rotate {
            due: Due::Unsettled,
            ..
        }
    ));
    let excluding = Policy {
        exclude: vec!["ada@*".parse().unwrap()],
        ..Policy::default()
    };
    assert!(matches!(
        decide(excluding, &young),
        Decision::Skip {
            why: SkipReason::Excluded { .. }
        }
    ));
    young.holdings = None;
    assert_eq!(
        decide(Policy::default(), &young),
        Decision::Deny {
            because: Denial::RolesUnknown
        }
    );
}

#[test]
fn awkward_kinds_are_skipped_before_their_roles_matter() {
    let mut guest = old("guest");
    guest.kind = AccountKind::Guest;
    guest.holdings = None;
    assert_eq!(
        decide(Policy::default(), &guest),
        Decision::Skip {
            why: SkipReason::Kind {
                kind: AccountKind::Guest
            }
        }
    );
}

#[test]
fn the_synchronisation_account_is_left_alone_even_by_a_caller_who_may() {
    let mut sync = old("sync");
    let role = role_named("Directory Synchronization Accounts").unwrap();
    sync.holdings
        .as_mut()
        .unwrap()
        .roles
        .push(RoleAssignment::active(role));
    assert_eq!(
        decide(Policy::default(), &sync),
        Decision::Skip {
            why: SkipReason::SyncService
        }
    );
}
