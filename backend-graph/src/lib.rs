//! Microsoft Graph backend of the rotation engine.

mod cloud;
mod config;
mod error;

pub use cloud::{Cloud, CustomCloud};
pub use config::{Credential, GraphConfig};
pub use error::ConfigError;
