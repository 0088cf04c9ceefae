# ActiveDirectory. Everything is asked of one domain controller: what it has changed, others see only later.

# No drive: making one asks whichever domain controller is near.
$env:ADPS_LoadDefaultDrive = '0'

function Invoke-WorkerConnect($Request) {
    $common = @{
        Server      = [string]$Request.server
        ErrorAction = 'Stop'
    }
    $worker.User = $null
    $worker.Self = $null
    if ($null -ne $Request.user) {
        $password = Get-WorkerSecureString
        $common.Credential = New-Object System.Management.Automation.PSCredential([string]$Request.user, $password)
        $worker.User = [string]$Request.user
    }
    $root = Get-ADRootDSE @common
    $worker.Common = $common
    $worker.Root = [string]$root.defaultNamingContext
    $worker.Base = $worker.Root
    if ($null -ne $Request.search_base) {
        $worker.Base = [string]$Request.search_base
    }
    return @{}
}

# A value of a filter that means nothing but itself.
function Get-WorkerFilterText($Text) {
    return ([string]$Text).Replace('\', '\5c').Replace('*', '\2a').Replace('(', '\28').Replace(')', '\29')
}

function Get-WorkerUser($User) {
    $created = $null
    if ($null -ne $User.whenCreated) {
        $created = ([datetime]$User.whenCreated).ToUniversalTime().ToString('o')
    }
    return @{
        id                  = [string]$User.ObjectGUID
        account_name        = [string]$User.SamAccountName
        user_principal_name = $User.UserPrincipalName
        display_name        = $User.DisplayName
        enabled             = [bool]$User.Enabled
        created             = $created
        password_last_set   = $User.pwdLastSet
        sid                 = [string]$User.SID
        admin_count         = $User.adminCount
        is_critical         = $User.isCriticalSystemObject
        primary_group       = $User.primaryGroupID
    }
}

# All are read before the first is handed on, for an enumeration lapses after half an hour, and its reader may take
# longer. Empty parts say that work goes on.
function Invoke-WorkerUsers($Request) {
    $common = $worker.Common
    $properties = @('displayName', 'userPrincipalName', 'whenCreated', 'pwdLastSet', 'adminCount', 'isCriticalSystemObject', 'primaryGroupID')
    $users = New-Object System.Collections.ArrayList
    foreach ($filter in @($Request.queries)) {
        Get-ADUser @common -LDAPFilter ([string]$filter) -SearchBase $worker.Base -SearchScope Subtree -ResultPageSize 500 -Properties $properties | ForEach-Object {
            $null = $users.Add((Get-WorkerUser $_))
            if (($users.Count % 500) -eq 0) {
                Send-WorkerPart @()
            }
        }
    }
    for ($first = 0; $first -lt $users.Count; $first += 100) {
        $count = [Math]::Min(100, $users.Count - $first)
        Send-WorkerPart ($users.GetRange($first, $count).ToArray())
    }
    return @{}
}

# Everybody in a group that the domain protects, directly or not.
function Invoke-WorkerProtected {
    $common = $worker.Common
    foreach ($group in @(Get-ADGroup @common -LDAPFilter '(adminCount=1)' -SearchBase $worker.Root)) {
        $name = Get-WorkerFilterText $group.DistinguishedName
        $filter = '(&(objectCategory=person)(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=' + $name + '))'
        $ids = New-Object System.Collections.ArrayList
        Get-ADUser @common -LDAPFilter $filter -SearchBase $worker.Root -SearchScope Subtree | ForEach-Object {
            $null = $ids.Add([string]$_.ObjectGUID)
        }
        Send-WorkerPart ($ids.ToArray())
    }
    return @{}
}

# The account of the caller; none if it is of another domain.
function Find-WorkerCaller {
    $common = $worker.Common
    if ($null -eq $worker.User) {
        $filter = '(objectSid=' + [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value + ')'
    } elseif ($worker.User.Contains('@')) {
        $filter = '(userPrincipalName=' + (Get-WorkerFilterText $worker.User) + ')'
    } else {
        $parts = $worker.User.Split('\')
        $filter = '(sAMAccountName=' + (Get-WorkerFilterText $parts[$parts.Count - 1]) + ')'
    }
    return Get-ADObject @common -LDAPFilter $filter -SearchBase $worker.Root
}

# The security ids of all groups that an account is in, directly or not.
function Get-WorkerGroup($Id) {
    $common = $worker.Common
    foreach ($group in @(Get-ADAccountAuthorizationGroup @common -Identity $Id)) {
        [string]$group.SID
    }
}

function Invoke-WorkerCaller {
    $common = $worker.Common
    $found = @(Find-WorkerCaller)
    if ($found.Count -ne 1) {
        throw 'the account that asks is not found in the domain'
    }
    $id = [string]$found[0].ObjectGUID
    $domain = Get-ADDomain @common -Identity $worker.Root
    return @{
        domain = [string]$domain.ObjectGUID
        id     = $id
        groups = [object[]]@(Get-WorkerGroup $id)
    }
}

# Who the caller is, whether it administers the domain, and the conditions of a filter that whoever is in a protected
# group meets. Asked once.
function Get-WorkerSelf {
    $common = $worker.Common
    if ($null -eq $worker.Self) {
        $self = @{ Id = ''; IsAdmin = $false; Protected = '' }
        $found = @(Find-WorkerCaller)
        if ($found.Count -eq 1) {
            $self.Id = [string]$found[0].ObjectGUID
            foreach ($group in @(Get-WorkerGroup $self.Id)) {
                if (($group -eq 'S-1-5-32-544') -or ($group -match '^S-1-5-21-.*-(512|519)$')) {
                    $self.IsAdmin = $true
                }
            }
        }
        foreach ($group in @(Get-ADGroup @common -LDAPFilter '(adminCount=1)' -SearchBase $worker.Root)) {
            $name = Get-WorkerFilterText $group.DistinguishedName
            $self.Protected += '(memberOf:1.2.840.113556.1.4.1941:=' + $name + ')'
        }
        $worker.Self = $self
    }
    return $worker.Self
}

function New-WorkerRefusal($Id, $Message) {
    $exception = New-Object System.UnauthorizedAccessException($Message)
    $category = [System.Management.Automation.ErrorCategory]::PermissionDenied
    return New-Object System.Management.Automation.ErrorRecord($exception, $Id, $category, $null)
}

# Refuses what the engine denies in a domain. Where the accounts are those of a tenant that are synced from here, it has
# judged by the tenant's roles, which say nothing of the domain.
function Assert-WorkerReach($User) {
    $common = $worker.Common
    $self = Get-WorkerSelf
    if ([string]$User.ObjectGUID -eq $self.Id) {
        throw (New-WorkerRefusal 'RotationOwnAccount' 'it is the account that asks')
    }
    if (([string]$User.SID).EndsWith('-502') -or ([string]$User.SamAccountName -like 'krbtgt*')) {
        throw (New-WorkerRefusal 'RotationKrbtgt' 'it is the root of all tickets of the domain')
    }
    if ($self.IsAdmin) {
        return
    }
    $is_protected = ($User.adminCount -eq 1) -or ($User.isCriticalSystemObject -eq $true) -or ($null -eq $User.primaryGroupID)
    $is_protected = $is_protected -or (@(512, 516, 518, 519, 520, 521) -contains $User.primaryGroupID)
    if ((-not $is_protected) -and ($self.Protected -ne '')) {
        # The mark on an account comes late: the groups know first.
        $filter = '(|' + $self.Protected + ')'
        $found = @(Get-ADUser @common -LDAPFilter $filter -SearchBase $User.DistinguishedName -SearchScope Base)
        $is_protected = $found.Count -gt 0
    }
    if ($is_protected) {
        throw (New-WorkerRefusal 'RotationProtected' 'the domain protects the account')
    }
}

function Invoke-WorkerSet($Request) {
    $common = $worker.Common
    $id = [string]$Request.account
    $password = Get-WorkerSecureString
    # Whether the domain controller answers and knows the account is found out before anything is sent, and who it is.
    $user = Get-ADUser @common -Identity $id -Properties @('adminCount', 'isCriticalSystemObject', 'primaryGroupID')
    Assert-WorkerReach $user
    $worker.Sent = $true
    Set-ADAccountPassword @common -Identity $id -Reset -NewPassword $password -Confirm:$false
    $worker.Set = $true
    if ($Request.force_change) {
        Set-ADUser @common -Identity $id -ChangePasswordAtLogon $true -Confirm:$false
    }
    return @{ status = 204 }
}

