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
//! backend ─┬─► entra_directory ─► reads ─► client         (who is in the tenant, and who we are)
//!          ├─► customers ─► relationship ─► entra_directory  (a partner's tenant)
//!          ├─► body ─► client ─► outcome
//!          ├─► batch ─► client ─► batch_answer ─► outcome of each item
//!          └─► password_flow ─► client ─► token endpoint    (to sign in as an account)
//! setup ─► client                                           (an administrator's: gives an app its rights)
//!
//! client ─┬─► address ─► Graph ─► answer                    (the only origin a token goes to)
//!         └─► sign_in: auth ─┬─► assertion ─► certificate | federation
//!                            └─► device_code | managed_identity | the Azure CLI
//! ```

mod address;
mod answer;
mod backend;
mod batch;
mod batch_answer;
mod body;
mod cause;
mod client;
mod cloud;
mod config;
mod consent;
mod customers;
mod date;
mod discovery;
mod error;
#[cfg(test)]
mod errors_page;
mod heard;
mod outcome;
mod password_flow;
mod permission;
mod place;
mod quota;
mod quote;
mod reads;
mod relationship;
mod retry_after;
mod role_ends;
mod setup;
mod sign_in;
mod traffic;

pub use backend::GraphBackend;
pub use cloud::{Cloud, CustomCloud};
pub use config::{Credential, GraphConfig};
pub use customers::{Customer, CustomersFrom};
pub use entra_directory::PasswordExpiry;
pub use error::ConfigError;
pub use permission::{PermissionCheck, Permissions};
pub use relationship::Relationship;
pub use role_ends::RoleEnd;
pub use setup::{ByHand, Present, Setup, SetupRequest, Step, Through, Wanted};
pub use sign_in::certificate::{CertificateError, ClientCertificate};
pub use sign_in::device_code::{DeviceCode, DevicePrompt};
pub use sign_in::federation::{AzurePipelines, FederatedToken, GitHubActions};
pub use traffic::Traffic;
