@{
    RootModule        = 'Rotation.Stub.psm1'
    ModuleVersion     = '1.0.0'
    FunctionsToExport = '*'
    AliasesToExport   = '*'
}
