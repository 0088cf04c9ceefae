//! Microsoft Graph backend of the rotation engine.

mod aadsts;
mod address;
mod answer;
mod auth;
mod body;
mod client;
mod cloud;
mod config;
mod consent;
mod error;
mod outcome;
mod retry;
mod retry_after;
mod traffic;
mod transport;

pub use cloud::{Cloud, CustomCloud};
pub use config::{Credential, GraphConfig};
pub use error::ConfigError;
pub use traffic::Traffic;
