//! Every cell of Microsoft's "who can reset passwords" matrix, under both rule sets.

use std::collections::BTreeMap;

use rotation_core::{
    Account, AccountId, AssignmentState, Caller, CallerKind, Capability, Denial, Holdings,
    RoleAssignment, RoleId, RuleSet, Scope, TenantId, UnitId, capability, role_named,
};
use serde_json::Value;

const MATRIX: &str = include_str!("../data/reset-matrix.json");
const ROLES: &str = include_str!("../../data/entra-roles.json");

/// One column of the reference: the caller's role and the names of the rows it reaches.
type Column = (RoleId, Vec<String>);

pub(crate) fn json() -> Value {
    serde_json::from_str(MATRIX).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn role(entry: &Value) -> RoleId {
    role_named(entry["templateId"].as_str().unwrap()).unwrap()
}

/// Every caller that the reference names, tenant-wide.
fn columns() -> Vec<Column> {
    let json = json();
    let mut columns: Vec<Column> = Vec::new();
    for caller in json["callers"].as_array().unwrap() {
        columns.push((
            role(caller),
            strings(&json["allowed"][caller["role"].as_str().unwrap()]),
        ));
    }
    for caller in json["nonAdminTargetsOnly"]["callers"].as_array().unwrap() {
        columns.push((
            role(caller),
            strings(&json["nonAdminTargetsOnly"]["allowed"]),
        ));
    }
    for caller in json["deprecatedCallers"]["callers"].as_array().unwrap() {
        columns.push((role(caller), strings(&caller["allowed"])));
    }
    columns
}

/// The accounts that stand for one row; several where the row covers several cases.
pub(crate) fn accounts(row: &Value) -> Vec<Account> {
    let holding = |holdings: Holdings| {
        let mut account = Account::new(AccountId::new("target"), "target@contoso.com")
            .holding(Holdings::default());
        account.holdings = Some(holdings);
        account
    };
    let with_role = |assignment: RoleAssignment| {
        let mut holdings = Holdings::default();
        holdings.roles.push(assignment);
        holding(holdings)
    };
    match row["kind"].as_str().unwrap() {
        "none" => vec![holding(Holdings::default())],
        "role" => vec![
            with_role(RoleAssignment::active(role(row))),
            with_role(RoleAssignment::eligible(role(row))),
            with_role(RoleAssignment::active(role(row)).within(Scope::Unit {
                id: UnitId::new("u"),
                restricted: false,
            })),
        ],
        "roleAssignableGroup" => {
            let mut member = Holdings::default();
            member.member_of_role_assignable_group = true;
            let mut owner = Holdings::default();
            owner.owner_of_role_assignable_group = true;
            vec![holding(member), holding(owner)]
        }
        "roleScopedToRestrictedAu" => ["Directory Readers", "User Administrator"]
            .map(|name| {
                let unit = Scope::Unit {
                    id: UnitId::new("u"),
                    restricted: true,
                };
                with_role(RoleAssignment::active(role_named(name).unwrap()).within(unit))
            })
            .into(),
        "anyOtherRole" => {
            let named: Vec<RoleId> = json()["targets"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row["kind"] == "role")
                .map(role)
                .collect();
            let roles: Vec<Value> = serde_json::from_str(ROLES).unwrap();
            let custom = role_named("11111111-2222-3333-4444-555555555555").unwrap();
            let others = roles
                .iter()
                .map(role)
                .filter(|id| !named.contains(id))
                .chain([custom]);
            others
                .map(|id| with_role(RoleAssignment::active(id)))
                .collect()
        }
        kind => panic!("unknown kind of row {kind}"),
    }
}

pub(crate) fn caller(role: RoleId) -> Caller {
    let mut caller = Caller::app_only(TenantId::new("contoso"), AccountId::new("app"));
    caller.permissions.insert("User.Read.All".to_owned());
    caller.roles.push(RoleAssignment::active(role));
    caller
}

pub(crate) fn is_allowed(caller: &Caller, account: &Account, rules: RuleSet) -> bool {
    matches!(
        capability(caller, account, rules),
        Capability::Allowed { .. }
    )
}

/// The house rule in the customer's words, from names and labels alone.
fn is_ordinary(account: &Account) -> bool {
    let labels: BTreeMap<String, (String, bool)> = serde_json::from_str::<Vec<Value>>(ROLES)
        .unwrap()
        .iter()
        .map(|role| {
            let text = |key: &str| role[key].as_str().unwrap().to_owned();
            (
                text("displayName"),
                (text("displayName"), role["isPrivileged"].as_bool().unwrap()),
            )
        })
        .collect();
    let holdings = account.holdings.as_ref().unwrap();
    let plain = |held: &RoleAssignment| {
        labels
            .get(&held.role.to_string())
            .is_some_and(|(name, privileged)| !name.contains("Administrator") && !privileged)
    };
    holdings.roles.iter().all(plain)
        && !holdings.member_of_role_assignable_group
        && !holdings.owner_of_role_assignable_group
}

#[test]
fn documented_rules_agree_with_the_reference_cell_by_cell() {
    let mut cells = 0;
    for (role, allowed) in columns() {
        for row in json()["targets"].as_array().unwrap() {
            for account in accounts(row) {
                let expected = allowed.contains(&row["name"].as_str().unwrap().to_owned());
                let found = is_allowed(&caller(role), &account, RuleSet::Documented);
                assert_eq!(found, expected, "{role} on {}: {account:?}", row["name"]);
            }
            cells += 1;
        }
    }
    assert_eq!(cells, 11 * 18, "callers times rows");
}

#[test]
fn strict_rules_are_the_reference_and_the_house_rule_cell_by_cell() {
    let everyone = [
        RoleId::GLOBAL_ADMINISTRATOR,
        RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
    ];
    for (role, allowed) in columns() {
        for row in json()["targets"].as_array().unwrap() {
            for account in accounts(row) {
                let documented = allowed.contains(&row["name"].as_str().unwrap().to_owned());
                let expected = documented && (everyone.contains(&role) || is_ordinary(&account));
                let found = is_allowed(&caller(role), &account, RuleSet::Strict);
                assert_eq!(found, expected, "{role} on {}: {account:?}", row["name"]);
            }
        }
    }
}

#[test]
fn user_administrator_rotates_only_non_admins() {
    let user_administrator = caller(RoleId::USER_ADMINISTRATOR);
    for row in json()["targets"].as_array().unwrap() {
        for account in accounts(row) {
            if is_allowed(&user_administrator, &account, RuleSet::Strict) {
                assert!(is_ordinary(&account), "rotated an admin: {account:?}");
            }
        }
    }
    let ordinary =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    assert!(is_allowed(&user_administrator, &ordinary, RuleSet::Strict));
}

#[test]
fn global_or_privileged_authentication_administrator_rotates_any_account() {
    for role in [
        RoleId::GLOBAL_ADMINISTRATOR,
        RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
    ] {
        for row in json()["targets"].as_array().unwrap() {
            for account in accounts(row) {
                for rules in [RuleSet::Strict, RuleSet::Documented] {
                    assert!(
                        is_allowed(&caller(role), &account, rules),
                        "{role} on {account:?} by {rules:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn roles_other_than_those_of_the_reference_rotate_nobody() {
    let callers: Vec<RoleId> = columns().into_iter().map(|(role, _)| role).collect();
    let ordinary =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    for entry in serde_json::from_str::<Vec<Value>>(ROLES).unwrap() {
        let role = role(&entry);
        if callers.contains(&role) {
            continue;
        }
        let verdict = capability(&caller(role), &ordinary, RuleSet::Documented);
        assert_eq!(
            verdict,
            Capability::Denied {
                because: Denial::NoRole { eligible: None }
            },
            "{role}"
        );
    }
}

#[test]
fn every_role_of_the_account_must_be_reached() {
    let helpdesk = caller(role_named("Helpdesk Administrator").unwrap());
    let mut account =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    let global_reader = role_named("Global Reader").unwrap();
    let mut holdings = Holdings::default();
    holdings.roles.push(RoleAssignment::active(
        role_named("Reports Reader").unwrap(),
    ));
    holdings.roles.push(RoleAssignment::eligible(global_reader));
    account.holdings = Some(holdings);
    let because = Denial::TargetRole {
        role: global_reader,
        state: AssignmentState::Eligible,
    };
    assert_eq!(
        capability(&helpdesk, &account, RuleSet::Documented),
        Capability::Denied { because }
    );
}

#[test]
fn any_one_role_of_the_caller_is_enough() {
    let mut both = caller(RoleId::USER_ADMINISTRATOR);
    both.roles
        .push(RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR));
    let mut account =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    let mut holdings = Holdings::default();
    holdings.owner_of_role_assignable_group = true;
    account.holdings = Some(holdings);
    let verdict = capability(&both, &account, RuleSet::Strict);
    assert_eq!(
        verdict,
        Capability::Allowed {
            by: RoleId::GLOBAL_ADMINISTRATOR
        }
    );
}

#[test]
fn an_eligible_role_of_the_caller_gives_nothing_and_is_named() {
    let mut eligible = Caller::app_only(TenantId::new("contoso"), AccountId::new("app"));
    eligible
        .roles
        .push(RoleAssignment::eligible(RoleId::GLOBAL_ADMINISTRATOR));
    let account = Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    let because = Denial::NoRole {
        eligible: Some(RoleId::GLOBAL_ADMINISTRATOR),
    };
    assert_eq!(
        capability(&eligible, &account, RuleSet::Documented),
        Capability::Denied { because }
    );
}

#[test]
fn fail_closed_when_the_roles_of_an_account_are_unknown() {
    let mut account =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    account.holdings = None;
    for rules in [RuleSet::Strict, RuleSet::Documented] {
        let verdict = capability(&caller(RoleId::GLOBAL_ADMINISTRATOR), &account, rules);
        assert_eq!(
            verdict,
            Capability::Denied {
                because: Denial::RolesUnknown
            }
        );
    }
}

#[test]
fn a_unit_scoped_role_reaches_the_ordinary_members_of_its_unit_only() {
    let json = json();
    let scoped = &json["administrativeUnitScope"];
    let unit = UnitId::new("unit");
    for entry in scoped["assignableRolesThatResetPasswords"]
        .as_array()
        .unwrap()
    {
        let mut caller = caller(role(entry));
        caller.roles[0] = caller.roles[0].clone().within(Scope::Unit {
            id: unit.clone(),
            restricted: false,
        });
        let allowed = strings(&scoped["allowed"][entry["role"].as_str().unwrap()]);
        for row in json["targets"].as_array().unwrap() {
            for mut account in accounts(row) {
                let outside = capability(&caller, &account, RuleSet::Documented);
                assert_eq!(
                    outside,
                    Capability::Denied {
                        because: Denial::OutOfScope
                    }
                );
                account.holdings.as_mut().unwrap().units.push(unit.clone());
                let expected = allowed.contains(&row["name"].as_str().unwrap().to_owned());
                let found = is_allowed(&caller, &account, RuleSet::Documented);
                assert_eq!(found, expected, "{} on {}", entry["role"], row["name"]);
                let strict = is_allowed(&caller, &account, RuleSet::Strict);
                let holdings = account.holdings.as_ref().unwrap();
                assert_eq!(
                    strict,
                    expected && is_ordinary(&account) && holdings.roles.is_empty(),
                    "strict: {} on {}",
                    entry["role"],
                    row["name"]
                );
            }
        }
    }
    let mut global = caller(RoleId::GLOBAL_ADMINISTRATOR);
    global.roles[0] = global.roles[0].clone().within(Scope::Unit {
        id: unit.clone(),
        restricted: false,
    });
    let mut member =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    member.holdings.as_mut().unwrap().units.push(unit);
    assert!(
        !is_allowed(&global, &member, RuleSet::Documented),
        "cannot be assigned at unit scope"
    );
}

#[test]
fn a_restricted_unit_shuts_out_every_role_not_scoped_to_it() {
    let unit = UnitId::new("restricted");
    let mut account =
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(Holdings::default());
    let holdings = account.holdings.as_mut().unwrap();
    holdings.management_restricted = true;
    holdings.units.push(unit.clone());
    for (role, _) in columns() {
        for rules in [RuleSet::Strict, RuleSet::Documented] {
            let because = Denial::ManagementRestricted;
            assert_eq!(
                capability(&caller(role), &account, rules),
                Capability::Denied { because },
                "{role}"
            );
        }
    }
    let mut scoped = caller(RoleId::USER_ADMINISTRATOR);
    scoped.roles[0] = scoped.roles[0].clone().within(Scope::Unit {
        id: unit.clone(),
        restricted: true,
    });
    assert!(is_allowed(&scoped, &account, RuleSet::Strict));
    scoped.roles[0] = RoleAssignment::active(RoleId::USER_ADMINISTRATOR).within(Scope::Unit {
        id: unit,
        restricted: false,
    });
    assert!(
        !is_allowed(&scoped, &account, RuleSet::Strict),
        "an ordinary unit does not open a restricted one"
    );
}

#[test]
fn nobody_reaches_a_global_administrator_in_a_restricted_unit() {
    let unit = Scope::Unit {
        id: UnitId::new("restricted"),
        restricted: true,
    };
    let mut inside = caller(RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR);
    inside.roles[0] = inside.roles[0].clone().within(unit);
    let mut holdings = Holdings::default();
    holdings.management_restricted = true;
    holdings.units.push(UnitId::new("restricted"));
    let account = |holdings: &Holdings| {
        Account::new(AccountId::new("1"), "ada@contoso.com").holding(holdings.clone())
    };
    assert!(is_allowed(&inside, &account(&holdings), RuleSet::Strict));
    for held in [RoleAssignment::active, RoleAssignment::eligible] {
        holdings.roles = vec![held(RoleId::GLOBAL_ADMINISTRATOR)];
        let because = Denial::TargetRole {
            role: RoleId::GLOBAL_ADMINISTRATOR,
            state: holdings.roles[0].state,
        };
        for rules in [RuleSet::Strict, RuleSet::Documented] {
            assert_eq!(
                capability(&inside, &account(&holdings), rules),
                Capability::Denied {
                    because: because.clone()
                }
            );
        }
    }
}

#[test]
fn a_unit_scoped_app_must_be_able_to_read_the_directory() {
    let unit = UnitId::new("unit");
    let mut holdings = Holdings::default();
    holdings.units.push(unit.clone());
    let member = Account::new(AccountId::new("1"), "ada@contoso.com").holding(holdings);
    let mut app = caller(RoleId::USER_ADMINISTRATOR);
    app.permissions.clear();
    assert!(is_allowed(&app, &member, RuleSet::Strict), "tenant-wide");
    app.roles[0] = app.roles[0].clone().within(Scope::Unit {
        id: unit,
        restricted: false,
    });
    let because = Denial::DirectoryUnreadable;
    assert_eq!(
        capability(&app, &member, RuleSet::Documented),
        Capability::Denied { because }
    );
    let mut person = app.clone();
    person.kind = CallerKind::Delegated;
    assert!(is_allowed(&person, &member, RuleSet::Strict));
    let readers = role_named("Directory Readers").unwrap();
    app.roles.push(RoleAssignment::active(readers));
    assert!(is_allowed(&app, &member, RuleSet::Strict));
}
