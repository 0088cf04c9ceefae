
# With the modules of Microsoft Entra. If they are missing: Install-Module Microsoft.Entra -Scope CurrentUser
#Requires -Version 5.1
#Requires -Modules Microsoft.Entra.Authentication, Microsoft.Entra.Applications
#Requires -Modules Microsoft.Entra.DirectoryManagement, Microsoft.Entra.Governance

# Preferences of a script do not reach into modules: hence -ErrorAction everywhere.

function Connect-Tenant {
    param([hashtable] $Target, [switch] $DeviceCode)
    $scopes = 'Application.Read.All', 'AppRoleAssignment.ReadWrite.All', 'RoleManagement.ReadWrite.Directory'
    # Scope Process: leaves sign-ins of other sessions alone.
    $where = @{ TenantId = $Target.Tenant; Environment = $Target.Environment; ContextScope = 'Process' }
    Connect-Entra @where -Scopes $scopes -UseDeviceCode:$DeviceCode -NoWelcome -ErrorAction Stop
}

function Disconnect-Tenant {
    Disconnect-Entra -ErrorAction Stop | Out-Null
}

function Find-App {
    param([string] $AppId)
    Get-EntraServicePrincipal -Filter "appId eq '$AppId'" -ErrorAction Stop | ForEach-Object {
        [pscustomobject] @{ Id = $_.Id; Name = $_.DisplayName; AppRoles = $_.AppRoles }
    }
}

function Enable-Role {
    param([string] $TemplateId)
    $role = Get-EntraDirectoryRole -Filter "roleTemplateId eq '$TemplateId'" -ErrorAction Stop
    if ($null -eq $role) {
        $template = Get-EntraDirectoryRoleTemplate -ErrorAction Stop | Where-Object { $_.Id -eq $TemplateId }
        if ($null -eq $template) { throw "this cloud has no role with template id $TemplateId" }
        Enable-EntraDirectoryRole -RoleTemplateId $template.Id -ErrorAction Stop | Out-Null
    }
}

# A built-in role's definition has the id of its template.
function Test-Role {
    param($App, [string] $TemplateId)
    $filter = "principalId eq '$($App.Id)'"
    $held = Get-EntraDirectoryRoleAssignment -Filter $filter -All -ErrorAction Stop |
        Where-Object { $_.RoleDefinitionId -eq $TemplateId -and $_.DirectoryScopeId -eq '/' }
    $null -ne $held
}

function Add-Role {
    param($App, [string] $TemplateId)
    $role = @{ PrincipalId = $App.Id; RoleDefinitionId = $TemplateId; DirectoryScopeId = '/' }
    New-EntraDirectoryRoleAssignment @role -ErrorAction Stop | Out-Null
}

function Get-AppRole {
    param($App, $Graph)
    Get-EntraServicePrincipalAppRoleAssignment -ServicePrincipalId $App.Id -All -ErrorAction Stop |
        Where-Object { $_.ResourceId -eq $Graph.Id } |
        ForEach-Object { [string] $_.AppRoleId }
}

function Add-AppRole {
    param($App, $Graph, [string] $AppRoleId)
    $permission = @{ PrincipalId = $App.Id; ResourceId = $Graph.Id; Id = $AppRoleId }
    New-EntraServicePrincipalAppRoleAssignment -ServicePrincipalId $App.Id @permission -ErrorAction Stop | Out-Null
}
