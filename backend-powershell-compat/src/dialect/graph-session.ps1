# What the modules for Microsoft Graph have in common.

# How to sign in, for Connect-MgGraph and Connect-Entra alike. The session lives in this process alone.
function Get-WorkerSession($Request) {
    $session = @{
        Environment = [string]$Request.environment
        NoWelcome   = $true
        ErrorAction = 'Stop'
    }
    if ($Request.method -eq 'access-token') {
        $session.AccessToken = Get-WorkerSecureString
        return $session
    }
    $session.ContextScope = 'Process'
    if ($Request.method -eq 'managed-identity') {
        $session.Identity = $true
        if ($null -ne $Request.client_id) {
            $session.ClientId = [string]$Request.client_id
        }
        return $session
    }
    $session.TenantId = [string]$Request.tenant
    if ($Request.method -eq 'certificate') {
        $session.ClientId = [string]$Request.client_id
        $session.CertificateThumbprint = [string]$Request.thumbprint
    } elseif ($Request.method -eq 'client-secret') {
        $secret = Get-WorkerSecureString
        $session.ClientSecretCredential = New-Object System.Management.Automation.PSCredential([string]$Request.client_id, $secret)
    } elseif ($Request.method -eq 'interactive') {
        $session.Scopes = [string[]]@($Request.scopes)
    } else {
        throw 'this module cannot sign in so'
    }
    return $session
}

# A header of an answer; names of headers have no case.
function Get-WorkerHeader($Headers, $Name) {
    if ($null -ne $Headers) {
        foreach ($key in @($Headers.Keys)) {
            if ([string]$key -eq $Name) {
                return [string]::Join(' ', [string[]]@($Headers[$key]))
            }
        }
    }
    return ''
}

function Get-WorkerAnswer($Status, $Headers, $Body) {
    return @{
        status      = [int]$Status
        request_id  = Get-WorkerHeader $Headers 'request-id'
        retry_after = Get-WorkerHeader $Headers 'Retry-After'
        date        = Get-WorkerHeader $Headers 'Date'
        body        = [string]$Body
    }
}

# Hands on what Graph answers, whatever it is. The address is below the Graph of the session.
function Invoke-WorkerGet($Request) {
    $status = 0
    $headers = $null
    $body = Invoke-MgGraphRequest -Method GET -Uri ([string]$Request.uri) -OutputType Json -SkipHttpErrorCheck -StatusCodeVariable status -ResponseHeadersVariable headers -ErrorAction Stop
    return Get-WorkerAnswer $status $headers $body
}

# The claims of the session's token, without the signature that makes it one.
function Invoke-WorkerClaims {
    $response = Invoke-MgGraphRequest -Method GET -Uri 'v1.0/organization?$select=id' -OutputType HttpResponseMessage -SkipHttpErrorCheck -ErrorAction Stop
    $parts = $response.RequestMessage.Headers.Authorization.Parameter.Split('.')
    return @{ claims = [string]$parts[1] }
}

# A string of JSON, of ASCII alone.
function Get-WorkerJsonText {
    $json = New-Object System.Text.StringBuilder
    foreach ($character in $worker.Text.ToCharArray()) {
        $code = [int]$character
        if (($code -lt 32) -or ($code -gt 126) -or ($code -eq 34) -or ($code -eq 92)) {
            $null = $json.Append('\u').Append($code.ToString('x4'))
        } else {
            $null = $json.Append($character)
        }
    }
    return $json
}

# Sets the password by the request itself, which alone can say that no change is forced. Its body is a stream: module
# logging records of an argument what is in it, be it bytes, but of a stream the type alone.
function Invoke-WorkerPatch($Request) {
    $force = 'false'
    if ($Request.force_change) {
        $force = 'true'
    }
    $json = Get-WorkerJsonText
    $json = $json.Insert(0, '{"passwordProfile":{"password":"').Append('","forceChangePasswordNextSignIn":').Append($force).Append('}}')
    $body = [System.Text.Encoding]::ASCII.GetBytes($json.ToString())
    $null = $json.Clear()
    $status = 0
    $headers = $null
    $uri = 'v1.0/users/' + [string]$Request.account
    $worker.Sent = $true
    $answer = Invoke-MgGraphRequest -Method PATCH -Uri $uri -Body ([System.IO.MemoryStream]::new($body)) -ContentType 'application/json' -OutputType Json -SkipHttpErrorCheck -StatusCodeVariable status -ResponseHeadersVariable headers -ErrorAction Stop
    $worker.Set = ($status -eq 204)
    [Array]::Clear($body, 0, $body.Length)
    return Get-WorkerAnswer $status $headers $answer
}

