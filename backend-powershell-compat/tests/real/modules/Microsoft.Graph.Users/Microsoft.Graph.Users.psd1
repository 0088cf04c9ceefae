@{
    RootModule        = 'Microsoft.Graph.Users.psm1'
    ModuleVersion     = '2.25.0'
    FunctionsToExport = '*'
    AliasesToExport   = '*'
}
