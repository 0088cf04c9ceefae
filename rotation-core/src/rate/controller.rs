use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};

use super::arena::Id;
use super::bucket::Ready;
use super::seats::{Seat, Seats, Wakes};
use super::{Heard, RateState, RequestKind};

/// How fast one app may go in one tenant. Clones share what was learned.
///
/// Every request takes a [`turn`](Self::turn) before it is sent, and every answer is told with [`heard`](Self::heard).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use rotation_core::{Heard, Quotas, RateControl, RequestKind};
///
/// let control = RateControl::new();
/// let controller = control.controller("app", "tenant", &Quotas::default());
/// let turn = controller.turn(RequestKind::Write).await;
/// // the request is sent, and answered with 429
/// let retry_after = Some(Duration::from_secs(7));
/// controller.heard(RequestKind::Write, Heard::Throttled { retry_after, scope: None });
/// drop(turn);
/// assert!(controller.state().paused.is_some());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct RateController {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seats: Arc<Mutex<Seats>>,
    seat: Id<Seat>,
    wakes: Wakes,
    /// Those who wait, the first in line holding it.
    writers: tokio::sync::Mutex<()>,
    readers: tokio::sync::Mutex<()>,
}

/// Leave to send one request, until it is dropped.
#[derive(Debug)]
#[must_use = "the turn lasts until it is dropped"]
pub struct Turn {
    shared: Arc<Shared>,
    kind: RequestKind,
    sent: bool,
}

/// Counts a tenant as one of those among which the requests at once are parted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Active(Arc<Shared>);

/// A request with changes is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Shared>);

impl RateController {
    pub(super) fn seated(
        seats: Arc<Mutex<Seats>>,
        sit: impl FnOnce(&mut Seats) -> (Id<Seat>, Wakes),
    ) -> Self {
        let (seat, wakes) = sit(&mut locked(&seats));
        Self {
            shared: Arc::new(Shared {
                seats,
                seat,
                wakes,
                writers: tokio::sync::Mutex::default(),
                readers: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// Waits for a turn to send one request of this kind. Turns are given in the order they are asked for.
    pub async fn turn(&self, kind: RequestKind) -> Turn {
        let shared = &self.shared;
        let _first = match kind {
            RequestKind::Read => shared.readers.lock().await,
            RequestKind::Write => shared.writers.lock().await,
        };
        let _waiting = Waiting { shared, kind };
        loop {
            let ready = shared.seats().claim(shared.seat, kind, Instant::now());
            let woken = shared.wakes.of(kind).notified();
            match ready {
                Ready::Now => {
                    return Turn {
                        shared: Arc::clone(shared),
                        kind,
                        sent: true,
                    };
                }
                Ready::At(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = woken => {}
                },
                Ready::Later => woken.await,
            }
        }
    }

    /// Takes note of what the directory said to one request of this kind.
    pub fn heard(&self, kind: RequestKind, heard: Heard) {
        let shared = &self.shared;
        shared
            .seats()
            .heard(shared.seat, kind, heard, Instant::now());
    }

    /// How many changes are still to come, as far as is known: where tenants share a quota, each gets its part by it.
    pub fn expect(&self, writes: u64) {
        self.shared.seats().expect(self.shared.seat, writes);
    }

    /// How fast it lets changes through now.
    #[must_use]
    pub fn state(&self) -> RateState {
        self.shared.seats().state(self.shared.seat, Instant::now())
    }

    /// A run begins.
    pub(crate) fn begins(&self) -> Active {
        self.shared.seats().begins();
        Active(Arc::clone(&self.shared))
    }

    /// A request with changes, for which turns were given, leaves.
    pub(crate) fn leaves(&self) -> UnderWay {
        self.shared.seats().leaves();
        UnderWay(Arc::clone(&self.shared))
    }

    /// How many requests with changes may be under way to this tenant now.
    pub(crate) fn requests_at_once(&self) -> usize {
        self.shared.seats().requests_for_one()
    }
}

impl Turn {
    /// The request was not sent after all.
    pub fn unused(mut self) {
        self.sent = false;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared
            .seats()
            .done(shared.seat, self.kind, self.sent, Instant::now());
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.seats().ended();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.seats().returned();
    }
}

/// One who waits for a turn, or no longer.
struct Waiting<'a> {
    shared: &'a Shared,
    kind: RequestKind,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.kind == RequestKind::Write {
            self.shared.seats().leave_line(self.shared.seat);
        }
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        locked(&self.seats)
    }
}

fn locked(seats: &Mutex<Seats>) -> MutexGuard<'_, Seats> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}
