//! Emitted scripts, on stubs whose directories are in memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use backend_powershell_compat::Environment;
use backend_powershell_compat::script::{GrantScript, Module};
use rotation_core::{RoleId, TenantId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stubs::{GRANTS, install, pwsh};

/// The modules that a script requires; the first gets all the stubs.
fn required(script: &str) -> Vec<String> {
    let lines = script
        .lines()
        .filter_map(|line| line.strip_prefix("#Requires -Modules "));
    let mut modules = Vec::new();
    for line in lines {
        let names = line.split_once("ModuleName = '").map_or(line, |(_, rest)| {
            rest.split_once('\'').map_or(rest, |(name, _)| name)
        });
        modules.extend(names.split(", ").map(str::to_owned));
    }
    modules
}

/// Runs the script in `folder`; what it says, and what the directories hold afterwards.
fn run(pwsh: &Path, folder: &Path, arguments: &[&str]) -> (Output, Value) {
    let directory = folder.join("directory.json");
    let output = Command::new(pwsh)
        .args(["-NoLogo", "-NoProfile", "-NonInteractive", "-File"])
        .arg(folder.join("grant.ps1"))
        .args(arguments)
        .env("PSModulePath", folder.join("modules"))
        .env("STUB_DIRECTORY", &directory)
        // So that modules which are installed for this user are not found.
        .env("HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .output()
        .unwrap();
    let held = serde_json::from_slice(&fs::read(directory).unwrap()).unwrap();
    (output, held)
}

#[test]
fn every_emitted_script_grants_what_is_missing_and_nothing_twice() {
    let Some(pwsh) = pwsh() else { return };
    let role = RoleId::USER_ADMINISTRATOR;
    let template = "fe930be7-5e62-47db-91af-98c3a49a38b1";
    let permissions = ["User.Read.All", "User-PasswordProfile.ReadWrite.All"];
    // Two that cannot be done come first and in between.
    let tenants = [
        "down.example",
        "o'first.example",
        "no-app.example",
        "second.example",
    ];
    for module in Module::ALL {
        let app = Uuid::from_u128(7);
        let mut script = GrantScript::new(module, role).permissions(permissions);
        for tenant in tenants {
            script = script.tenant(&TenantId::new(tenant), app, Environment::Global);
        }
        // The real AzureAD needs Windows PowerShell; its stub does not.
        let script = script
            .render()
            .unwrap()
            .replace("#Requires -PSEdition Desktop", "");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("grant.ps1"), &script).unwrap();
        let modules = folder.path().join("modules");
        for (at, name) in required(&script).iter().enumerate() {
            let text = if at == 0 {
                GRANTS.module()
            } else {
                String::new()
            };
            install(&modules, name, "2.99.0", &text);
        }
        let before = json!({
            "Down": ["down.example"],
            "Apps": [format!("o'first.example {app}"), format!("second.example {app}")],
            "Templates": [template, "00000000-0000-0000-0000-000000000001"],
            "Held": [{ "Tenant": "second.example", "What": "permission", "Id": "id of User.Read.All" }],
            "Writes": 0,
        });
        fs::write(folder.path().join("directory.json"), before.to_string()).unwrap();

        let (output, held) = run(&pwsh, folder.path(), &["-WhatIf"]);
        let said = format!("{module:?}: {output:?}\n{held:#}");
        assert_eq!(held["Writes"], 0, "-WhatIf changes nothing. {said}");
        assert!(!output.status.success(), "two tenants fail. {said}");

        let (output, held) = run(&pwsh, folder.path(), &[]);
        let said = format!("{module:?}: {output:?}\n{held:#}");
        assert!(!output.status.success(), "two tenants fail. {said}");
        // Two roles activated, two assigned, four permissions of which one was there.
        assert_eq!(held["Writes"], 7, "{said}");
        for tenant in ["o'first.example", "second.example"] {
            let of_tenant = |what: &str| -> Vec<&str> {
                let all = held["Held"].as_array().unwrap().iter();
                let own = all.filter(|one| one["Tenant"] == tenant && one["What"] == what);
                own.filter_map(|one| one["Id"].as_str()).collect()
            };
            assert_eq!(of_tenant("activated"), [template], "{tenant}. {said}");
            assert_eq!(of_tenant("role"), [template], "{tenant}. {said}");
            for permission in permissions {
                let id = format!("id of {permission}");
                assert!(
                    of_tenant("permission").contains(&id.as_str()),
                    "{tenant}. {said}"
                );
            }
        }

        let (output, held) = run(&pwsh, folder.path(), &[]);
        assert_eq!(held["Writes"], 7, "there is nothing left to do. {output:?}");
    }
    println!("{} emitted scripts were run by pwsh", Module::ALL.len());
}
