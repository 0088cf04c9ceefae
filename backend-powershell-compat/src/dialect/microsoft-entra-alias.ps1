# Microsoft.Entra under the names of the AzureAD module. Its parameters keep the new types.

function Invoke-WorkerConnect($Request) {
    $session = Get-WorkerSession $Request
    Enable-EntraAzureADAlias
    $null = Connect-Entra @session
    # The engine repeats, and must hear that it is asked to wait.
    $null = Set-MgRequestContext -MaxRetry 0
    return @{}
}

function Invoke-WorkerSet($Request) {
    if (-not (Test-WorkerCmdlet $Request)) {
        return Invoke-WorkerPatch $Request
    }
    $password = Get-WorkerSecureString
    $worker.Sent = $true
    $null = Set-AzureADUserPassword -UserId ([string]$Request.account) -Password $password -ForceChangePasswordNextSignIn -ErrorAction Stop
    $worker.Set = $true
    return Get-WorkerAnswer 204 $null ''
}

