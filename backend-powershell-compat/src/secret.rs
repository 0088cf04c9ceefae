use std::sync::Arc;

use rotation_core::Password;
use secrecy::{ExposeSecret, SecretString};

/// What must not be shown.
#[derive(Clone)]
pub(crate) enum Secret {
    Credential(SecretString),
    Password(Arc<Password>),
}

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Credential(secret) => secret.expose_secret(),
            Self::Password(password) => password.expose(),
        }
    }
}
