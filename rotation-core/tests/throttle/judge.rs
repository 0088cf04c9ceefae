//! The directory: what `entra-sim` says to each request, and whether anybody sent one who was told to wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entra_sim::{Cost, Overrun, Scope, Throttle, Throttles};
use jiff::{SignedDuration, Timestamp};
use rotation_core::{Heard, QuotaScope};
use tokio::time::Instant;
use uuid::Uuid;

/// The app through which everything goes.
const APP: Uuid = Uuid::from_u128(1);

/// Nobody waits longer than this, whatever a server says.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

pub(crate) struct Judge {
    throttles: Throttles,
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: u64,
    turned_away: u64,
    impolite: u64,
    /// Until when nobody may send to a tenant; that of nobody is that of all.
    waits: HashMap<Uuid, Instant>,
}

impl Judge {
    pub(crate) fn new(throttle: Throttle) -> Self {
        Self {
            throttles: Throttles::new(throttle, Timestamp::UNIX_EPOCH),
            began: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Uses up so much of the quotas of one tenant before the time begins.
    pub(crate) fn use_up(&self, tenant: usize, requests: u64) {
        for _ in 0..requests {
            let _passed = self
                .throttles
                .admit(APP, id(tenant), Cost::WRITE, Timestamp::UNIX_EPOCH);
        }
    }

    pub(crate) fn limit_tenant(&self, tenant: usize, throttle: Throttle) {
        self.throttles.set_tenant(id(tenant), Some(throttle));
    }

    /// A request to `tenant` leaves.
    pub(crate) fn sent(&self, tenant: usize) {
        let now = Instant::now();
        let mut seen = self.seen();
        let waits = [Uuid::nil(), id(tenant)];
        if waits
            .iter()
            .any(|whose| seen.waits.get(whose).is_some_and(|until| now < *until))
        {
            seen.impolite += 1;
        }
    }

    /// A request to `tenant` arrives.
    pub(crate) fn ask(&self, tenant: usize) -> Result<Option<f64>, Box<Overrun>> {
        let now = Timestamp::UNIX_EPOCH
            .checked_add(SignedDuration::try_from(self.began.elapsed()).unwrap())
            .unwrap();
        let said = self.throttles.admit(APP, id(tenant), Cost::WRITE, now);
        let mut seen = self.seen();
        seen.asked += 1;
        seen.turned_away += u64::from(said.is_err());
        said
    }

    /// What the answer tells, now that it is here.
    pub(crate) fn tells(&self, tenant: usize, said: &Result<Option<f64>, Box<Overrun>>) -> Heard {
        let overrun = match said {
            // two digits, as in the header
            Ok(usage) => return passed(usage.map(|usage| (usage * 100.0).round() / 100.0)),
            Err(overrun) => overrun,
        };
        let retry_after = match (&overrun.retry_after_header, overrun.retry_after) {
            (Some(header), None) if header.ends_with("GMT") => {
                Some(Duration::from_secs(overrun.wait.as_secs() + 1))
            }
            (_, seconds) => seconds,
        };
        if let Some(wait) = retry_after {
            let whose = match overrun.scope {
                Scope::App => Uuid::nil(),
                _ => id(tenant),
            };
            let until = Instant::now() + wait.min(LONGEST_WAIT);
            let mut seen = self.seen();
            let known = seen.waits.entry(whose).or_insert(until);
            *known = until.max(*known);
        }
        throttled(retry_after, overrun.scope)
    }

    /// How many requests arrived, how many of them were turned away, and how many left when nobody should have sent.
    pub(crate) fn seen_so_far(&self) -> (u64, u64, u64) {
        let seen = self.seen();
        (seen.asked, seen.turned_away, seen.impolite)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(tenant: usize) -> Uuid {
    Uuid::from_u128(1_000 + tenant as u128)
}

fn passed(usage: Option<f64>) -> Heard {
    Heard::Passed { usage }
}

fn throttled(retry_after: Option<Duration>, scope: Scope) -> Heard {
    let scope = match scope {
        Scope::App => QuotaScope::App,
        Scope::Tenant => QuotaScope::Tenant,
        _ => QuotaScope::AppInTenant,
    };
    Heard::Throttled {
        retry_after,
        scope: Some(scope),
    }
}
