# The parameter surface of ActiveDirectory that the worker uses, with the simulator behind it: its users are the domain's.

Import-Module -Name Rotation.Stub

function Get-StubUser($Json) {
    $changed = 0
    if ($null -ne $Json.lastPasswordChangeDateTime) {
        $changed = ([datetime]$Json.lastPasswordChangeDateTime).ToUniversalTime().ToFileTimeUtc()
    }
    return [pscustomobject]@{
        ObjectGUID = [guid]$Json.id; SamAccountName = [string]$Json.userPrincipalName
        UserPrincipalName = [string]$Json.userPrincipalName; DisplayName = $Json.displayName
        Enabled = [bool]$Json.accountEnabled; whenCreated = $Json.createdDateTime; pwdLastSet = [long]$changed
        SID = 'S-1-5-21-1-2-3-1105'; adminCount = $null; isCriticalSystemObject = $null; primaryGroupID = 513
    }
}

function Get-StubUsers([string]$Filter) {
    $select = '$select=id,userPrincipalName,displayName,accountEnabled,createdDateTime,lastPasswordChangeDateTime'
    if ($Filter -match '\(objectGUID=([^)]*)\)') {
        $bytes = [byte[]]@($Matches[1].Split('\') | Where-Object { $_ } | ForEach-Object { [Convert]::ToByte($_, 16) })
        $paths = @('v1.0/users/' + (New-Object System.Guid(, $bytes)).ToString() + '?' + $select)
    } elseif ($Filter -match '\(userPrincipalName=([^)]*)\)') {
        $paths = @('v1.0/users/' + [uri]::EscapeDataString($Matches[1].Replace('\2a', '*').Replace('\28', '(').Replace('\29', ')').Replace('\5c', '\')) + '?' + $select)
    } else {
        $paths = @('v1.0/users?' + $select + '&$top=999')
    }
    while ($paths.Count -gt 0) {
        $answer = Send-Stub 'GET' $paths[0] ([byte[]]@())
        $paths = @()
        $body = ConvertFrom-Json -InputObject (Read-Stub $answer)
        if ($null -ne $body.value) {
            foreach ($user in $body.value) {
                Get-StubUser $user
            }
        } elseif ($null -ne $body.id) {
            Get-StubUser $body
        }
        $next = $body.'@odata.nextLink'
        if ($null -ne $next) {
            $paths = @($next.Substring($next.IndexOf('v1.0/')))
        }
    }
}

function Get-ADRootDSE {
    [CmdletBinding()]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential)
    Connect-Stub $env:ROTATION_STUB_TENANT $Credential.UserName $Credential.Password
    return [pscustomobject]@{ defaultNamingContext = 'DC=contoso,DC=com' }
}

function Get-ADDomain {
    [CmdletBinding()]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential, $Identity)
    return [pscustomobject]@{ ObjectGUID = [guid]$env:ROTATION_STUB_TENANT }
}

function Get-ADUser {
    [CmdletBinding()]
    param(
        [string]$Server, [System.Management.Automation.PSCredential]$Credential, $Identity, [string]$LDAPFilter,
        [string]$SearchBase, [string]$SearchScope, [int]$ResultPageSize, [string[]]$Properties
    )
    if ($null -ne $Identity) {
        $answer = Send-Stub 'GET' ('v1.0/users/' + $Identity) ([byte[]]@())
        if ([int]$answer.StatusCode -ne 200) {
            $exception = New-Object System.Exception('Cannot find an object with this identity.')
            $id = 'ActiveDirectoryServer:8333'
            $PSCmdlet.ThrowTerminatingError((New-Object System.Management.Automation.ErrorRecord($exception, $id, 'ObjectNotFound', $Identity)))
        }
        return Get-StubUser (ConvertFrom-Json -InputObject (Read-Stub $answer))
    }
    Get-StubUsers $LDAPFilter
}

function Get-ADGroup {
    [CmdletBinding()]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential, [string]$LDAPFilter, [string]$SearchBase)
}

function Get-ADObject {
    [CmdletBinding()]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential, [string]$LDAPFilter, [string]$SearchBase)
    return [pscustomobject]@{ ObjectGUID = [guid]'cccccccc-0000-0000-0000-000000000001' }
}

function Get-ADAccountAuthorizationGroup {
    [CmdletBinding()]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential, $Identity)
    return [pscustomobject]@{ SID = 'S-1-5-21-1-2-3-512' }
}

function Set-ADAccountPassword {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [string]$Server, [System.Management.Automation.PSCredential]$Credential, $Identity, [switch]$Reset,
        [securestring]$NewPassword
    )
    $text = (New-Object System.Management.Automation.PSCredential('x', $NewPassword)).GetNetworkCredential().Password
    $answer = Set-StubPassword $Identity $text $false
    if ([int]$answer.StatusCode -ne 204) {
        $exception = New-Object System.Exception('The password does not meet the requirements of the domain.')
        $id = 'ActiveDirectoryServer:1325'
        $PSCmdlet.ThrowTerminatingError((New-Object System.Management.Automation.ErrorRecord($exception, $id, 'InvalidData', $Identity)))
    }
}

function Set-ADUser {
    [CmdletBinding(SupportsShouldProcess)]
    param([string]$Server, [System.Management.Automation.PSCredential]$Credential, $Identity, [bool]$ChangePasswordAtLogon)
}

Export-ModuleMember -Function Get-AD*, Set-AD*
