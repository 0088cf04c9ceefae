# The parameter surface of Microsoft.Entra that the worker uses, with the simulator behind it.

Import-Module -Name Rotation.Stub
Import-Module -Name Microsoft.Graph.Users

function Connect-Entra {
    [CmdletBinding()]
    param(
        [string[]]$Scopes, [string]$ClientId, [string]$TenantId, $ContextScope, [string]$Environment,
        [string]$CertificateThumbprint, [System.Management.Automation.PSCredential]$ClientSecretCredential,
        [securestring]$AccessToken, [switch]$Identity, [switch]$NoWelcome
    )
    Connect-MgGraph @PSBoundParameters
}

function Enable-EntraAzureADAlias {
    Set-Alias -Name Set-AzureADUserPassword -Value Set-EntraUserPasswordProfile -Scope Global -Force
}

function Set-EntraUserPasswordProfile {
    [CmdletBinding()]
    param(
        [string]$UserId, [securestring]$Password, [switch]$ForceChangePasswordNextSignIn,
        [switch]$ForceChangePasswordNextSignInWithMfa
    )
    $text = (New-Object System.Management.Automation.PSCredential('x', $Password)).GetNetworkCredential().Password
    Update-MgUser -UserId $UserId -PasswordProfile @{ Password = $text; ForceChangePasswordNextSignIn = $true }
}

Export-ModuleMember -Function Connect-Entra, Enable-EntraAzureADAlias, Set-EntraUserPasswordProfile, Set-MgRequestContext, Invoke-MgGraphRequest -Alias *
