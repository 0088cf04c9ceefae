//! Ready PowerShell for people to run, printed and never run by us.
//!
//! A [`GrantScript`] grants the app that rotates passwords what it needs in each tenant:
//!
//! ```
//! use backend_powershell_compat::Environment;
//! use backend_powershell_compat::script::{GrantScript, Module};
//! use rotation_core::{RoleId, TenantId};
//!
//! let app = "11111111-2222-3333-4444-555555555555".parse()?;
//! let script = GrantScript::new(Module::Graph, RoleId::USER_ADMINISTRATOR)
//!     .permissions(["User-PasswordProfile.ReadWrite.All", "User.Read.All"])
//!     .tenant(&TenantId::new("contoso.onmicrosoft.com"), app, Environment::Global)
//!     .render()?;
//! assert!(script.contains("Get-MgServicePrincipal -Filter"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is printed is constant but for one block of assignments, whose values are all single-quoted strings of printable
//! ASCII:
//!
//! ```text
//! head.ps1 ─► the values ─► graph.ps1 | entra.ps1 | azure_ad.ps1 ─► main.ps1
//! ```

mod error;
mod grant;
mod module;
mod quote;

pub use error::ScriptError;
pub use grant::GrantScript;
pub use module::Module;
