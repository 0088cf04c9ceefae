# What the dialects of Microsoft.Entra have in common.

# Whether the module's own cmdlet can set this password. It cannot say that no change is forced: it leaves the switch out,
# or sends true. And off Windows it sends no more than the first character of the password, for it reads the text of a
# SecureString as if it were UTF-8.
function Test-WorkerCmdlet($Request) {
    $is_windows = [string][System.Environment]::OSVersion.Platform -eq 'Win32NT'
    $parameters = (Get-Command -Name Set-EntraUserPasswordProfile).Parameters
    return [bool]($Request.force_change -and $is_windows -and $parameters.ContainsKey('ForceChangePasswordNextSignIn'))
}

