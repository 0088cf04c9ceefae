//! `rotation explain`: the one true reason, and what would do.

use std::collections::BTreeSet;

use entra_sim::{App, Role, Tenant, TenantHandle};
use serde_json::Value;

use crate::world::World;

const DOMAIN: &str = "contoso.onmicrosoft.com";

fn explained(world: &World, accounts: &[&str]) -> Vec<Value> {
    let accounts: Vec<String> = accounts
        .iter()
        .map(|name| format!("{name}@{DOMAIN}"))
        .collect();
    let mut args = vec!["explain", "--format", "json"];
    args.extend(accounts.iter().map(String::as_str));
    let all = world.json(&args);
    serde_json::from_value(all).unwrap()
}

fn one(world: &World, account: &str) -> Value {
    let mut all = explained(world, &[account]);
    assert_eq!(all.len(), 1, "{account}: {all:?}");
    all.remove(0)
}

fn says(value: &Value, key: &str, part: &str) {
    let text = value[key].as_str().unwrap_or_default();
    assert!(text.contains(part), "{key}: expected {part:?} in {value:#}");
}

#[test]
fn each_account_has_its_one_reason_and_what_would_do() {
    let world = World::new(100);
    for (account, because, fix, least) in [
        (
            "globaladmin",
            "holds Global Administrator",
            "assign Privileged Authentication Administrator",
            "Privileged Authentication Administrator",
        ),
        (
            "eligible.globaladmin",
            "is eligible for Global Administrator",
            "assign Privileged Authentication Administrator",
            "Privileged Authentication Administrator",
        ),
        (
            "group.owner",
            "member or owner of a role-assignable group",
            "assign Privileged Authentication Administrator",
            "Privileged Authentication Administrator",
        ),
        (
            "executive",
            "restricted management administrative unit",
            "at the scope of that restricted unit",
            "",
        ),
    ] {
        let one = one(&world, account);
        assert_eq!(one["may_be_rotated"], false, "{one:#}");
        assert!(one["by"].is_null(), "{one:#}");
        says(&one, "because", because);
        says(&one, "fix", fix);
        assert_eq!(one["least_role"].as_str().unwrap_or_default(), least);
        assert_eq!(one["caller"]["roles"][0]["allows"], false, "{one:#}");
    }
    let ordinary = one(&world, "user000000");
    assert_eq!(ordinary["may_be_rotated"], true, "{ordinary:#}");
    assert_eq!(ordinary["by"], "User Administrator");
    assert_eq!(ordinary["least_role"], "Password Administrator");
    assert_eq!(ordinary["decision"], "rotate");
    assert_eq!(
        ordinary["may_be_disabled"]["allowed"], false,
        "that is another permission: {ordinary:#}"
    );
    let young = one(&world, "user000009");
    assert_eq!(young["may_be_rotated"], true);
    assert_eq!(young["decision"], "skip");
    assert_eq!(world.sets(), 0);
}

#[test]
fn a_password_that_lives_elsewhere_is_rotated_there() {
    let world = World::new(100);
    let all = world.json(&["plan", "--format", "json", "-q"]);
    let accounts = all["accounts"].as_array().unwrap();
    let mut kinds = BTreeSet::new();
    for account in accounts {
        let name = account["upn"].as_str().unwrap();
        let kind = account["kind"].as_str().unwrap();
        if kind == "cloud" {
            continue;
        }
        let args = ["explain", name, "--format", "json"];
        let one = world.json(&args).as_array().unwrap().first().cloned();
        let one = one.unwrap_or_else(|| panic!("{name}"));
        assert_eq!(one["may_be_rotated"], false, "{one:#}");
        says(&one, "fix", "rotate it there");
        kinds.insert(kind.to_owned());
    }
    let expected = ["federated", "guest", "synced"].map(str::to_owned);
    assert_eq!(kinds, BTreeSet::from(expected), "{all:#}");
}

#[test]
fn what_is_wrong_with_the_caller_is_said_first() {
    let permission = "User-PasswordProfile.ReadWrite.All";
    for (app, because, fix) in [
        (
            App::rotation().without_permission(permission),
            "lacks the permission to set passwords",
            "grant admin consent",
        ),
        (
            App::rotation().without_roles(),
            "holds no role that sets passwords",
            "assign Password Administrator",
        ),
        (
            App::rotation()
                .without_roles()
                .unit_role(Role::USER_ADMINISTRATOR, "Branch office"),
            "outside the administrative units",
            "in the whole tenant",
        ),
    ] {
        let world = World::with([Tenant::demo(100).first_app(app)]);
        let one = one(&world, "user000000");
        assert_eq!(one["may_be_rotated"], false, "{one:#}");
        says(&one, "because", because);
        says(&one, "fix", fix);
    }
}

/// Whatever is explained, a run does and the directory says.
#[test]
fn what_is_explained_is_what_happens() {
    for role in [
        Role::USER_ADMINISTRATOR,
        Role::HELPDESK_ADMINISTRATOR,
        Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
    ] {
        let app = App::rotation().without_roles().role(role);
        let world = World::with([Tenant::demo(100).first_app(app)]);
        world.edit("\"90d\"", "\"1s\"");
        world.edit("break_glass", "# break_glass");
        let handle: &TenantHandle = &world.tenant;
        let names: Vec<String> = handle
            .iter_users()
            .map(|user| user.user_principal_name)
            .collect();
        let mut args = vec!["explain", "--format", "json"];
        args.extend(names.iter().map(String::as_str));
        let explained = world.json(&args);
        let explained = explained.as_array().unwrap();
        assert_eq!(explained.len(), names.len());
        let done = world.run(&["apply", "--format", "json"]);
        assert!(matches!(done.code, Some(0 | 3)), "{done:?}");
        let set: BTreeSet<String> = handle
            .iter_users()
            .filter(|user| user.password_sets > 0)
            .map(|user| user.user_principal_name)
            .collect();
        for one in explained {
            let name = one["upn"].as_str().unwrap();
            let due = one["decision"] != "skip";
            let expected = one["may_be_rotated"] == true && due;
            assert_eq!(set.contains(name), expected, "{one:#}");
        }
        assert!(set.len() > 40, "{}", set.len());
    }
}

#[test]
fn a_person_reads_who_may_and_why() {
    let world = World::new(100);
    let args = ["explain", &format!("globaladmin@{DOMAIN}")];
    let output = world.run(&args);
    assert_eq!(output.code, Some(3), "{output:?}");
    for part in [
        "may not be rotated",
        "holds Global Administrator",
        "least role",
        "its permission",
        "the least that does",
        "User Administrator (active): does not reach it",
    ] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    let missing = world.run(&["explain", "nobody@contoso.onmicrosoft.com"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(
        missing.stderr.contains("has an account nobody"),
        "{missing:?}"
    );
    let none = world.run(&["explain"]);
    assert_eq!(none.code, Some(2), "{none:?}");
}
