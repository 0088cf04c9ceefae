$ErrorActionPreference = 'Stop'
if ([string]$ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    'rotation: language mode ' + $ExecutionContext.SessionState.LanguageMode
    exit 70
}
$reader = New-Object System.IO.StreamReader([Console]::OpenStandardInput(), (New-Object System.Text.UTF8Encoding($false)), $false, 65536)
$text = [System.Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($reader.ReadLine()))
. ([scriptblock]::Create($text)) $reader
