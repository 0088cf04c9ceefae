use std::fs;
use std::path::{Path, PathBuf};

use crate::cmdlets::{Cmdlets, Takes};

/// Stubs of cmdlets, in one module.
pub(crate) struct Stubs {
    /// PowerShell with a function `Invoke-What` for each thing that a cmdlet does.
    behaviour: &'static str,
    /// Which cmdlet does what.
    cmdlets: &'static [(&'static str, &'static str)],
}

/// For emitted scripts.
pub(crate) const GRANTS: Stubs = Stubs {
    behaviour: include_str!("grants.ps1"),
    cmdlets: &[
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
    ],
};

/// For workers that speak `Microsoft.Graph`.
pub(crate) const GRAPH: Stubs = Stubs {
    behaviour: include_str!("graph.ps1"),
    cmdlets: &[
        ("Connect-MgGraph", "Connect"),
        ("Invoke-MgGraphRequest", "Ask"),
        ("Set-MgRequestContext", "Nothing"),
        ("Update-MgUser", "Update"),
    ],
};

/// For workers that speak `Microsoft.Entra`.
pub(crate) const ENTRA: Stubs = Stubs {
    behaviour: include_str!("graph.ps1"),
    cmdlets: &[
        ("Connect-Entra", "Connect"),
        ("Enable-EntraAzureADAlias", "Nothing"),
        ("Invoke-MgGraphRequest", "Ask"),
        ("Set-EntraUserPasswordProfile", "Nothing"),
        ("Set-MgRequestContext", "Nothing"),
    ],
};

/// For workers that speak `ActiveDirectory`.
pub(crate) const DOMAIN: Stubs = Stubs {
    behaviour: include_str!("graph.ps1"),
    cmdlets: &[
        ("Get-ADAccountAuthorizationGroup", "FindGroupOfCaller"),
        ("Get-ADDomain", "FindDomain"),
        ("Get-ADGroup", "FindGroup"),
        ("Get-ADObject", "FindCaller"),
        ("Get-ADRootDSE", "ConnectDomain"),
        ("Get-ADUser", "FindAccount"),
        ("Set-ADAccountPassword", "Reset"),
        ("Set-ADUser", "Nothing"),
    ],
};

impl Stubs {
    /// The module: each cmdlet has exactly the parameters of the table.
    pub(crate) fn module(&self) -> String {
        let table = Cmdlets::read();
        let mut module = self.behaviour.to_owned();
        for (name, what) in self.cmdlets {
            let parameters = table.get(name).unwrap();
            let declared = parameters.iter().map(|(name, parameter)| {
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
            });
            let declared = declared.collect::<Vec<_>>().join(",\n");
            module.push_str(&format!(
                "\nfunction {name} {{\n    [CmdletBinding()]\n    param(\n{declared}\n    )\n    \
                 Invoke-{what} -Bound $PSBoundParameters -Cmdlet $PSCmdlet\n}}\n"
            ));
        }
        module
    }
}

/// Puts the module `name` of this version below `folder`.
pub(crate) fn install(folder: &Path, name: &str, version: &str, text: &str) {
    let module = folder.join(name);
    fs::create_dir_all(&module).unwrap();
    let manifest = format!(
        "@{{ ModuleVersion = '{version}'; RootModule = '{name}.psm1'; FunctionsToExport = '*' }}\n"
    );
    fs::write(module.join(format!("{name}.psd1")), manifest).unwrap();
    fs::write(module.join(format!("{name}.psm1")), text).unwrap();
}

/// Where PowerShell 7 is; `None`, said aloud, if it is not installed and nobody insists.
pub(crate) fn pwsh() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(format!("pwsh{}", std::env::consts::EXE_SUFFIX)))
        .find(|program| program.is_file());
    if found.is_none() {
        let required = std::env::var_os("ROTATION_REQUIRE_PWSH").is_some_and(|value| value == "1");
        assert!(!required, "there is no `pwsh` on the PATH");
        println!(
            "skipped: there is no `pwsh` on the PATH, so nothing was run by a real PowerShell"
        );
    }
    found
}
