# What the stubs of the modules for Microsoft Graph do: they ask the simulator over HTTP, as the real ones ask Graph.

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
    $response = Send-Request -Method $Bound.Method -Uri $Bound.Uri -Body $Bound.Body -ContentType $Bound.ContentType
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

function Invoke-Update {
    param($Bound, $Cmdlet)
    $new = $Bound.PasswordProfile
    $passwordProfile = @{ password = $new.Password; forceChangePasswordNextSignIn = $new.ForceChangePasswordNextSignIn }
    $json = ConvertTo-Json -InputObject @{ passwordProfile = $passwordProfile } -Compress
    $bytes = [System.Text.Encoding]::UTF8.GetBytes($json)
    $uri = 'v1.0/users/' + $Bound.UserId
    $response = Send-Request -Method 'PATCH' -Uri $uri -Body $bytes -ContentType 'application/json'
    Set-CallerVariable -Bound $Bound -Cmdlet $Cmdlet -Response $response
    if ([int] $response.StatusCode -ge 400) { Write-GraphError -Response $response }
}
