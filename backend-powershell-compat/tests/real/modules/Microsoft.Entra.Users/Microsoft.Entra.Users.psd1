@{
    RootModule        = 'Microsoft.Entra.Users.psm1'
    ModuleVersion     = '1.0.8'
    FunctionsToExport = '*'
    AliasesToExport   = '*'
}
