//! Reads the accounts of a Microsoft Entra tenant or an Active Directory domain and sets their passwords, through
//! PowerShell.
//!
//! [`PowerShellBackend`] is a [`RotationBackend`](rotation_core::RotationBackend): give it to the engine, or call it
//! directly.
//!
//! ```no_run
//! use backend_powershell_compat::{Directory, Domain, PowerShellBackend, PowerShellConfig};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let domain = Domain::new("dc1.contoso.com").with_search_base("OU=Staff,DC=contoso,DC=com");
//! let backend = PowerShellBackend::new(PowerShellConfig::new(Directory::Domain(domain)))?;
//! for warning in backend.diagnose().await?.warnings() {
//!     eprintln!("{warning}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! How a request travels:
//!
//! ```text
//! backend ─► graph | domain | azuread ─► pool ─► worker ─► protocol ═ stdin ═► pwsh: worker/*.ps1, dialect/*.ps1, module
//!    │                                    │       └◄─ ear ◄═══════ stdout ═══════╝
//!    └─► outcome ◄─ failure ◄─────────────┘
//!        start: locate ─► worker ─► hello, load, connect ─► diagnosis
//! ```
//!
//! The worker's script, one part for all and one for each dialect, is thin: it calls cmdlets and hands on what they say.
//! Whatever is concluded, is concluded here; of what Graph says, by `entra-directory`, as for any other way to it.

mod azuread;
mod backend;
mod config;
mod diagnosis;
mod dialect;
mod domain;
mod ear;
mod environment;
mod error;
mod failure;
mod graph;
mod hybrid;
mod locate;
mod outcome;
mod overheard;
mod pool;
mod protocol;
mod redact;
pub mod script;
mod secret;
mod start;
mod streamed;
mod turns;
mod worker;

pub use backend::PowerShellBackend;
pub use config::{Directory, Domain, DomainLogin, PowerShellConfig, SignInWith, Tenant};
pub use diagnosis::{Diagnosis, Logging};
pub use dialect::Dialect;
pub use environment::Environment;
pub use error::ConfigError;
pub use hybrid::{HybridBackend, SyncedFrom};
