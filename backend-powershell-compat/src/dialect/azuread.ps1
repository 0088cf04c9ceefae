# AzureAD, retired.

function Invoke-WorkerConnect($Request) {
    $session = @{
        TenantId             = [string]$Request.tenant
        AzureEnvironmentName = [string]$Request.environment
        ErrorAction          = 'Stop'
    }
    if ($Request.method -eq 'certificate') {
        $session.ApplicationId = [string]$Request.client_id
        $session.CertificateThumbprint = [string]$Request.thumbprint
    } elseif ($Request.method -ne 'interactive') {
        throw 'this module cannot sign in so'
    }
    $null = Connect-AzureAD @session
    return @{}
}

function Get-WorkerUser($User) {
    $changed = $null
    if ($null -ne $User.RefreshTokensValidFromDateTime) {
        $changed = ([datetime]$User.RefreshTokensValidFromDateTime).ToUniversalTime().ToString('o')
    }
    return @{
        id                  = [string]$User.ObjectId
        user_principal_name = [string]$User.UserPrincipalName
        display_name        = $User.DisplayName
        enabled             = $User.AccountEnabled
        user_type           = $User.UserType
        synced              = $User.DirSyncEnabled
        password_changed    = $changed
    }
}

# All accounts, or those that are named. Handed on as they come: the service keeps no state that could lapse.
function Invoke-WorkerUsers($Request) {
    $names = @($Request.queries)
    if ($names.Count -eq 0) {
        Get-AzureADUser -All $true -ErrorAction Stop | ForEach-Object { Send-WorkerPart (Get-WorkerUser $_) }
        return @{}
    }
    foreach ($name in $names) {
        $user = $null
        try {
            $user = Get-AzureADUser -ObjectId ([string]$name) -ErrorAction Stop
        } catch {
            if ([string]$_.Exception.Message -notlike '*Request_ResourceNotFound*') {
                throw
            }
        }
        if ($null -ne $user) {
            Send-WorkerPart (Get-WorkerUser $user)
        }
    }
    return @{}
}

function Invoke-WorkerCaller {
    $session = Get-AzureADCurrentSessionInfo -ErrorAction Stop
    $name = [string]$session.Account.Id
    $is_person = [string]$session.Account.Type -ne 'ServicePrincipal'
    if ($is_person) {
        $identity = Get-AzureADUser -ObjectId $name -ErrorAction Stop
    } else {
        $identity = Get-AzureADServicePrincipal -Filter ("appId eq '" + $name.Replace("'", "''") + "'") -ErrorAction Stop
    }
    $roles = New-Object System.Collections.ArrayList
    foreach ($role in @(Get-AzureADDirectoryRole -ErrorAction Stop)) {
        foreach ($member in @(Get-AzureADDirectoryRoleMember -ObjectId $role.ObjectId -ErrorAction Stop)) {
            if ([string]$member.ObjectId -eq [string]$identity.ObjectId) {
                $null = $roles.Add([string]$role.RoleTemplateId)
            }
        }
    }
    return @{
        tenant    = [string]$session.TenantId
        id        = [string]$identity.ObjectId
        is_person = [bool]$is_person
        roles     = [object[]]$roles.ToArray()
    }
}

function Invoke-WorkerSet($Request) {
    $password = Get-WorkerSecureString
    $worker.Sent = $true
    $null = Set-AzureADUserPassword -ObjectId ([string]$Request.account) -Password $password -ForceChangePasswordNextLogin ([bool]$Request.force_change) -ErrorAction Stop
    $worker.Set = $true
    return @{ status = 204 }
}

