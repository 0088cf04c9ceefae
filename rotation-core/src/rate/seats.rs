//! Who may send when: what all controllers of a process know together. No waiting here, and no clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::arena::{Arena, Id};
use super::bucket::{Bucket, Ready, TOLD_FROM};
use super::line::Line;
use super::{Heard, Quota, QuotaScope, Quotas, RateState, RequestKind};

/// For each request at once so many accounts may be under way: the others wait for the store.
const ACCOUNTS_PER_REQUEST: usize = 16;

/// How many reads one tenant has under way at most.
const READS_AT_ONCE: usize = 32;

/// Beyond its part, a tenant has one of so many requests that all of them leave free.
const RESERVED: usize = 32;

/// All controllers of a process.
#[derive(Debug)]
pub(super) struct Seats {
    seats: Arena<Seat>,
    by_name: HashMap<(String, String), Id<Seat>>,
    apps: Arena<App>,
    apps_by_name: HashMap<String, Id<App>>,
    tenants: Arena<Bucket>,
    tenants_by_name: HashMap<String, Id<Bucket>>,
    requests_at_once: usize,
    /// Controllers with a run under way.
    active: usize,
    /// Requests under way, and accounts, of all tenants.
    requests: usize,
    accounts: usize,
}

/// One app over all its tenants.
#[derive(Debug)]
struct App {
    bucket: Bucket,
    line: Line<Id<Seat>>,
}

/// One app in one tenant: a controller.
#[derive(Debug)]
pub(super) struct Seat {
    bucket: Bucket,
    app: Id<App>,
    tenant: Id<Bucket>,
    wakes: Wakes,
    /// Changes still to come, as far as is known.
    to_come: u64,
    /// Its place in the line of the app while it waits there, and the place it last went from.
    place: Option<u128>,
    last: u128,
    writes: usize,
    reads: usize,
    reads_not_before: Option<Instant>,
}

/// What wakes the first to wait for a turn of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakes {
    write: Arc<Notify>,
    read: Arc<Notify>,
}

impl Wakes {
    pub(super) fn of(&self, kind: RequestKind) -> &Notify {
        match kind {
            RequestKind::Read => &self.read,
            RequestKind::Write => &self.write,
        }
    }
}

impl Seats {
    pub(super) fn new(requests_at_once: usize) -> Self {
        Self {
            seats: Arena::default(),
            by_name: HashMap::new(),
            apps: Arena::default(),
            apps_by_name: HashMap::new(),
            tenants: Arena::default(),
            tenants_by_name: HashMap::new(),
            requests_at_once: requests_at_once.max(1),
            active: 0,
            requests: 0,
            accounts: 0,
        }
    }

    pub(super) fn seat(
        &mut self,
        app: &str,
        tenant: &str,
        quotas: &Quotas,
        now: Instant,
    ) -> (Id<Seat>, Wakes) {
        let (app, tenant) = (app.to_lowercase(), tenant.to_lowercase());
        let bucket = |quota: Option<Quota>| Bucket::new(quota, now);
        let seat = match self.by_name.get(&(app.clone(), tenant.clone())) {
            Some(seat) => *seat,
            None => {
                let (apps, tenants) = (&mut self.apps, &mut self.tenants);
                let of_app = *self.apps_by_name.entry(app.clone()).or_insert_with(|| {
                    apps.add(App {
                        bucket: bucket(quotas.app),
                        line: Line::default(),
                    })
                });
                let of_tenant = *self
                    .tenants_by_name
                    .entry(tenant.clone())
                    .or_insert_with(|| tenants.add(bucket(quotas.tenant)));
                let seat = self.seats.add(Seat {
                    bucket: bucket(quotas.app_in_tenant),
                    app: of_app,
                    tenant: of_tenant,
                    wakes: Wakes::default(),
                    to_come: 0,
                    place: None,
                    last: 0,
                    writes: 0,
                    reads: 0,
                    reads_not_before: None,
                });
                self.by_name.insert((app, tenant), seat);
                seat
            }
        };
        (seat, self.seats.at(seat).wakes.clone())
    }

    /// Takes a turn, if there is one now.
    pub(super) fn claim(&mut self, id: Id<Seat>, kind: RequestKind, now: Instant) -> Ready {
        match kind {
            RequestKind::Read => self.claim_read(id, now),
            RequestKind::Write => self.claim_write(id, now),
        }
    }

    fn claim_read(&mut self, id: Id<Seat>, now: Instant) -> Ready {
        let most = self.requests_for_one().min(READS_AT_ONCE);
        let seat = self.seats.at(id);
        match seat.reads_not_before {
            Some(at) if at > now => Ready::At(at),
            _ if seat.reads >= most => Ready::Later,
            _ => {
                seat.reads += 1;
                self.requests += 1;
                Ready::Now
            }
        }
    }

    fn claim_write(&mut self, id: Id<Seat>, now: Instant) -> Ready {
        let most = self.accounts_for_one();
        let seat = self.seats.at(id);
        let tenant = self.tenants.at(seat.tenant);
        let apart = match (seat.bucket.ready(now), tenant.ready(now)) {
            _ if seat.writes >= most => Ready::Later,
            (Ready::Later, _) | (_, Ready::Later) => Ready::Later,
            (Ready::Now, other) | (other, Ready::Now) => other,
            (Ready::At(one), Ready::At(other)) => Ready::At(one.max(other)),
        };
        if apart != Ready::Now {
            // whoever cannot go does not hold up the others
            self.leave_line(id);
            return apart;
        }
        let app = self.apps.at(seat.app);
        let (last, to_come) = (seat.last, seat.to_come);
        let place = *seat
            .place
            .get_or_insert_with(|| app.line.join(id, last, to_come));
        if app.line.first() != Some(id) {
            return Ready::Later;
        }
        let ready = app.bucket.ready(now);
        if ready == Ready::Now {
            app.bucket.take();
            tenant.take();
            seat.bucket.take();
            seat.writes += 1;
            self.accounts += 1;
            (seat.place, seat.last) = (None, place);
            app.line.went(id, place);
            self.wake_first(id);
        }
        ready
    }

    /// Whoever waited first in this seat waits no longer.
    pub(super) fn leave_line(&mut self, id: Id<Seat>) {
        let seat = self.seats.at(id);
        if let Some(place) = seat.place.take() {
            self.apps.at(seat.app).line.leave(id, place);
            self.wake_first(id);
        }
    }

    /// Wakes the first in the line of this seat's app.
    fn wake_first(&mut self, id: Id<Seat>) {
        let app = self.seats.at(id).app;
        if let Some(first) = self.apps.at(app).line.first() {
            self.seats.at(first).wakes.write.notify_one();
        }
    }

    /// A turn is over; `sent` unless nothing came of it.
    pub(super) fn done(&mut self, id: Id<Seat>, kind: RequestKind, sent: bool, now: Instant) {
        let seat = self.seats.at(id);
        seat.wakes.of(kind).notify_one();
        match kind {
            RequestKind::Read => {
                seat.reads = seat.reads.saturating_sub(1);
                self.requests = self.requests.saturating_sub(1);
            }
            RequestKind::Write => {
                seat.writes = seat.writes.saturating_sub(1);
                self.accounts = self.accounts.saturating_sub(1);
                let app = self.apps.at(seat.app);
                let tenant = self.tenants.at(seat.tenant);
                for bucket in [&mut seat.bucket, &mut app.bucket, tenant] {
                    bucket.done(sent, now);
                }
                if sent {
                    seat.to_come = seat.to_come.saturating_sub(1);
                } else {
                    self.wake_first(id);
                }
            }
        }
    }

    /// Takes note of an answer.
    pub(super) fn heard(&mut self, id: Id<Seat>, kind: RequestKind, heard: Heard, now: Instant) {
        let seat = self.seats.at(id);
        let app = &mut self.apps.at(seat.app).bucket;
        let tenant = self.tenants.at(seat.tenant);
        match (kind, heard) {
            (RequestKind::Read, Heard::Passed { .. }) => return,
            (RequestKind::Read, Heard::Throttled { retry_after, .. }) => {
                // reads have quotas of their own, wide ones: it is the tenant that is busy
                let pause = retry_after.unwrap_or(READ_PAUSE).min(LONGEST_READ_PAUSE);
                seat.reads_not_before = seat.reads_not_before.max(Some(now + pause));
            }
            (RequestKind::Write, Heard::Passed { usage }) => {
                // the server tells the highest of its shares, and we know which one that should be
                let buckets = [&mut seat.bucket, app, tenant];
                let told = highest(&buckets);
                let at_most = usage.unwrap_or(TOLD_FROM);
                for (index, bucket) in buckets.into_iter().enumerate() {
                    bucket.passed(usage.filter(|_| index == told), at_most, now);
                }
            }
            (RequestKind::Write, Heard::Throttled { retry_after, scope }) => {
                let bucket = match scope {
                    Some(QuotaScope::App) => app,
                    Some(QuotaScope::AppInTenant) | None => &mut seat.bucket,
                    Some(QuotaScope::Tenant) => tenant,
                };
                bucket.throttled(retry_after, now);
            }
        }
        seat.wakes.of(kind).notify_one();
        self.wake_first(id);
    }

    pub(super) fn expect(&mut self, id: Id<Seat>, writes: u64) {
        self.seats.at(id).to_come = writes;
    }

    /// A run begins.
    pub(super) fn begins(&mut self) {
        self.active += 1;
    }

    /// It ended.
    pub(super) fn ended(&mut self) {
        self.active = self.active.saturating_sub(1);
        // more for each of the others
        for seat in self.seats.iter() {
            seat.wakes.write.notify_one();
        }
    }

    /// A request with changes leaves.
    pub(super) fn leaves(&mut self) {
        self.requests += 1;
    }

    /// It was answered, or is given up.
    pub(super) fn returned(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// How many requests one tenant may have under way.
    pub(super) fn requests_for_one(&self) -> usize {
        self.for_one(self.requests_at_once, self.requests)
    }

    /// How many accounts one tenant may have under way.
    fn accounts_for_one(&self) -> usize {
        self.for_one(self.requests_at_once * ACCOUNTS_PER_REQUEST, self.accounts)
    }

    /// Its part of `all`, or more while much is free, so that a few large tenants among many small ones get on, and
    /// never so much that one which answers slowly is felt by the others (dynamic thresholds,
    /// <https://doi.org/10.1109/90.664262>).
    fn for_one(&self, all: usize, used: usize) -> usize {
        let part = all / self.active.max(1);
        part.max(all.saturating_sub(used) / RESERVED).max(1)
    }

    pub(super) fn state(&mut self, id: Id<Seat>, now: Instant) -> RateState {
        let seat = self.seats.at(id);
        let app = &self.apps.at(seat.app).bucket;
        let tenant = self.tenants.at(seat.tenant);
        let buckets = [&seat.bucket, app, tenant];
        let limits = buckets.iter().filter_map(|bucket| bucket.limit());
        let closed = buckets
            .iter()
            .filter_map(|bucket| bucket.closed_until(now))
            .max();
        RateState {
            limit: limits.reduce(f64::min),
            usage: buckets
                .iter()
                .filter_map(|bucket| bucket.usage())
                .reduce(f64::max),
            paused: closed.map(|until| until.saturating_duration_since(now)),
        }
    }
}

/// The wait if a read is turned away without a word on how long.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// Longer than any wait that a server means.
const LONGEST_READ_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The one of these that should be used the most.
fn highest(buckets: &[&mut Bucket; 3]) -> usize {
    let usage = |bucket: &&mut Bucket| bucket.usage().unwrap_or(-1.0);
    let by_usage = buckets.iter().map(usage).enumerate();
    // the first of equals: an app in a tenant has the narrowest quota
    by_usage
        .reduce(|most, next| if next.1 > most.1 { next } else { most })
        .map_or(0, |(index, _)| index)
}
