use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::meter::Meter;
use super::quota::nanoseconds;
use super::{Cost, Quota, Throttle};

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Of one app over all tenants.
    App,
    /// Of one app in one tenant.
    AppInTenant,
    /// Of one tenant over all apps.
    Tenant,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counted {
    /// Resource units.
    Units,
    /// Requests that change something.
    Writes,
}

/// A request that was refused, and what it is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Overrun {
    /// Whose quota is used up: of several, the one that takes the longest.
    pub scope: Scope,
    /// What that quota counts.
    pub counted: Counted,
    /// The share of the quota that is used, up to 1.8; `None` if nobody is told.
    pub usage: Option<f64>,
    /// How long until it would fit, if nobody else sent anything.
    pub wait: Duration,
    /// What it is told to wait, as far as that is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The value of the header `Retry-After`, if there is one.
    pub retry_after_header: Option<String>,
}

/// From here on answers say how close to the limit they are.
const WARN_FROM: f64 = 0.8;
/// No answer says more than this.
const MAX_USAGE: f64 = 1.8;

/// Which quotas are in force, and how far they are used.
#[derive(Debug)]
pub struct Throttles(Mutex<State>);

#[derive(Debug)]
struct State {
    start: Timestamp,
    all: Throttle,
    tenants: HashMap<Uuid, Throttle>,
    users: HashMap<Uuid, usize>,
    meters: HashMap<Key, Meter>,
}

/// Which quota a meter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    counted: Counted,
    scope: Scope,
    app: Uuid,
    tenant: Uuid,
}

impl Throttles {
    /// Limits every tenant; time runs from `start` on.
    pub fn new(throttle: Throttle, start: Timestamp) -> Self {
        Self(Mutex::new(State {
            start,
            all: throttle,
            tenants: HashMap::new(),
            users: HashMap::new(),
            meters: HashMap::new(),
        }))
    }

    /// Says how many users a tenant has. One of which nothing is said is large.
    pub fn set_users(&self, tenant: Uuid, users: usize) {
        self.state().users.insert(tenant, users);
    }

    /// Limits every tenant that has no limits of its own from now on so. All quotas are unused again, and time runs from `now`
    /// on.
    pub fn set(&self, throttle: Throttle, now: Timestamp) {
        let mut state = self.state();
        state.all = throttle;
        state.begin(now);
    }

    /// Limits one tenant from now on so, and its quotas are unused again; `None`: as all the others. Quotas of an app over all
    /// tenants cannot differ between tenants: those of `throttle` do not count.
    pub fn set_tenant(&self, tenant: Uuid, throttle: Option<Throttle>) {
        let mut state = self.state();
        match throttle {
            Some(throttle) => state.tenants.insert(tenant, throttle),
            None => state.tenants.remove(&tenant),
        };
        state.meters.retain(|key, _| key.tenant != tenant);
    }

    /// Forgets what has been used; time runs from `now` on.
    pub fn reset(&self, now: Timestamp) {
        self.state().begin(now);
    }

    /// Counts one request, which every quota does even if another refuses it. The share that is used of the quota that is
    /// used most, if answers say so: above 0.8.
    ///
    /// # Errors
    ///
    /// A quota is used up.
    pub fn admit(
        &self,
        app: Uuid,
        tenant: Uuid,
        cost: Cost,
        at: Timestamp,
    ) -> Result<Option<f64>, Box<Overrun>> {
        self.state().admit(app, tenant, cost, at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, now: Timestamp) {
        self.start = now;
        self.meters.clear();
    }

    fn admit(
        &mut self,
        app: Uuid,
        tenant: Uuid,
        cost: Cost,
        at: Timestamp,
    ) -> Result<Option<f64>, Box<Overrun>> {
        let own = self.tenants.get(&tenant).unwrap_or(&self.all);
        let users = self.users.get(&tenant).copied().unwrap_or(usize::MAX);
        let units = own.units.as_ref().map(|units| units.of(users));
        let elapsed = Duration::try_from(at.duration_since(self.start)).unwrap_or_default();
        let now = nanoseconds(elapsed);
        let quotas: [(Counted, Scope, Option<&Quota>); 5] = [
            (
                Counted::Writes,
                Scope::AppInTenant,
                own.app_in_tenant.as_ref(),
            ),
            (Counted::Writes, Scope::App, self.all.app.as_ref()),
            (Counted::Writes, Scope::Tenant, own.tenant.as_ref()),
            (Counted::Units, Scope::AppInTenant, units),
            (Counted::Units, Scope::App, self.all.app_units.as_ref()),
        ];
        let mut usage = 0.0_f64;
        let mut refused: Option<(u64, Counted, Scope)> = None;
        for (counted, scope, quota) in quotas {
            let count = match counted {
                Counted::Units => cost.units,
                Counted::Writes => cost.writes,
            };
            let Some(quota) = quota.filter(|_| count > 0) else {
                continue;
            };
            let key = Key {
                counted,
                scope,
                app: if scope == Scope::Tenant {
                    Uuid::nil()
                } else {
                    app
                },
                tenant: if scope == Scope::App {
                    Uuid::nil()
                } else {
                    tenant
                },
            };
            let salt = tenant.as_u64_pair().1;
            let meter = self
                .meters
                .entry(key)
                .or_insert_with(|| Meter::new(quota, salt));
            meter.pass_time(quota, now);
            let fits = meter.charge(count, quota.debt);
            usage = usage.max(meter.used());
            if !fits {
                let wait = meter.wait(count);
                if refused.is_none_or(|(longest, ..)| wait > longest) {
                    refused = Some((wait, counted, scope));
                }
            }
        }
        let told = own.percentage.then_some(usage.min(MAX_USAGE));
        let Some((wait, counted, scope)) = refused else {
            return Ok(told.filter(|usage| *usage > WARN_FROM));
        };
        let wait = Duration::from_nanos(wait);
        let header = own.retry_after.value(wait, at);
        let seconds = header.as_deref().and_then(|value| value.parse().ok());
        Err(Box::new(Overrun {
            scope,
            counted,
            usage: told,
            wait,
            retry_after: seconds.map(Duration::from_secs),
            retry_after_header: header,
        }))
    }
}
