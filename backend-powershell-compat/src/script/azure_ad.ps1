
# With the AzureAD module, which Microsoft has retired: its interface, Azure AD Graph, may answer no more. Then take the
# script for Microsoft.Graph or Microsoft.Entra. If the module is missing: Install-Module AzureAD -Scope CurrentUser
#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -Modules AzureAD

# Preferences of a script do not reach into modules: hence -ErrorAction everywhere.

function Connect-Tenant {
    param([hashtable] $Target, [switch] $DeviceCode)
    if ($DeviceCode) { throw 'the AzureAD module cannot sign in by device code: run the script without -UseDeviceCode' }
    # This command heeds -WhatIf, and then would not sign in.
    $where = @{ TenantId = $Target.Tenant; AzureEnvironmentName = $Target.Environment }
    Connect-AzureAD @where -WhatIf:$false -ErrorAction Stop | Out-Null
}

function Disconnect-Tenant {
    Disconnect-AzureAD -WhatIf:$false -ErrorAction Stop | Out-Null
}

function Find-App {
    param([string] $AppId)
    Get-AzureADServicePrincipal -Filter "appId eq '$AppId'" -ErrorAction Stop | ForEach-Object {
        [pscustomobject] @{ Id = $_.ObjectId; Name = $_.DisplayName; AppRoles = $_.AppRoles }
    }
}

# Nothing if the tenant has never used the role.
function Find-Role {
    param([string] $TemplateId)
    Get-AzureADDirectoryRole -ErrorAction Stop | Where-Object { $_.RoleTemplateId -eq $TemplateId }
}

function Enable-Role {
    param([string] $TemplateId)
    if ($null -eq (Find-Role -TemplateId $TemplateId)) {
        $template = Get-AzureADDirectoryRoleTemplate -ErrorAction Stop | Where-Object { $_.ObjectId -eq $TemplateId }
        if ($null -eq $template) { throw "this cloud has no role with template id $TemplateId" }
        Enable-AzureADDirectoryRole -RoleTemplateId $template.ObjectId -ErrorAction Stop | Out-Null
    }
}

function Test-Role {
    param($App, [string] $TemplateId)
    $held = Find-Role -TemplateId $TemplateId |
        ForEach-Object { Get-AzureADDirectoryRoleMember -ObjectId $_.ObjectId -ErrorAction Stop } |
        Where-Object { $_.ObjectId -eq $App.Id }
    $null -ne $held
}

function Add-Role {
    param($App, [string] $TemplateId)
    $role = Find-Role -TemplateId $TemplateId
    if ($null -eq $role) { throw 'the role was activated a moment ago and does not show yet: run the script again' }
    Add-AzureADDirectoryRoleMember -ObjectId $role.ObjectId -RefObjectId $App.Id -ErrorAction Stop
}

# Of the next two commands one lists what an app has, the other who has something of it; the module's help does not settle
# which is which. What the app has is what both filters let through.
function Get-AppRole {
    param($App, $Graph)
    @(
        Get-AzureADServiceAppRoleAssignedTo -ObjectId $App.Id -All $true -ErrorAction Stop
        Get-AzureADServiceAppRoleAssignment -ObjectId $App.Id -All $true -ErrorAction Stop
    ) |
        Where-Object { $_.ResourceId -eq $Graph.Id -and $_.PrincipalId -eq $App.Id } |
        ForEach-Object { [string] $_.Id }
}

function Add-AppRole {
    param($App, $Graph, [string] $AppRoleId)
    $permission = @{ PrincipalId = $App.Id; ResourceId = $Graph.Id; Id = $AppRoleId }
    New-AzureADServiceAppRoleAssignment -ObjectId $App.Id @permission -ErrorAction Stop | Out-Null
}
