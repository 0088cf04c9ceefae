
function Find-AppRole {
    param($Graph, [string] $Permission)
    $found = $Graph.AppRoles |
        Where-Object { $_.Value -eq $Permission -and $_.AllowedMemberTypes -contains 'Application' }
    if ($null -eq $found) { throw "Microsoft Graph has no application permission $Permission in this cloud" }
    [string] $found.Id
}

function Get-Missing {
    param($App, $Graph, [string[]] $Wanted)
    if (-not (Test-Role -App $App -TemplateId $roleTemplateId)) { $roleName }
    $held = @(Get-AppRole -App $App -Graph $Graph)
    foreach ($permission in $Wanted) {
        $appRole = Find-AppRole -Graph $Graph -Permission $permission
        if ($held -notcontains $appRole) { $permission }
    }
}

$report = @()
foreach ($target in $targets) {
    $connected = $false
    $granted = @()
    $result = 'complete'
    $detail = ''
    try {
        Connect-Tenant -Target $target -DeviceCode:$UseDeviceCode
        $connected = $true
        $graph = Find-App -AppId '00000003-0000-0000-c000-000000000000'
        if ($null -eq $graph) { throw 'the tenant has no enterprise application Microsoft Graph' }
        $app = Find-App -AppId $target.AppId
        if ($null -eq $app) {
            throw "no enterprise application has app id $($target.AppId): consent to it first, at $($target.Consent)"
        }
        $wanted = @($permissions) + @($target.More)
        $missing = @(Get-Missing -App $app -Graph $graph -Wanted $wanted)
        foreach ($item in $missing) {
            if (-not $PSCmdlet.ShouldProcess("$($app.Name) in $($target.Tenant)", "Grant $item")) { continue }
            if ($item -eq $roleName) {
                Enable-Role -TemplateId $roleTemplateId
                Add-Role -App $app -TemplateId $roleTemplateId
            }
            else {
                $appRole = Find-AppRole -Graph $graph -Permission $item
                Add-AppRole -App $app -Graph $graph -AppRoleId $appRole
            }
            $granted += $item
        }
        # What was granted shows only after a while.
        $unseen = $granted
        foreach ($pause in 1, 2, 4, 8, 15, 30) {
            if (@($unseen).Count -eq 0) { break }
            Start-Sleep -Seconds $pause
            $missing = @(Get-Missing -App $app -Graph $graph -Wanted $wanted)
            $unseen = @($granted | Where-Object { $missing -contains $_ })
        }
        if (@($unseen).Count -gt 0) {
            throw "granted, but does not show yet: $($unseen -join ', '). Run the script again in some minutes"
        }
        if ($missing.Count -gt 0) {
            $result = 'incomplete'
            $detail = "missing: $($missing -join ', ')"
        }
        elseif ($granted.Count -gt 0) {
            $detail = "granted: $($granted -join ', ')"
        }
        else {
            $detail = 'nothing to do'
        }
    }
    catch {
        $result = 'FAILED'
        $detail = $_.Exception.Message
        if ($granted.Count -gt 0) { $detail = "$detail (granted before that: $($granted -join ', '))" }
    }
    finally {
        if ($connected) {
            try { Disconnect-Tenant } catch { Write-Warning "cannot sign out of $($target.Tenant): $_" }
        }
    }
    $report += [pscustomobject] @{ Tenant = $target.Tenant; Result = $result; Detail = $detail }
}

$report | Format-Table -AutoSize -Wrap
$failed = @($report | Where-Object { $_.Result -eq 'FAILED' })
if ($failed.Count -gt 0) { throw "$($failed.Count) of $($report.Count) tenants failed: see the table" }
