# What every worker does, whatever the dialect. It runs in Windows PowerShell 5.1 and in PowerShell 7, holds no secret,
# and calls cmdlets with values in variables only: nothing that it is told becomes text of a script.
param($Reader)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$VerbosePreference = 'SilentlyContinue'
$InformationPreference = 'SilentlyContinue'
# What modules write for debugging holds the bodies of requests.
$DebugPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
# What only says what it would do must not be taken for done.
$WhatIfPreference = $false
# Windows PowerShell 5.1 would write an array as an object with a count.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue

$worker = @{
    Reader = $Reader
    Output = [Console]::OpenStandardOutput()
    Mark   = ''
    Id     = 0
    # The secret of the request that is being worked on.
    Text   = $null
    # Whether the cmdlet that changes a password was called, and whether it came back.
    Sent   = $false
    Set    = $false
    Items  = $null
}

# One line, of ASCII alone. The line feed in front ends whatever somebody else began.
function Send-WorkerLine($Value) {
    $json = ConvertTo-Json -InputObject $Value -Compress -Depth 8
    $plain = [regex]::Replace($json, '[^\x20-\x7E]', { param($found) '\u{0:x4}' -f [int][char]$found.Value })
    $bytes = [System.Text.Encoding]::ASCII.GetBytes("`n" + $worker.Mark + ' ' + $plain + "`n")
    $worker.Output.Write($bytes, 0, $bytes.Length)
    $worker.Output.Flush()
}

# Some of the items asked for; none of them says that work goes on.
function Send-WorkerPart($Items) {
    Send-WorkerLine @{ id = $worker.Id; part = [object[]]@($Items) }
}

# Keeps the secret in base64 of the next line, past every cmdlet: module logging records their arguments.
function Read-WorkerSecret {
    $bytes = [Convert]::FromBase64String($worker.Reader.ReadLine().Trim('"'))
    $worker.Text = [System.Text.Encoding]::UTF8.GetString($bytes)
    [Array]::Clear($bytes, 0, $bytes.Length)
}

function Get-WorkerSecureString {
    $secure = New-Object System.Security.SecureString
    foreach ($character in $worker.Text.ToCharArray()) {
        $secure.AppendChar($character)
    }
    $secure.MakeReadOnly()
    return $secure
}

# An error record as it is; what it means is decided elsewhere.
function Get-WorkerError($Record) {
    $types = New-Object System.Collections.ArrayList
    $messages = New-Object System.Collections.ArrayList
    $exception = $Record.Exception
    while (($null -ne $exception) -and ($types.Count -lt 8)) {
        $null = $types.Add([string]$exception.GetType().FullName)
        $null = $messages.Add([string]$exception.Message)
        $exception = $exception.InnerException
    }
    if ($null -ne $Record.ErrorDetails) {
        $null = $messages.Add([string]$Record.ErrorDetails.Message)
    }
    $message = [string]::Join("`n", $messages.ToArray())
    if ($message.Length -gt 8000) {
        $message = $message.Substring(0, 8000)
    }
    return @{
        category = [string]$Record.CategoryInfo.Category
        id       = [string]$Record.FullyQualifiedErrorId
        types    = [object[]]$types.ToArray()
        message  = $message
        sent     = [bool]$worker.Sent
        set      = [bool]$worker.Set
    }
}

# Which of PowerShell's logging a policy turns on: of the machine, of the user, or of PowerShell 7 itself.
function Get-WorkerLogging {
    $settings = @(
        @{ Name = 'module'; Key = 'ModuleLogging'; Value = 'EnableModuleLogging' },
        @{ Name = 'script-block'; Key = 'ScriptBlockLogging'; Value = 'EnableScriptBlockLogging' },
        @{ Name = 'transcription'; Key = 'Transcription'; Value = 'EnableTranscripting' }
    )
    $policies = $null
    $file = Join-Path -Path $PSHOME -ChildPath 'powershell.config.json'
    if (Test-Path -LiteralPath $file) {
        $text = [System.IO.File]::ReadAllText($file)
        $policies = (ConvertFrom-Json -InputObject $text).PowerShellPolicies
    }
    $found = New-Object System.Collections.ArrayList
    foreach ($setting in $settings) {
        $is_on = $false
        if ([string][System.Environment]::OSVersion.Platform -eq 'Win32NT') {
            foreach ($hive in @('HKEY_LOCAL_MACHINE', 'HKEY_CURRENT_USER')) {
                foreach ($tree in @('Windows\PowerShell', 'PowerShellCore')) {
                    $key = $hive + '\SOFTWARE\Policies\Microsoft\' + $tree + '\' + $setting.Key
                    $is_on = $is_on -or ([Microsoft.Win32.Registry]::GetValue($key, $setting.Value, 0) -eq 1)
                }
            }
        }
        if ($null -ne $policies) {
            $policy = $policies.($setting.Key)
            $is_on = $is_on -or (($null -ne $policy) -and ($policy.($setting.Value) -eq $true))
        }
        if ($is_on) {
            $null = $found.Add($setting.Name)
        }
    }
    return @{ names = [object[]]$found.ToArray() }
}

function Invoke-WorkerHello($Request) {
    $worker.Mark = [string]$Request.mark
    $edition = 'Desktop'
    if ($null -ne $PSVersionTable.PSEdition) {
        $edition = [string]$PSVersionTable.PSEdition
    }
    $logging = Get-WorkerLogging
    return @{
        protocol   = 1
        powershell = [string]$PSVersionTable.PSVersion
        edition    = $edition
        logging    = $logging.names
    }
}

# Loads the newest version of the module that has the right major version; says what is there if none has.
function Invoke-WorkerLoad($Request) {
    $least = New-Object System.Version([string]$Request.minimum)
    $fit = $null
    $found = New-Object System.Collections.ArrayList
    foreach ($module in @(Get-Module -ListAvailable -Name $Request.module)) {
        $null = $found.Add([string]$module.Version)
        $is_fit = ($module.Version.Major -eq $Request.major) -and ($module.Version -ge $least)
        if ($is_fit -and (($null -eq $fit) -or ($module.Version -gt $fit))) {
            $fit = $module.Version
        }
    }
    if ($null -eq $fit) {
        return @{ version = $null; found = [object[]]$found.ToArray() }
    }
    Import-Module -Name $Request.module -RequiredVersion $fit -ErrorAction Stop
    return @{ version = [string]$fit }
}

