use azure_core::error::ErrorKind;
use entra_directory::Remedy;

/// Why there is no token: nothing to prove by who we are, nobody who signed in, or no way to ask.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct NoToken {
    /// Completes "signing in failed:". Never a secret.
    pub(crate) why: String,
    pub(crate) fix: String,
    /// By which name the authority keeps its refusal.
    pub(crate) request_id: Option<String>,
    pub(crate) remedy: Remedy,
}

impl NoToken {
    pub(crate) fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            fix: fix.into(),
            request_id: None,
            remedy: Remedy::Action,
        }
    }

    pub(crate) fn transient(self) -> Self {
        Self {
            remedy: Remedy::Time,
            ..self
        }
    }
}

impl From<NoToken> for azure_core::Error {
    fn from(error: NoToken) -> Self {
        Self::new(ErrorKind::Other, error)
    }
}
