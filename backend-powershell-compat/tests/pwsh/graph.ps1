# What the stubs do for workers: they ask the simulator over HTTP, as the real ones ask Graph. A domain's accounts are its
# users.

function Send-Request {
    param([string] $Method, [string] $Uri, [byte[]] $Body, [string] $ContentType)
    $address = $Uri
    if (-not $Uri.StartsWith('http')) { $address = $env:STUB_GRAPH + '/' + $Uri.TrimStart('/') }
    $request = [System.Net.Http.HttpRequestMessage]::new([System.Net.Http.HttpMethod]::new($Method), $address)
    if ($null -ne $global:StubToken) {
        $request.Headers.Authorization = [System.Net.Http.Headers.AuthenticationHeaderValue]::new('Bearer', $global:StubToken)
    }
    if ($null -ne $Body) {
        $request.Content = [System.Net.Http.ByteArrayContent]::new($Body)
        $request.Content.Headers.ContentType = [System.Net.Http.Headers.MediaTypeHeaderValue]::Parse($ContentType)
    }
    $client = [System.Net.Http.HttpClient]::new()
    $client.SendAsync($request).GetAwaiter().GetResult()
}

function Read-Body {
    param($Response)
    $Response.Content.ReadAsStringAsync().GetAwaiter().GetResult()
}

# Sets the variables of the caller that a cmdlet was told to set.
function Set-CallerVariable {
    param($Bound, $Cmdlet, $Response)
    $variables = $Cmdlet.SessionState.PSVariable
    if ($Bound.ContainsKey('StatusCodeVariable')) {
        $variables.Set($Bound.StatusCodeVariable, [int] $Response.StatusCode)
    }
    if ($Bound.ContainsKey('ResponseHeadersVariable')) {
        $headers = @{}
        foreach ($header in $Response.Headers) { $headers[$header.Key] = [string[]] $header.Value }
        $variables.Set($Bound.ResponseHeadersVariable, $headers)
    }
}

function Invoke-Connect {
    param($Bound, $Cmdlet)
    $global:StubToken = $null
    $credential = $Bound.ClientSecretCredential.GetNetworkCredential()
    $form = 'grant_type=client_credentials&client_id=' + $credential.UserName +
        '&client_secret=' + [uri]::EscapeDataString($credential.Password) +
        '&scope=' + [uri]::EscapeDataString($env:STUB_GRAPH + '/.default')
    $bytes = [System.Text.Encoding]::ASCII.GetBytes($form)
    $uri = $Bound.TenantId + '/oauth2/v2.0/token'
    $response = Send-Request -Method 'POST' -Uri $uri -Body $bytes -ContentType 'application/x-www-form-urlencoded'
    $answer = ConvertFrom-Json -InputObject (Read-Body -Response $response)
    if ($null -eq $answer.access_token) {
        Write-Error -Message $answer.error_description
        return
    }
    $global:StubToken = $answer.access_token
}

# Repeats are nothing that a stub does, and the aliases are nothing that a worker calls off Windows.
function Invoke-Nothing {
    param($Bound, $Cmdlet)
}

function Invoke-Ask {
    param($Bound, $Cmdlet)
    $body = $null
    if ($Bound.ContainsKey('Body')) {
        if ($Bound.Body -isnot [System.IO.Stream]) { throw 'module logging would record this body' }
        $body = $Bound.Body.ToArray()
    }
    $response = Send-Request -Method $Bound.Method -Uri $Bound.Uri -Body $body -ContentType $Bound.ContentType
    Set-CallerVariable -Bound $Bound -Cmdlet $Cmdlet -Response $response
    if ($Bound.OutputType -eq 'HttpResponseMessage') { return $response }
    Read-Body -Response $response
}

# An error as Microsoft Graph PowerShell words it.
function Write-GraphError {
    param($Response)
    $told = (ConvertFrom-Json -InputObject (Read-Body -Response $Response)).error
    $status = [int] $Response.StatusCode
    $message = "$($told.message)`n`nStatus: $status ($($Response.StatusCode))`nErrorCode: $($told.code)`n`nHeaders:`n"
    foreach ($header in $Response.Headers) { $message += "$($header.Key) : $($header.Value)`n" }
    Write-Error -Message $message -ErrorId $told.code
}

function Send-Password {
    param([string] $Account, [string] $Password, [bool] $Force)
    $passwordProfile = @{ password = $Password; forceChangePasswordNextSignIn = $Force }
    $json = ConvertTo-Json -InputObject @{ passwordProfile = $passwordProfile } -Compress
    $bytes = [System.Text.Encoding]::UTF8.GetBytes($json)
    Send-Request -Method 'PATCH' -Uri ('v1.0/users/' + $Account) -Body $bytes -ContentType 'application/json'
}

function Invoke-Update {
    param($Bound, $Cmdlet)
    $new = $Bound.PasswordProfile
    $response = Send-Password -Account $Bound.UserId -Password $new.Password -Force $new.ForceChangePasswordNextSignIn
    Set-CallerVariable -Bound $Bound -Cmdlet $Cmdlet -Response $response
    if ([int] $response.StatusCode -ge 400) { Write-GraphError -Response $response }
}

function Invoke-ConnectDomain {
    param($Bound, $Cmdlet)
    Invoke-Connect -Bound @{ ClientSecretCredential = $Bound.Credential; TenantId = $env:STUB_TENANT } -Cmdlet $Cmdlet
    [pscustomobject] @{ defaultNamingContext = 'DC=contoso,DC=com' }
}

function Invoke-FindDomain {
    param($Bound, $Cmdlet)
    [pscustomobject] @{ ObjectGUID = [guid] $env:STUB_TENANT }
}

function Get-DomainUser {
    param($User)
    $changed = 0
    if ($null -ne $User.lastPasswordChangeDateTime) {
        $changed = ([datetime] $User.lastPasswordChangeDateTime).ToUniversalTime().ToFileTimeUtc()
    }
    [pscustomobject] @{
        ObjectGUID = [guid] $User.id; SamAccountName = $User.userPrincipalName; SID = 'S-1-5-21-1-2-3-1105'
        DistinguishedName = 'CN=' + $User.id + ',DC=contoso,DC=com'
        UserPrincipalName = $User.userPrincipalName; DisplayName = $User.displayName
        Enabled = [bool] $User.accountEnabled; whenCreated = $User.createdDateTime; pwdLastSet = [long] $changed
        adminCount = $null; isCriticalSystemObject = $null; primaryGroupID = 513
    }
}

function Get-UserPath {
    param([string] $Name)
    $path = 'v1.0/users'
    if ($Name -ne '') { $path += '/' + [uri]::EscapeDataString($Name) }
    $path + '?$select=id,userPrincipalName,displayName,accountEnabled,createdDateTime,lastPasswordChangeDateTime'
}

# One account, by its id or by a filter that the worker makes, or all of them.
function Invoke-FindAccount {
    param($Bound, $Cmdlet)
    if ($Bound.LDAPFilter -like '*(memberOf:*') {
        # Whether this account is in the protected group; its mark comes later.
        if ($Bound.SearchBase -like "CN=$env:STUB_PROTECTED,*") { [pscustomobject] @{ DistinguishedName = $Bound.SearchBase } }
        return
    }
    $name = [string] $Bound.Identity
    if ($Bound.LDAPFilter -match '\(objectGUID=([^)]*)\)') {
        $bytes = $Matches[1].Split('\') | Where-Object { $_ } | ForEach-Object { [Convert]::ToByte($_, 16) }
        $name = [guid]::new([byte[]] $bytes).ToString()
    }
    elseif ($Bound.LDAPFilter -match '\(userPrincipalName=([^)]*)\)') {
        $name = [regex]::Replace($Matches[1], '\\([0-9a-f]{2})', { param($hex) [string] [char] [Convert]::ToByte($hex.Groups[1].Value, 16) })
    }
    $path = Get-UserPath -Name $name
    while ($null -ne $path) {
        $response = Send-Request -Method 'GET' -Uri $path
        if ([int] $response.StatusCode -ne 200) {
            if ($Bound.ContainsKey('Identity')) {
                Write-Error -Message 'there is no such account' -ErrorId 'ActiveDirectoryServer:8333'
            }
            return
        }
        $body = ConvertFrom-Json -InputObject (Read-Body -Response $response)
        $path = $body.'@odata.nextLink'
        $users = @($body)
        if ($name -eq '') { $users = $body.value }
        $users | ForEach-Object { Get-DomainUser -User $_ }
    }
}

# The one group that is protected. Who is in it is asked of the accounts.
function Invoke-FindGroup {
    param($Bound, $Cmdlet)
    [pscustomobject] @{ DistinguishedName = 'CN=Domain Admins,DC=contoso,DC=com' }
}

function Invoke-FindCaller {
    param($Bound, $Cmdlet)
    [pscustomobject] @{ ObjectGUID = [guid] $env:STUB_CALLER }
}

function Invoke-FindGroupOfCaller {
    param($Bound, $Cmdlet)
    [pscustomobject] @{ SID = $env:STUB_GROUP }
}

function Invoke-Reset {
    param($Bound, $Cmdlet)
    $password = [System.Net.NetworkCredential]::new('', $Bound.NewPassword).Password
    $response = Send-Password -Account $Bound.Identity -Password $password -Force $false
    if ([int] $response.StatusCode -ge 400) {
        Write-Error -Message 'the password does not meet the requirements' -ErrorId 'ActiveDirectoryServer:1325'
    }
}
