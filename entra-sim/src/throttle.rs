//! The write quotas of Graph's identity and access service: token buckets.
//!
//! <https://learn.microsoft.com/graph/throttling-limits>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

/// So many writes per period, as a bucket that starts full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    writes: f64,
    period: f64,
}

impl Quota {
    /// `writes` per `period`.
    pub fn new(writes: u32, period: Duration) -> Self {
        Self {
            writes: f64::from(writes),
            period: period.as_secs_f64().max(f64::MIN_POSITIVE),
        }
    }
}

/// Limits of writes in the three scopes that Graph counts; a missing one is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Throttle {
    app_in_tenant: Option<Quota>,
    app: Option<Quota>,
    tenant: Option<Quota>,
}

impl Throttle {
    /// The documented limits: 3,000 in 150 s per app and tenant, 35,000 in 300 s per app,
    /// 18,000 in 300 s per tenant.
    pub fn documented() -> Self {
        Self {
            app_in_tenant: Some(Quota::new(3_000, Duration::from_secs(150))),
            app: Some(Quota::new(35_000, Duration::from_secs(300))),
            tenant: Some(Quota::new(18_000, Duration::from_secs(300))),
        }
    }

    /// Limits one app in one tenant only.
    pub fn app_in_tenant(quota: Quota) -> Self {
        Self {
            app_in_tenant: Some(quota),
            ..Self::default()
        }
    }

    /// Limits one app over all tenants, too.
    #[must_use]
    pub fn with_app(mut self, quota: Quota) -> Self {
        self.app = Some(quota);
        self
    }

    /// Limits one tenant over all apps, too.
    #[must_use]
    pub fn with_tenant(mut self, quota: Quota) -> Self {
        self.tenant = Some(quota);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scope {
    App(Uuid),
    AppInTenant(Uuid, Uuid),
    Tenant(Uuid),
}

impl Scope {
    fn header(self, app: Uuid, tenant: Uuid) -> String {
        match self {
            Self::App(_) => format!("Application/Write/{app}/{app}"),
            Self::AppInTenant(..) => format!("Tenant_Application/Write/{app}/{tenant}"),
            Self::Tenant(_) => format!("Tenant/Write/{app}/{tenant}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    filled: Timestamp,
}

/// From here on answers say how close to the limit they are.
const WARN_FROM: f64 = 0.8;
/// Refused requests count too, but no caller digs itself in deeper than this share of the quota.
const MAX_DEBT: f64 = 0.05;

/// A quota that one more write overruns.
#[derive(Debug)]
pub(crate) struct Overrun {
    /// Seconds until the write would fit.
    pub(crate) retry_after: u64,
    /// Which quota, as `x-ms-throttle-scope` names it.
    pub(crate) scope: String,
    /// The share of the quota that is used.
    pub(crate) usage: String,
}

/// The buckets of one server.
#[derive(Debug)]
pub(crate) struct Throttles {
    limits: Option<Throttle>,
    buckets: Mutex<HashMap<Scope, Bucket>>,
}

impl Throttles {
    pub(crate) fn new(limits: Option<Throttle>) -> Self {
        Self {
            limits,
            buckets: Mutex::default(),
        }
    }

    /// Counts one write. `Ok(Some(share))` when little is left of a quota.
    pub(crate) fn admit(
        &self,
        app: Uuid,
        tenant: Uuid,
        now: Timestamp,
    ) -> Result<Option<String>, Overrun> {
        let Some(limits) = &self.limits else {
            return Ok(None);
        };
        let scopes = [
            (Scope::AppInTenant(app, tenant), limits.app_in_tenant),
            (Scope::App(app), limits.app),
            (Scope::Tenant(tenant), limits.tenant),
        ];
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = 0.0_f64;
        let mut refused: Option<(f64, Scope)> = None;
        for (scope, quota) in scopes {
            let Some(quota) = quota else { continue };
            let bucket = buckets.entry(scope).or_insert(Bucket {
                level: quota.writes,
                filled: now,
            });
            bucket.take(quota, now);
            used = used.max(1.0 - bucket.level / quota.writes);
            let wait = -bucket.level * quota.period / quota.writes;
            if bucket.level < 0.0 && refused.is_none_or(|(longest, _)| wait > longest) {
                refused = Some((wait, scope));
            }
        }
        drop(buckets);
        match refused {
            Some((wait, scope)) => Err(Overrun {
                retry_after: wait.ceil().max(1.0) as u64,
                scope: scope.header(app, tenant),
                usage: format!("{used:.2}"),
            }),
            None => Ok((used > WARN_FROM).then(|| format!("{used:.2}"))),
        }
    }

    /// Fills every bucket.
    pub(crate) fn reset(&self) {
        self.buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Bucket {
    /// Fills the bucket for the time gone by and takes one write out.
    fn take(&mut self, quota: Quota, now: Timestamp) {
        let elapsed = now.duration_since(self.filled).as_secs_f64().max(0.0);
        let filled = (self.level + elapsed * quota.writes / quota.period).min(quota.writes);
        let floor = -(quota.writes * MAX_DEBT).max(1.0);
        self.level = (filled - 1.0).max(floor);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::later;

    const APP: Uuid = Uuid::from_u128(1);
    const TENANT: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_full_bucket_passes_its_quota_then_refuses_until_it_has_filled() {
        let quota = Quota::new(100, Duration::from_secs(10));
        let throttles = Throttles::new(Some(Throttle::app_in_tenant(quota)));
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..100 {
            assert!(throttles.admit(APP, TENANT, start).is_ok());
        }
        let refused = throttles.admit(APP, TENANT, start).unwrap_err();
        assert!(refused.retry_after > 0);
        assert!(throttles.admit(APP, Uuid::from_u128(3), start).is_ok());
        let rested = later(start, Duration::from_secs(1));
        assert!(throttles.admit(APP, TENANT, rested).is_ok());
    }

    #[test]
    fn the_last_fifth_of_a_quota_is_announced() {
        let quota = Quota::new(10, Duration::from_secs(10));
        let throttles = Throttles::new(Some(Throttle::app_in_tenant(quota)));
        let announced: Vec<bool> = (0..10)
            .map(|_| {
                throttles
                    .admit(APP, TENANT, Timestamp::UNIX_EPOCH)
                    .unwrap()
                    .is_some()
            })
            .collect();
        assert_eq!(announced, [[false; 8].as_slice(), &[true; 2]].concat());
    }

    #[test]
    fn refused_requests_count_but_only_so_far() {
        let quota = Quota::new(20, Duration::from_secs(20));
        let throttles = Throttles::new(Some(Throttle::app_in_tenant(quota)));
        for _ in 0..1_000 {
            throttles.admit(APP, TENANT, Timestamp::UNIX_EPOCH).ok();
        }
        let rested = later(Timestamp::UNIX_EPOCH, Duration::from_secs(3));
        assert!(throttles.admit(APP, TENANT, rested).is_ok());
    }
}
