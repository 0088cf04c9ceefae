# Microsoft.Graph

function Invoke-WorkerConnect($Request) {
    $session = Get-WorkerSession $Request
    $null = Connect-MgGraph @session
    # The engine repeats, and must hear that it is asked to wait.
    $null = Set-MgRequestContext -MaxRetry 0
    return @{}
}

function Invoke-WorkerSet($Request) {
    $new = @{
        Password                      = $worker.Text
        ForceChangePasswordNextSignIn = [bool]$Request.force_change
    }
    $headers = $null
    $user = @{
        UserId          = [string]$Request.account
        PasswordProfile = $new
        ErrorAction     = 'Stop'
    }
    # Newer versions tell the headers of the answer.
    if ((Get-Command -Name Update-MgUser).Parameters.ContainsKey('ResponseHeadersVariable')) {
        $user.ResponseHeadersVariable = 'headers'
    }
    $worker.Sent = $true
    $null = Update-MgUser @user
    $worker.Set = $true
    $new.Clear()
    # Success is documented as 204 alone.
    return Get-WorkerAnswer 204 $headers ''
}

