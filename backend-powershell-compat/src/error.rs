/// Why a [`PowerShellBackend`](crate::PowerShellBackend) cannot be made of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field has a value that cannot work.
    #[error("{field}: found {found}, expected {expected}")]
    Field {
        /// Which field of the configuration.
        field: &'static str,
        /// What it holds; never a secret.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn field(
        field: &'static str,
        found: impl Into<String>,
        expected: &'static str,
    ) -> Self {
        Self::Field {
            field,
            found: found.into(),
            expected,
        }
    }
}
