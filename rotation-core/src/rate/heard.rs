use std::time::Duration;

/// What a request does. Directories count changes and reads apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a request changes something or does not"
)]
pub enum RequestKind {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
}

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "an app, a tenant, or the one in the other"
)]
pub enum QuotaScope {
    /// Of one app over all tenants.
    App,
    /// Of one app in one tenant.
    AppInTenant,
    /// Of one tenant over all apps.
    Tenant,
}

/// What one answer of the directory says about how fast to go.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// It was let through.
    Passed {
        /// The share of the quota that is used, if the directory said so: 1 is all of it.
        usage: Option<f64>,
    },
    /// It was turned away, or told to come back later.
    Throttled {
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Which quota is used up, if the directory said so.
        scope: Option<QuotaScope>,
    },
}
