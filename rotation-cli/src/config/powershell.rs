use std::path::PathBuf;
use std::time::Duration;

use rotation_core::Age;
use serde::Deserialize;

/// How PowerShell reaches a tenant or a domain.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PowerShell {
    /// Which module's cmdlets are used; the first one that is installed, if there is none.
    pub(crate) dialect: Option<String>,
    /// `pwsh` or `powershell.exe`; the first one in `PATH`, if there is none.
    pub(crate) program: Option<PathBuf>,
    pub(crate) workers: Option<usize>,
    /// The domain controller, which makes it a domain.
    pub(crate) server: Option<String>,
    pub(crate) search_base: Option<String>,
    pub(crate) delegated: bool,
    pub(crate) login: Option<Login>,
}

/// The domain that accounts of a tenant are synced from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnPremises {
    pub(crate) server: String,
    pub(crate) program: Option<PathBuf>,
    pub(crate) workers: Option<usize>,
    pub(crate) login: Option<Login>,
    /// How long a password that was set there may take to be known in the tenant.
    #[serde(default = "ten_minutes")]
    pub(crate) sync_within: Age,
}

/// Five cycles.
fn ten_minutes() -> Age {
    Age::from(Duration::from_secs(600))
}

/// By whom a domain is asked; never the password itself.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with `user` and either `env` or `file`"
)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
}
