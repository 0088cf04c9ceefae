//! Reads the accounts of a Microsoft Entra tenant and sets their passwords, over Microsoft Graph.
//!
//! [`GraphBackend`] is a [`RotationBackend`](rotation_core::RotationBackend): give it to the engine, or call it directly.
//!
//! ```no_run
//! use backend_graph::{Credential, GraphBackend, GraphConfig};
//! use rotation_core::{BackendError, RotationBackend};
//! # async fn example(secret: secrecy::SecretString) -> Result<(), Box<dyn std::error::Error>> {
//! let config = GraphConfig::new(
//!     "contoso.onmicrosoft.com",
//!     "11111111-2222-3333-4444-555555555555",
//!     Credential::ClientSecret(secret),
//! );
//! let backend = GraphBackend::new(config)?;
//! let caller = backend.caller().await?;
//! assert!(caller.may_set_passwords());
//! # Ok(())
//! # }
//! ```
//!
//! How a request travels:
//!
//! ```text
//! backend ─► listing ─► page ─┐                    ┌─► auth ─► transport ─► token endpoint
//!    │          └─► directory ─┼─► retry ─► client ─┤
//!    │  (roles, groups, units) ┘    (reads only)    └─► address ─► Graph ─► answer
//!    │                                              auth ─► assertion ─► certificate | federation
//!    │                                              auth ─► device_code | managed_identity | the Azure CLI
//!    ├─► customers ─► page                             (a partner's tenant)
//!    ├─► body ─► client ─► outcome                (the only origin a token goes to)
//!    ├─► batch ─► client ─► batch_answer ─► outcome of each item
//!    └─► password_flow ─► client ─► token endpoint    (to sign in as an account)
//! setup ─► client                                      (an administrator's: gives an app its rights)
//! ```

mod aadsts;
mod address;
mod answer;
mod assertion;
mod auth;
mod azure_cli;
mod backend;
mod batch;
mod batch_answer;
mod body;
mod caller;
mod certificate;
mod claims;
mod client;
mod cloud;
mod config;
mod consent;
mod customers;
mod date;
mod device_code;
mod directory;
mod discovery;
mod domains;
mod error;
#[cfg(test)]
mod errors_page;
mod federation;
mod form;
mod groups;
mod heard;
mod kept;
mod listing;
mod managed_identity;
mod outcome;
mod page;
mod password_flow;
mod pem;
mod permission;
mod place;
mod quota;
mod relationship;
mod retry;
mod retry_after;
mod roles;
mod secret_body;
mod session;
mod setup;
mod traffic;
mod transport;
mod units;
mod users;

pub use backend::GraphBackend;
pub use certificate::{CertificateError, ClientCertificate};
pub use cloud::{Cloud, CustomCloud};
pub use config::{Credential, GraphConfig};
pub use customers::{Customer, CustomersFrom};
pub use device_code::{DeviceCode, DevicePrompt};
pub use domains::PasswordExpiry;
pub use error::ConfigError;
pub use federation::{AzurePipelines, FederatedToken, GitHubActions};
pub use permission::{PermissionCheck, Permissions};
pub use relationship::Relationship;
pub use setup::{ByHand, Present, Setup, SetupRequest, Step, Through, Wanted};
pub use traffic::Traffic;
