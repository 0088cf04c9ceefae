//! Everything until there is a token: what proves who we are, what the authority says, and how long a token is used.

pub(crate) mod aadsts;
pub(crate) mod assertion;
pub(crate) mod auth;
mod azure_cli;
pub(crate) mod certificate;
pub(crate) mod device_code;
pub(crate) mod federation;
pub(crate) mod form;
mod kept;
mod managed_identity;
pub(crate) mod no_token;
mod pem;
pub(crate) mod secret_body;
mod session;
mod transport;
