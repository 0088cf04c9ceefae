//! The on-premises directory that accounts are synced from, as far as their passwords go.
//!
//! <https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-password-hash-synchronization>

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::Account;

/// What was set there and the next sync will bring.
#[derive(Default)]
pub(crate) struct OnPremises {
    waiting: Mutex<HashMap<Uuid, Box<str>>>,
}

impl OnPremises {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Box<str>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, account: Uuid, password: &str) {
        self.waiting().insert(account, password.into());
    }

    /// What has been set since the last time.
    pub(crate) fn take(&self) -> Vec<(Uuid, Box<str>)> {
        self.waiting().drain().collect()
    }
}

impl fmt::Debug for OnPremises {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnPremises").finish_non_exhaustive()
    }
}

/// By which an account is known there: `onPremisesSecurityIdentifier`.
pub(crate) fn security_id(account: &Account) -> String {
    format!("S-1-5-21-1-2-3-{}", account.id.as_fields().0)
}
