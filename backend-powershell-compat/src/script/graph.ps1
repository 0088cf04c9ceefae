
# With the modules of Microsoft Graph. If they are missing: Install-Module Microsoft.Graph -Scope CurrentUser
#Requires -Version 5.1
#Requires -Modules @{ ModuleName = 'Microsoft.Graph.Authentication'; ModuleVersion = '2.0.0' }
#Requires -Modules Microsoft.Graph.Applications, Microsoft.Graph.Identity.DirectoryManagement
#Requires -Modules Microsoft.Graph.Identity.Governance

# Preferences of a script do not reach into modules: hence -ErrorAction everywhere.

function Connect-Tenant {
    param([hashtable] $Target, [switch] $DeviceCode)
    $scopes = 'Application.Read.All', 'AppRoleAssignment.ReadWrite.All', 'RoleManagement.ReadWrite.Directory'
    # Scope Process: leaves sign-ins of other sessions alone.
    $where = @{ TenantId = $Target.Tenant; Environment = $Target.Environment; ContextScope = 'Process' }
    Connect-MgGraph @where -Scopes $scopes -UseDeviceCode:$DeviceCode -NoWelcome -ErrorAction Stop
}

function Disconnect-Tenant {
    Disconnect-MgGraph -ErrorAction Stop | Out-Null
}

function Find-App {
    param([string] $AppId)
    Get-MgServicePrincipal -Filter "appId eq '$AppId'" -ErrorAction Stop | ForEach-Object {
        [pscustomobject] @{ Id = $_.Id; Name = $_.DisplayName; AppRoles = $_.AppRoles }
    }
}

function Enable-Role {
    param([string] $TemplateId)
    $role = Get-MgDirectoryRole -Filter "roleTemplateId eq '$TemplateId'" -ErrorAction Stop
    if ($null -eq $role) {
        $template = Get-MgDirectoryRoleTemplate -DirectoryRoleTemplateId $TemplateId -ErrorAction Stop
        New-MgDirectoryRole -RoleTemplateId $template.Id -ErrorAction Stop | Out-Null
    }
}

# A built-in role's definition has the id of its template.
function Test-Role {
    param($App, [string] $TemplateId)
    $filter = "principalId eq '$($App.Id)'"
    $held = Get-MgRoleManagementDirectoryRoleAssignment -Filter $filter -All -ErrorAction Stop |
        Where-Object { $_.RoleDefinitionId -eq $TemplateId -and $_.DirectoryScopeId -eq '/' }
    $null -ne $held
}

function Add-Role {
    param($App, [string] $TemplateId)
    $role = @{ PrincipalId = $App.Id; RoleDefinitionId = $TemplateId; DirectoryScopeId = '/' }
    New-MgRoleManagementDirectoryRoleAssignment @role -ErrorAction Stop | Out-Null
}

function Get-AppRole {
    param($App, $Graph)
    Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $App.Id -All -ErrorAction Stop |
        Where-Object { $_.ResourceId -eq $Graph.Id } |
        ForEach-Object { [string] $_.AppRoleId }
}

function Add-AppRole {
    param($App, $Graph, [string] $AppRoleId)
    $permission = @{ PrincipalId = $App.Id; ResourceId = $Graph.Id; AppRoleId = $AppRoleId }
    New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $App.Id @permission -ErrorAction Stop | Out-Null
}
