//! Emitted scripts, run by a real PowerShell on stubs of the modules.
//!
//! The stubs have exactly the cmdlets and parameters of the table; what they do is in `stub.ps1`. Without `pwsh` on the
//! `PATH` the test says so and passes, unless `ROTATION_REQUIRE_PWSH=1` demands it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use backend_powershell_compat::Environment;
use backend_powershell_compat::script::{GrantScript, Module};
use rotation_core::{RoleId, TenantId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::check::mistakes;
use crate::cmdlets::{Cmdlets, Takes};
use crate::names::Names;

/// Which cmdlet does what, whose stub is `Invoke-What`.
const CMDLETS: [(&str, &str); 33] = [
    ("Connect-MgGraph", "Connect"),
    ("Disconnect-MgGraph", "Disconnect"),
    ("Get-MgServicePrincipal", "FindApp"),
    ("Get-MgDirectoryRole", "FindRole"),
    ("Get-MgDirectoryRoleTemplate", "FindTemplate"),
    ("New-MgDirectoryRole", "ActivateRole"),
    ("Get-MgRoleManagementDirectoryRoleAssignment", "ListRole"),
    ("New-MgRoleManagementDirectoryRoleAssignment", "AssignRole"),
    ("Get-MgServicePrincipalAppRoleAssignment", "ListPermission"),
    ("New-MgServicePrincipalAppRoleAssignment", "GrantPermission"),
    ("Connect-Entra", "Connect"),
    ("Disconnect-Entra", "Disconnect"),
    ("Get-EntraServicePrincipal", "FindApp"),
    ("Get-EntraDirectoryRole", "FindRole"),
    ("Get-EntraDirectoryRoleTemplate", "FindTemplate"),
    ("Enable-EntraDirectoryRole", "ActivateRole"),
    ("Get-EntraDirectoryRoleAssignment", "ListRole"),
    ("New-EntraDirectoryRoleAssignment", "AssignRole"),
    (
        "Get-EntraServicePrincipalAppRoleAssignment",
        "ListPermission",
    ),
    (
        "New-EntraServicePrincipalAppRoleAssignment",
        "GrantPermission",
    ),
    ("Connect-AzureAD", "Connect"),
    ("Disconnect-AzureAD", "Disconnect"),
    ("Get-AzureADServicePrincipal", "FindApp"),
    ("Get-AzureADDirectoryRole", "FindRole"),
    ("Get-AzureADDirectoryRoleTemplate", "FindTemplate"),
    ("Enable-AzureADDirectoryRole", "ActivateRole"),
    ("Get-AzureADDirectoryRoleMember", "ListMember"),
    ("Add-AzureADDirectoryRoleMember", "AddMember"),
    ("Get-AzureADServiceAppRoleAssignedTo", "ListPermission"),
    ("Get-AzureADServiceAppRoleAssignment", "ListHolder"),
    ("New-AzureADServiceAppRoleAssignment", "GrantPermission"),
    ("Get-MgContext", "Disconnect"),
    ("Get-EntraContext", "Disconnect"),
];

/// The modules that a script requires; the first holds all the stubs.
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

/// A module with every stub.
fn stubs() -> String {
    let cmdlets = Cmdlets::read();
    let mut module = include_str!("stub.ps1").to_owned();
    for (name, what) in CMDLETS {
        let parameters = cmdlets.get(name).unwrap();
        let declared: Vec<_> = parameters
            .iter()
            .map(|(name, parameter)| {
                let mandatory = if parameter.required {
                    "Mandatory = $true"
                } else {
                    ""
                };
                let switch = if parameter.takes == Takes::Switch {
                    "[switch] "
                } else {
                    ""
                };
                format!("        [Parameter({mandatory})] {switch}${name}")
            })
            .collect();
        module.push_str(&format!(
            "\nfunction {name} {{\n    [CmdletBinding()]\n    param(\n{}\n    )\n    Invoke-{what} -Bound $PSBoundParameters\n}}\n",
            declared.join(",\n")
        ));
    }
    module
}

fn write_modules(folder: &Path, names: &[String]) {
    for (at, name) in names.iter().enumerate() {
        let module = folder.join(name);
        fs::create_dir_all(&module).unwrap();
        let manifest = format!(
            "@{{ ModuleVersion = '2.99.0'; RootModule = '{name}.psm1'; FunctionsToExport = '*' }}\n"
        );
        fs::write(module.join(format!("{name}.psd1")), manifest).unwrap();
        let stubs = if at == 0 { stubs() } else { String::new() };
        fs::write(module.join(format!("{name}.psm1")), stubs).unwrap();
    }
}

/// Runs the script in `folder`; what it says, and what the directories hold afterwards.
fn run(folder: &Path, arguments: &[&str]) -> (Output, Value) {
    let directory = folder.join("directory.json");
    let output = Command::new("pwsh")
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

fn has_pwsh() -> bool {
    let version = Command::new("pwsh").arg("-Version").output();
    let found = version.is_ok_and(|output| output.status.success());
    let required = std::env::var_os("ROTATION_REQUIRE_PWSH").is_some_and(|value| value == "1");
    assert!(found || !required, "no `pwsh` on the PATH");
    found
}

#[test]
fn the_stubs_have_the_cmdlets_that_scripts_use_and_are_right_themselves() {
    assert_eq!(
        mistakes(&stubs(), &Cmdlets::read(), &Names::default()),
        Vec::<String>::new()
    );
}

#[test]
fn every_emitted_script_grants_what_is_missing_and_nothing_twice() {
    if !has_pwsh() {
        println!("skipped: no `pwsh` on the PATH, so no emitted script was run");
        return;
    }
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
        write_modules(&folder.path().join("modules"), &required(&script));
        let before = json!({
            "Down": ["down.example"],
            "Apps": [format!("o'first.example {app}"), format!("second.example {app}")],
            "Templates": [template, "00000000-0000-0000-0000-000000000001"],
            "Held": [{ "Tenant": "second.example", "What": "permission", "Id": "id of User.Read.All" }],
            "Writes": 0,
        });
        fs::write(folder.path().join("directory.json"), before.to_string()).unwrap();

        let (output, held) = run(folder.path(), &["-WhatIf"]);
        let said = format!("{module:?}: {output:?}\n{held:#}");
        assert_eq!(held["Writes"], 0, "-WhatIf changes nothing. {said}");
        assert!(!output.status.success(), "two tenants fail. {said}");

        let (output, held) = run(folder.path(), &[]);
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

        let (output, held) = run(folder.path(), &[]);
        assert_eq!(held["Writes"], 7, "there is nothing left to do. {output:?}");
    }
    println!("{} emitted scripts were run by pwsh", Module::ALL.len());
}
