<#
.SYNOPSIS
Grants the app that rotates passwords its role and its application permissions, in each of the tenants below.

.DESCRIPTION
For each tenant: signs you in, finds the enterprise application by its app id, finds the role by the id of its template and
activates it if the tenant has never used it, assigns it, grants each application permission of Microsoft Graph, reads all
of that back, and says what was done. What the app has already stays as it is, so the script may be run again. A tenant
that fails does not stop the others; the end sums up.

Sign in as Privileged Role Administrator or Global Administrator of each tenant. No secret is asked for or printed.

.PARAMETER UseDeviceCode
Sign in with a browser of another machine. Not possible with the AzureAD module.

.EXAMPLE
./grant.ps1 -WhatIf
Signs in and says what is missing. Changes nothing.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [switch] $UseDeviceCode
)

$ErrorActionPreference = 'Stop'

