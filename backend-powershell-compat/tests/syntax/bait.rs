//! The check itself, checked: each mistake is found, and nothing else.

use crate::check::mistakes;
use crate::cmdlets::Cmdlets;
use crate::names::Names;

fn found(script: &str) -> Vec<String> {
    mistakes(script, &Cmdlets::read(), &Names::default())
}

#[test]
fn each_mistake_is_found() {
    for (script, expected) in [
        ("Get-MgUsers -All", "no such command: `Get-MgUsers`"),
        ("get-mguser -All", "no such command: `get-mguser`"),
        ("select -Property Id", "no such command: `select`"),
        (
            "Get-MgUser -UserID 1",
            "Get-MgUser has no parameter `-UserID`",
        ),
        (
            "Get-MgUser -Propert Id",
            "Get-MgUser has no parameter `-Propert`",
        ),
        ("Get-MgUser -Filter", "Get-MgUser -Filter needs a value"),
        (
            "Get-MgUser -Filter -All",
            "Get-MgUser -Filter needs a value",
        ),
        (
            "Get-MgUser -All $true",
            "Get-MgUser is given a value without a name",
        ),
        (
            "Get-MgUser -WhatIf",
            "Get-MgUser has no parameter `-WhatIf`",
        ),
        (
            "Start-Sleep 1 2",
            "Start-Sleep is given a value without a name",
        ),
        (
            "$a = @{ UserID = 1 }; Get-MgUser @a",
            "Get-MgUser has no parameter `-UserID`",
        ),
        (
            "$a = 1; Get-MgUser @a",
            "Get-MgUser is given `@a`, of which nothing is known here",
        ),
        (
            "function Get-It { param($Id) $Id }; Get-It -Ident 1",
            "Get-It has no parameter `-Ident`",
        ),
        (
            "function Get-It { param($Id) $Id }; Get-It -Verbose",
            "Get-It has no parameter `-Verbose`",
        ),
        (
            "Set-ADAccountPassword -Reset",
            "Set-ADAccountPassword needs `-Identity`",
        ),
        (
            "$a = @{ AppRoleId = 1 }; New-MgServicePrincipalAppRoleAssignment @a",
            "New-MgServicePrincipalAppRoleAssignment needs `-ServicePrincipalId`",
        ),
        (
            "function Get-It { param([Parameter(Mandatory = $true)] $Id)\n$Id }; Get-It -Verbose",
            "Get-It needs `-Id`",
        ),
        (
            "& 'Get-MgUser'",
            "runs `'Get-MgUser'`, of which nothing is known here",
        ),
        (
            "$a = 'x'; . $a",
            "runs `$a`, of which nothing is known here",
        ),
        (
            "Set-AzureADUserPassword -UserId 1 -Password $null",
            "Set-AzureADUserPassword has no parameter `-UserId`",
        ),
        (
            "function Get-It($Id) { $Id }; Get-It 1 2",
            "Get-It is given a value without a name",
        ),
        ("try { Get-MgUser -All }", "try without catch"),
        (
            "Get-MgUser -All && Get-MgUser",
            "not in PowerShell 5.1: `&&`",
        ),
        ("$name = 1; \"$nam\"", "`$nam` is never given a value"),
        ("$name.Id = 1", "`$name` is never given a value"),
        (
            "$name = 1; \"$name: \"",
            "`$name:` ends a drive's name: write `${name}:`",
        ),
        (
            "$name = 1; \"$name:x\"",
            "`$name:x` is a variable of a drive: write `${name}:`",
        ),
        ("Get-MgUser -Filter 'Ò'", "not ASCII: 'Ò'"),
        ("forech ($a in 1) { }", "no such command: `forech`"),
    ] {
        let found = found(script);
        let as_expected = found.iter().any(|mistake| mistake.ends_with(expected));
        assert!(as_expected, "{script}: {found:?}");
    }
}

#[test]
fn what_is_not_closed_is_not_powershell() {
    for script in [
        "Get-MgUser -Filter 'a",
        "Get-MgUser -Filter \"a",
        "if ($true) { Get-MgUser -All",
        "Get-MgUser -All }",
        "$a = @(1",
        "$a = @{ b = 1",
        "Get-MgUser -UserId (1",
        "<# never ends",
        "$a = @'\nnever ends",
        "$a ?? 1",
    ] {
        let found = found(script);
        assert!(
            found.iter().any(|m| m.contains("not PowerShell")),
            "{script}: {found:?}"
        );
    }
}

#[test]
fn what_is_right_is_left_alone() {
    for script in [
        "Get-MgUser -UserId 'a', 'b' -Property Id, DisplayName",
        "$a = @{ UserId = 1 }\n$a.Property = 'Id'\nGet-MgUser @a -ErrorAction Stop",
        "function Get-It($Id) { $Id }; Get-It 1",
        "function Get-It { $a = @{ UserId = 1 } }; $a = Get-It; Get-MgUser @a",
        "Enable-EntraAzureADAlias; Set-AzureADUserPassword -UserId 1 -Password $null",
        "Start-Sleep 1; Start-Sleep -Seconds 1; 1 | Start-Sleep",
        "Set-ADAccountPassword ann -Reset; Get-ADUser ann | Set-ADAccountPassword -Reset",
        "Update-MgUser -UserId 1 -AccountEnabled:$false",
        "try { Get-MgUser -All } finally { $null = 1 }",
        "function Get-It { [CmdletBinding()] param([switch] $All)\nif ($All) { 1 } }; Get-It -All -Verbose",
        "function Get-It { param($Id)\n1 | ForEach-Object { $_ + $Id } }; Get-It -Id 1 2> $null",
        "foreach ($a in 1) { \"$($env:HOME): ${a}: $script:a [$a]::b\" }",
    ] {
        assert_eq!(found(script), Vec::<String>::new(), "{script}");
    }
}
