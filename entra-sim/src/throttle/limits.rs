use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Quota, RetryAfter};

/// The quotas in the scopes that Graph counts, and what refused requests are told. A missing quota is no limit; the default
/// has none.
///
/// As text: `documented`, `none`, or JSON: an object with any of `"appInTenant"`, `"app"`, `"tenant"` (writes),
/// `"units"` and `"appUnits"` (resource units in one tenant and over all), each a [`Quota`]; `"percentage"` (`false`: no
/// `x-ms-throttle-limit-percentage`) and `"retryAfter"`, a [`RetryAfter`]. With `"documented": true` the documented quotas
/// hold where it names none.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    pub(super) app_in_tenant: Option<Quota>,
    pub(super) app: Option<Quota>,
    pub(super) tenant: Option<Quota>,
    pub(super) units: Option<BySize>,
    pub(super) app_units: Option<Quota>,
    pub(super) percentage: bool,
    pub(super) retry_after: RetryAfter,
}

/// Resource units of one app in one tenant, by the number of the tenant's users.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BySize {
    /// Below 50.
    small: Quota,
    /// Up to 500.
    medium: Quota,
    large: Quota,
}

impl BySize {
    pub(super) fn of(&self, users: usize) -> &Quota {
        match users {
            0..50 => &self.small,
            50..=500 => &self.medium,
            _ => &self.large,
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            app_in_tenant: None,
            app: None,
            tenant: None,
            units: None,
            app_units: None,
            percentage: true,
            retry_after: RetryAfter::default(),
        }
    }
}

impl Throttle {
    /// The [documented](https://learn.microsoft.com/graph/throttling-limits) limits, all token buckets. Writes: 3,000 in 150 s
    /// per app and tenant, 35,000 in 300 s per app, 18,000 in 300 s per tenant. Resource units: 8,000 in 10 s per app and
    /// tenant (5,000 for up to 500 users, 3,500 for less than 50), 150,000 in 20 s per app.
    pub fn documented() -> Self {
        let in_ten_seconds = |units| Quota::new(units, Duration::from_secs(10));
        Self {
            app_in_tenant: Some(Quota::new(3_000, Duration::from_secs(150))),
            app: Some(Quota::new(35_000, Duration::from_secs(300))),
            tenant: Some(Quota::new(18_000, Duration::from_secs(300))),
            units: Some(BySize {
                small: in_ten_seconds(3_500),
                medium: in_ten_seconds(5_000),
                large: in_ten_seconds(8_000),
            }),
            app_units: Some(Quota::new(150_000, Duration::from_secs(20))),
            ..Self::default()
        }
    }

    /// Limits the writes of one app in one tenant only.
    pub fn app_in_tenant(quota: Quota) -> Self {
        Self::default().with_app_in_tenant(quota)
    }

    /// Limits the writes of one app in one tenant.
    #[must_use]
    pub fn with_app_in_tenant(mut self, quota: Quota) -> Self {
        self.app_in_tenant = Some(quota);
        self
    }

    /// Limits the writes of one app over all tenants.
    #[must_use]
    pub fn with_app(mut self, quota: Quota) -> Self {
        self.app = Some(quota);
        self
    }

    /// Limits the writes in one tenant over all apps.
    #[must_use]
    pub fn with_tenant(mut self, quota: Quota) -> Self {
        self.tenant = Some(quota);
        self
    }

    /// Limits the resource units of one app in one tenant of any size.
    #[must_use]
    pub fn with_units(mut self, quota: Quota) -> Self {
        self.units = Some(BySize {
            small: quota.clone(),
            medium: quota.clone(),
            large: quota,
        });
        self
    }

    /// Limits the resource units of one app over all tenants.
    #[must_use]
    pub fn with_app_units(mut self, quota: Quota) -> Self {
        self.app_units = Some(quota);
        self
    }

    /// Leaves `x-ms-throttle-limit-percentage` out.
    #[must_use]
    pub fn without_percentage(mut self) -> Self {
        self.percentage = false;
        self
    }

    /// Says something else in `Retry-After` than the seconds until the request would fit.
    #[must_use]
    pub fn retry_after(mut self, says: RetryAfter) -> Self {
        self.retry_after = says;
        self
    }

    /// Reads what stands in JSON: an object or one of the names.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn from_json(value: Value) -> Result<Self, String> {
        match value {
            Value::String(name) => Self::named(&name).ok_or_else(|| {
                format!("throttle {name:?}: expected \"documented\", \"none\" or an object")
            }),
            value => Written::deserialize(value)
                .map(Self::from)
                .map_err(|error| format!("throttle: {error}")),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "documented" => Some(Self::documented()),
            "none" => Some(Self::default()),
            _ => None,
        }
    }
}

impl FromStr for Throttle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(named) = Self::named(text) {
            return Ok(named);
        }
        let value = serde_json::from_str(text).map_err(|error| {
            format!("throttle {text:?}: expected `documented`, `none` or JSON: {error}")
        })?;
        Self::from_json(value)
    }
}

/// A throttle in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    documented: bool,
    app_in_tenant: Option<Quota>,
    app: Option<Quota>,
    tenant: Option<Quota>,
    units: Option<Quota>,
    app_units: Option<Quota>,
    #[serde(default = "yes")]
    percentage: bool,
    #[serde(default)]
    retry_after: RetryAfter,
}

fn yes() -> bool {
    true
}

impl From<Written> for Throttle {
    fn from(written: Written) -> Self {
        let base = if written.documented {
            Self::documented()
        } else {
            Self::default()
        };
        let throttle = Self {
            app_in_tenant: written.app_in_tenant.or(base.app_in_tenant),
            app: written.app.or(base.app),
            tenant: written.tenant.or(base.tenant),
            units: base.units,
            app_units: written.app_units.or(base.app_units),
            percentage: written.percentage,
            retry_after: written.retry_after,
        };
        match written.units {
            Some(units) => throttle.with_units(units),
            None => throttle,
        }
    }
}
