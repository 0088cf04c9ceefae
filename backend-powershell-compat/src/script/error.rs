use rotation_core::RoleId;

/// Why no script can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The role is none of those that Microsoft ships, so it has no template that every tenant knows.
    #[error("role: found `{0}`, expected a built-in role, such as User Administrator")]
    NotBuiltIn(RoleId),
    /// There is no tenant to grant anything in.
    #[error("tenants: found none, expected at least one")]
    NoTenant,
    /// A value is empty, or has a character that a script must not hold.
    #[error("{field}: found {value:?}, expected {expected}, of printable ASCII characters alone")]
    Value {
        /// Which value.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}
