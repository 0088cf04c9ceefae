use std::time::Duration;

/// So many requests in so much time, as a directory documents it. The real limit is learned from its answers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a rate has two numbers")]
pub struct Quota {
    /// How many requests; at least 1.
    pub requests: u32,
    /// In how much time; longer than zero.
    pub period: Duration,
}

/// The documented quotas of requests that change something. Absent ones are only learned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct Quotas {
    /// Of one app in one tenant.
    pub app_in_tenant: Option<Quota>,
    /// Of one app over all tenants.
    pub app: Option<Quota>,
    /// Of one tenant over all apps.
    pub tenant: Option<Quota>,
}
