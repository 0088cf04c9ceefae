//! Microsoft Graph backend of the rotation engine.

mod aadsts;
mod address;
mod answer;
mod auth;
mod body;
mod claims;
mod client;
mod cloud;
mod config;
mod consent;
mod error;
mod groups;
mod outcome;
mod page;
mod retry;
mod retry_after;
mod roles;
mod traffic;
mod transport;
mod units;

pub use cloud::{Cloud, CustomCloud};
pub use config::{Credential, GraphConfig};
pub use error::ConfigError;
pub use traffic::Traffic;
