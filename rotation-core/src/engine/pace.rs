//! How fast a run goes: by the turns of a rate controller, the backend's own if it has one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::{
    Heard, Outcome, Quotas, RateControl, RateController, RequestKind, RotationBackend, Turn,
};

pub(super) struct Pace {
    controller: RateController,
    /// Whether the backend takes turns for its reads, and tells what it hears, by itself.
    the_backends: bool,
    /// For those who are to send at once; the others wait before they take a turn that they could not use.
    places: Semaphore,
    /// Until when the run is known to pause.
    paused_until: Mutex<Option<Instant>>,
}

/// A place among those who send at once, with a turn to do so.
pub(super) struct Place<'a> {
    _place: Option<SemaphorePermit<'a>>,
    turn: Turn,
}

impl Place<'_> {
    /// Nothing was sent.
    pub(super) fn unused(self) {
        self.turn.unused();
    }
}

impl Pace {
    /// The backend's, or one of our own that lets so many requests go at once; for so many passwords at once.
    pub(super) fn of(backend: &dyn RotationBackend, requests: usize, passwords: usize) -> Self {
        let (controller, the_backends) = match backend.rate() {
            Some(controller) => (controller.clone(), true),
            None => {
                let control = RateControl::with_requests_at_once(requests);
                (control.controller("", "", &Quotas::default()), false)
            }
        };
        Self {
            controller,
            the_backends,
            places: Semaphore::new(passwords.min(Semaphore::MAX_PERMITS)),
            paused_until: Mutex::default(),
        }
    }

    pub(super) fn controller(&self) -> &RateController {
        &self.controller
    }

    /// Waits for a turn to send a password.
    pub(super) async fn write(&self) -> Turn {
        self.controller.turn(RequestKind::Write).await
    }

    /// Waits for a place to send a password, in its `turn` if it has one. A turn from before the directory asked to be
    /// left alone is none any more.
    pub(super) async fn place(&self, mut turn: Option<Turn>) -> Place<'_> {
        // an error would mean that the semaphore is closed, which it never is
        let place = self.places.acquire().await.ok();
        loop {
            let turn = match turn.take() {
                Some(turn) => turn,
                None => self.write().await,
            };
            if !self.is_paused() {
                return Place {
                    _place: place,
                    turn,
                };
            }
            turn.unused();
        }
    }

    /// Waits for a turn to read, unless the backend does.
    pub(super) async fn read(&self) -> Option<Turn> {
        if self.the_backends {
            return None;
        }
        Some(self.controller.turn(RequestKind::Read).await)
    }

    /// Whether the directory wants to be left alone now.
    pub(super) fn is_paused(&self) -> bool {
        self.controller.state().paused.is_some()
    }

    /// Takes note of what the directory said to a password; for how long it wants to be left alone, if that is news.
    pub(super) fn heard(&self, outcome: &Outcome) -> Option<Duration> {
        let heard = match outcome {
            Outcome::NotSent(_) | Outcome::Unknown(_) => return None,
            Outcome::Throttled { retry_after, .. } => Heard::Throttled {
                retry_after: *retry_after,
                scope: None,
            },
            Outcome::Applied { .. } | Outcome::Refused(_) => Heard::Passed { usage: None },
        };
        if !self.the_backends {
            self.controller.heard(RequestKind::Write, heard);
        }
        if !matches!(heard, Heard::Throttled { .. }) {
            return None;
        }
        let pause = self.controller.state().paused?;
        let until = Instant::now() + pause;
        let mut known = self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let news = known.is_none_or(|known| until > known);
        *known = (*known).max(Some(until));
        news.then_some(pause)
    }
}
