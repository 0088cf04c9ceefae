# Microsoft.Entra

function Invoke-WorkerConnect($Request) {
    $session = Get-WorkerSession $Request
    $null = Connect-Entra @session
    # The engine repeats, and must hear that it is asked to wait.
    $null = Set-MgRequestContext -MaxRetry 0
    return @{}
}

# The cmdlet cannot say that no change is forced: it leaves the switch out, or sends true. And off Windows it sends no more
# than the first character of the password, for it reads the text of a SecureString as if it were UTF-8.
function Test-WorkerCmdlet($Request) {
    $is_windows = [string][System.Environment]::OSVersion.Platform -eq 'Win32NT'
    $parameters = (Get-Command -Name Set-EntraUserPasswordProfile).Parameters
    return [bool]($Request.force_change -and $is_windows -and $parameters.ContainsKey('ForceChangePasswordNextSignIn'))
}

function Invoke-WorkerSet($Request) {
    if (-not (Test-WorkerCmdlet $Request)) {
        return Invoke-WorkerPatch $Request
    }
    $password = Get-WorkerSecureString
    $worker.Sent = $true
    $null = Set-EntraUserPasswordProfile -UserId ([string]$Request.account) -Password $password -ForceChangePasswordNextSignIn -ErrorAction Stop
    $worker.Set = $true
    return Get-WorkerAnswer 204 $null ''
}

