# What the dialects of Microsoft.Entra have in common.

# Whether the module's own cmdlet can set this password. It cannot say that no change is forced: it leaves the switch out,
# or sends true. And off Windows it sends no more than the first character of the password, for it reads the text of a
# SecureString as if it were UTF-8.
function Test-WorkerCmdlet($Request) {
    if ((-not $Request.force_change) -or ([string][System.Environment]::OSVersion.Platform -ne 'Win32NT')) {
        return $false
    }
    $force = (Get-Command -Name Set-EntraUserPasswordProfile).Parameters['ForceChangePasswordNextSignIn']
    # Of another type, it would take what follows it for its value.
    return [bool](($null -ne $force) -and ($force.ParameterType -eq [System.Management.Automation.SwitchParameter]))
}

