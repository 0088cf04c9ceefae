# What the stubs share: a session with the simulator, whose address is in ROTATION_STUB_GRAPH.

$session = @{ Token = $null; Client = (New-Object System.Net.Http.HttpClient) }

function Connect-Stub([string]$TenantId, [string]$ClientId, [securestring]$Secret) {
    $text = (New-Object System.Management.Automation.PSCredential('x', $Secret)).GetNetworkCredential().Password
    $form = New-Object 'System.Collections.Generic.Dictionary[string,string]'
    $form.Add('grant_type', 'client_credentials')
    $form.Add('client_id', $ClientId)
    $form.Add('client_secret', $text)
    $form.Add('scope', $env:ROTATION_STUB_GRAPH + '/.default')
    $content = New-Object System.Net.Http.FormUrlEncodedContent($form)
    $uri = $env:ROTATION_STUB_GRAPH + '/' + $TenantId + '/oauth2/v2.0/token'
    $answer = $session.Client.PostAsync($uri, $content).GetAwaiter().GetResult()
    $body = $answer.Content.ReadAsStringAsync().GetAwaiter().GetResult()
    $session.Token = (ConvertFrom-Json -InputObject $body).access_token
    if ($null -eq $session.Token) {
        throw $body
    }
}

# The answer of the simulator to one request.
function Send-Stub([string]$Method, [string]$Uri, [byte[]]$Body) {
    if ($null -eq $session.Token) {
        throw 'Authentication needed. Please call Connect-MgGraph.'
    }
    $address = $env:ROTATION_STUB_GRAPH + '/' + $Uri
    $request = New-Object System.Net.Http.HttpRequestMessage((New-Object System.Net.Http.HttpMethod($Method)), $address)
    $request.Headers.Authorization = New-Object System.Net.Http.Headers.AuthenticationHeaderValue('Bearer', $session.Token)
    if ($Body.Length -gt 0) {
        $request.Content = New-Object System.Net.Http.ByteArrayContent(@(, $Body))
        $null = $request.Content.Headers.TryAddWithoutValidation('Content-Type', 'application/json')
    }
    return $session.Client.SendAsync($request).GetAwaiter().GetResult()
}

function Read-Stub($Answer) {
    return $Answer.Content.ReadAsStringAsync().GetAwaiter().GetResult()
}

# Sets a password. The text is escaped by the JSON of the platform.
function Set-StubPassword([string]$UserId, [string]$Password, [bool]$Force) {
    $json = ConvertTo-Json -Compress -InputObject @{ passwordProfile = @{ password = $Password; forceChangePasswordNextSignIn = $Force } }
    return Send-Stub 'PATCH' ('v1.0/users/' + $UserId) ([System.Text.Encoding]::UTF8.GetBytes($json))
}

# An error record as the cmdlets of Microsoft Graph write them.
function New-StubError($Answer) {
    $id = 'UnknownError'
    $message = Read-Stub $Answer
    $parsed = ConvertFrom-Json -InputObject $message
    if ($null -ne $parsed.error) {
        $id = [string]$parsed.error.code
        $message = [string]$parsed.error.message
    }
    $lines = @($message, '', ('Status: ' + [int]$Answer.StatusCode + ' (' + $Answer.StatusCode + ')'), ('ErrorCode: ' + $id), '', 'Headers:')
    foreach ($header in $Answer.Headers) {
        $lines += ($header.Key + ' : ' + [string]::Join(',', [string[]]@($header.Value)))
    }
    $exception = New-Object System.Exception('[' + $id + '] : ' + $message)
    $record = New-Object System.Management.Automation.ErrorRecord($exception, $id, 'InvalidOperation', $null)
    $record.ErrorDetails = New-Object System.Management.Automation.ErrorDetails([string]::Join("`n", $lines))
    return $record
}

Export-ModuleMember -Function Connect-Stub, Send-Stub, Read-Stub, Set-StubPassword, New-StubError
