# The parameter surface of Microsoft.Graph that the worker uses, with the simulator behind it.

Import-Module -Name Rotation.Stub

function Connect-MgGraph {
    [CmdletBinding()]
    param(
        [string[]]$Scopes, [string]$ClientId, [string]$TenantId, [string]$ContextScope, [string]$Environment,
        [string]$CertificateThumbprint, [System.Management.Automation.PSCredential]$ClientSecretCredential,
        [securestring]$AccessToken, [switch]$Identity, [switch]$NoWelcome
    )
    if (-not $NoWelcome) {
        Write-Host 'Welcome to Microsoft Graph!'
    }
    Connect-Stub $TenantId $ClientSecretCredential.UserName $ClientSecretCredential.Password
}

function Set-MgRequestContext {
    [CmdletBinding()]
    param([int]$RetryDelay, [int]$MaxRetry, [int]$RetriesTimeLimit, [int]$ClientTimeout)
    return @{ MaxRetry = $MaxRetry }
}

function Invoke-MgGraphRequest {
    [CmdletBinding()]
    param(
        [string]$Method, [uri]$Uri, $Body, [string]$ContentType, [string]$OutputType, [switch]$SkipHttpErrorCheck,
        [string]$StatusCodeVariable, [string]$ResponseHeadersVariable
    )
    $bytes = [byte[]]@()
    if ($null -ne $Body) {
        $bytes = [byte[]]$Body
    }
    $answer = Send-Stub $Method $Uri.OriginalString $bytes
    if ($OutputType -eq 'HttpResponseMessage') {
        return $answer
    }
    $headers = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    foreach ($header in $answer.Headers) {
        $headers.Add($header.Key, [string[]]@($header.Value))
    }
    if ($StatusCodeVariable) {
        $PSCmdlet.SessionState.PSVariable.Set($StatusCodeVariable, [int]$answer.StatusCode)
    }
    if ($ResponseHeadersVariable) {
        $PSCmdlet.SessionState.PSVariable.Set($ResponseHeadersVariable, $headers)
    }
    return Read-Stub $answer
}

function Update-MgUser {
    [CmdletBinding()]
    param([string]$UserId, [hashtable]$PasswordProfile, [string]$ResponseHeadersVariable)
    $answer = Set-StubPassword $UserId $PasswordProfile.Password $PasswordProfile.ForceChangePasswordNextSignIn
    if ([int]$answer.StatusCode -ne 204) {
        $PSCmdlet.WriteError((New-StubError $answer))
    }
}

Export-ModuleMember -Function Connect-MgGraph, Set-MgRequestContext, Invoke-MgGraphRequest, Update-MgUser
