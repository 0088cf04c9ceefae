# What the stubs of the modules do: directories in memory, of which one JSON file remembers what is granted. Each function
# gets what its cmdlet was given, under the names of all three modules.

function Read-Directory {
    Get-Content -LiteralPath $env:STUB_DIRECTORY -Raw | ConvertFrom-Json
}

function Save-Directory {
    param($Directory)
    $Directory.Writes += 1
    ConvertTo-Json -InputObject $Directory -Depth 5 | Set-Content -LiteralPath $env:STUB_DIRECTORY
}

function Get-Tenant {
    if ($null -eq $global:StubTenant) { throw 'not connected' }
    $global:StubTenant
}

# Ids have no quote, as those of objects have none.
function Get-Id {
    param([string] $Of)
    $tenant = (Get-Tenant) -replace '[^a-z.]', '-'
    "$Of of $tenant"
}

# A failed sign-in leaves the session of before, and is an error that stops nobody who does not ask for it.
function Invoke-Connect {
    param($Bound, $Cmdlet)
    if ((Read-Directory).Down -contains $Bound.TenantId) {
        Write-Error -Message "AADSTS90002: there is no tenant $($Bound.TenantId)"
        return
    }
    if ($Bound.ContainsKey('AzureEnvironmentName') -and $Bound.WhatIf -ne $false) { throw 'no -WhatIf:$false' }
    $global:StubTenant = $Bound.TenantId
}

function Invoke-Disconnect {
    param($Bound, $Cmdlet)
    $global:StubTenant = $null
}

function Read-Filter {
    param($Bound, [string] $Property)
    if ($Bound.Filter -match "^$Property eq '([^']+)'`$") { $Matches[1] }
    else { throw "not a filter by ${Property}: $($Bound.Filter)" }
}

function Invoke-FindApp {
    param($Bound, $Cmdlet)
    $tenant = Get-Tenant
    $appId = Read-Filter -Bound $Bound -Property 'appId'
    $app = [pscustomobject] @{ Id = $null; ObjectId = $null; DisplayName = 'Rotation'; AppRoles = @() }
    if ($appId -eq '00000003-0000-0000-c000-000000000000') {
        $app.Id = Get-Id -Of 'graph'
        $app.AppRoles = @(foreach ($permission in 'User.Read.All', 'User-PasswordProfile.ReadWrite.All') {
            [pscustomobject] @{ Id = "id of $permission"; Value = $permission; AllowedMemberTypes = @('Application') }
        })
    }
    elseif ((Read-Directory).Apps -contains "$tenant $appId") { $app.Id = Get-Id -Of 'app' }
    else { return }
    $app.ObjectId = $app.Id
    $app
}

function Get-Held {
    param([string] $What)
    $tenant = Get-Tenant
    (Read-Directory).Held | Where-Object { $_.Tenant -eq $tenant -and $_.What -eq $What }
}

# Whatever is there already cannot be made again.
function Add-Held {
    param([string] $What, [string] $Id)
    $ids = @(Get-Held -What $What | ForEach-Object { $_.Id })
    if ($ids -contains $Id) {
        Write-Error -Message "$What $Id exists already"
        return
    }
    $directory = Read-Directory
    $directory.Held += [pscustomobject] @{ Tenant = Get-Tenant; What = $What; Id = $Id }
    Save-Directory -Directory $directory
}

function Invoke-FindRole {
    param($Bound, $Cmdlet)
    Get-Held -What 'activated' | ForEach-Object {
        [pscustomobject] @{ Id = "role $($_.Id)"; ObjectId = "role $($_.Id)"; RoleTemplateId = $_.Id }
    } | Where-Object {
        (-not $Bound.ContainsKey('Filter')) -or $_.RoleTemplateId -eq (Read-Filter -Bound $Bound -Property 'roleTemplateId')
    }
}

function Invoke-FindTemplate {
    param($Bound, $Cmdlet)
    $wanted = $Bound.DirectoryRoleTemplateId
    $found = (Read-Directory).Templates | Where-Object { $null -eq $wanted -or $_ -eq $wanted }
    if ($null -eq $found) { Write-Error -Message "there is no template $wanted" }
    $found | ForEach-Object { [pscustomobject] @{ Id = $_; ObjectId = $_ } }
}

function Invoke-ActivateRole {
    param($Bound, $Cmdlet)
    Add-Held -What 'activated' -Id $Bound.RoleTemplateId
}

function Invoke-ListRole {
    param($Bound, $Cmdlet)
    $principal = Read-Filter -Bound $Bound -Property 'principalId'
    if ($principal -ne (Get-Id -Of 'app')) { throw "not the app: $principal" }
    Get-Held -What 'role' | ForEach-Object {
        [pscustomobject] @{ PrincipalId = $principal; RoleDefinitionId = $_.Id; DirectoryScopeId = '/' }
    }
}

function Invoke-AssignRole {
    param($Bound, $Cmdlet)
    if ($Bound.PrincipalId -ne (Get-Id -Of 'app')) { throw "not the app: $($Bound.PrincipalId)" }
    if ($Bound.DirectoryScopeId -ne '/') { throw "not the tenant: $($Bound.DirectoryScopeId)" }
    Add-Held -What 'role' -Id $Bound.RoleDefinitionId
}

function Invoke-ListMember {
    param($Bound, $Cmdlet)
    Get-Held -What 'role' |
        Where-Object { "role $($_.Id)" -eq $Bound.ObjectId } |
        ForEach-Object { [pscustomobject] @{ ObjectId = (Get-Id -Of 'app') } }
}

function Invoke-AddMember {
    param($Bound, $Cmdlet)
    $role = Get-Held -What 'activated' | Where-Object { "role $($_.Id)" -eq $Bound.ObjectId }
    if ($null -eq $role) { throw "no activated role has the id $($Bound.ObjectId)" }
    if ($Bound.RefObjectId -ne (Get-Id -Of 'app')) { throw "not the app: $($Bound.RefObjectId)" }
    Add-Held -What 'role' -Id $role.Id
}

function Invoke-ListPermission {
    param($Bound, $Cmdlet)
    Get-Held -What 'permission' | ForEach-Object {
        $granted = @{ PrincipalId = (Get-Id -Of 'app'); ResourceId = (Get-Id -Of 'graph'); AppRoleId = $_.Id; Id = 'other' }
        # AzureAD has it in another property.
        if ($Bound.ContainsKey('ObjectId')) { $granted.Id = $_.Id }
        [pscustomobject] $granted
    }
}

# AzureAD's list of who has something of the app: nobody.
function Invoke-ListHolder {
    param($Bound, $Cmdlet)
}

function Invoke-GrantPermission {
    param($Bound, $Cmdlet)
    if ($Bound.PrincipalId -ne (Get-Id -Of 'app')) { throw "not the app: $($Bound.PrincipalId)" }
    if ($Bound.ResourceId -ne (Get-Id -Of 'graph')) { throw "not Graph: $($Bound.ResourceId)" }
    $appRole = $Bound.AppRoleId
    if ($null -eq $appRole) { $appRole = $Bound.Id }
    Add-Held -What 'permission' -Id $appRole
}
