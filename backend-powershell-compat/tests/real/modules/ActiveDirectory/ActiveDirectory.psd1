@{
    RootModule        = 'ActiveDirectory.psm1'
    ModuleVersion     = '1.0.1.0'
    FunctionsToExport = '*'
    AliasesToExport   = '*'
}
