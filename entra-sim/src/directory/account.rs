//! One account: what never changes, and what a PATCH may change.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Lockout;
use crate::clock::later;
use crate::seed::Origin;

/// The state that an account starts with and returns to at a reset.
pub(crate) struct Seeded {
    pub(crate) password: Option<Box<str>>,
    pub(crate) password_changed: Option<Timestamp>,
    pub(crate) enabled: bool,
    pub(crate) must_change: bool,
}

/// What may change in an account.
pub(crate) struct State {
    pub(crate) enabled: bool,
    pub(crate) must_change: bool,
    pub(crate) deleted: bool,
    /// Boxed, as hardly any of a million accounts has one.
    pub(crate) lockout: Option<Box<Lockout>>,
    /// How many requests have set a password.
    pub(crate) password_sets: u64,
    /// The password since the first PATCH; before it, the seeded one is live.
    new_password: Option<Box<str>>,
    password_changed: Option<Timestamp>,
    /// What readers see until the last change has been replicated.
    shown: Option<(Timestamp, Option<Timestamp>)>,
}

impl State {
    pub(crate) fn new(seeded: &Seeded) -> Self {
        Self {
            enabled: seeded.enabled,
            must_change: seeded.must_change,
            deleted: false,
            lockout: None,
            password_sets: 0,
            new_password: None,
            password_changed: seeded.password_changed,
            shown: None,
        }
    }

    /// Sets the password; readers see the new date only after `lag`.
    pub(crate) fn set_password(
        &mut self,
        password: &str,
        must_change: bool,
        now: Timestamp,
        lag: Duration,
    ) {
        let before = self.password_changed(now);
        self.shown = (!lag.is_zero()).then(|| (later(now, lag), before));
        self.new_password = Some(password.into());
        self.password_changed = Some(now);
        self.must_change = must_change;
        self.password_sets += 1;
    }

    /// `lastPasswordChangeDateTime` as a reader sees it now.
    pub(crate) fn password_changed(&self, now: Timestamp) -> Option<Timestamp> {
        match self.shown {
            Some((until, before)) if now < until => before,
            _ => self.password_changed,
        }
    }
}

/// A user object.
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) user_principal_name: Box<str>,
    pub(crate) display_name: Box<str>,
    pub(crate) given_name: Option<Box<str>>,
    pub(crate) surname: Option<Box<str>>,
    pub(crate) origin: Origin,
    pub(crate) federated: bool,
    pub(crate) requires_mfa: bool,
    pub(crate) password_policies: Option<Box<str>>,
    pub(crate) created: Timestamp,
    pub(crate) state: Mutex<State>,
    pub(crate) seeded: Seeded,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("user_principal_name", &self.user_principal_name)
            .finish_non_exhaustive()
    }
}

impl Account {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.state().deleted
    }

    /// Whether `password` would sign in now.
    pub(crate) fn password_is(&self, password: &str) -> bool {
        self.live_password(&self.state()) == Some(password)
    }

    /// The password that signs in now; `None` if this tenant keeps none.
    pub(crate) fn live_password<'a>(&'a self, state: &'a State) -> Option<&'a str> {
        state
            .new_password
            .as_deref()
            .or(self.seeded.password.as_deref())
    }

    /// Puts everything back as it was when the server started.
    pub(crate) fn reset(&self) {
        *self.state() = State::new(&self.seeded);
    }
}
