//! Accounts that the command line names, and whether they were found.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rotation_core::Account;

/// The names that no account had so far, whoever looks at accounts.
#[derive(Debug)]
pub(crate) struct Named(Mutex<BTreeSet<String>>);

impl Named {
    /// Nothing of `names`, user principal names and object ids in any case, is found yet.
    pub(crate) fn new(names: &[String]) -> Self {
        let names = names.iter().map(|name| name.trim().to_lowercase());
        Self(Mutex::new(names.collect()))
    }

    /// There is this account.
    pub(crate) fn see(&self, account: &Account) {
        self.see_names(account.id.as_str(), &account.user_name);
    }

    /// There is an account with this object id and user principal name.
    pub(crate) fn see_names(&self, id: &str, user_name: &str) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !missing.is_empty() {
            missing.remove(id);
            missing.remove(&user_name.to_lowercase());
        }
    }

    /// What was not found.
    pub(crate) fn missing(self) -> Vec<String> {
        let missing = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        missing.into_iter().collect()
    }
}

/// Whether `names` is empty or names the account with this object id and user principal name.
pub(crate) fn includes(names: &[String], id: &str, user_name: &str) -> bool {
    let named = |name: &String| {
        let name = name.trim().to_lowercase();
        name == id || name == user_name.to_lowercase()
    };
    names.is_empty() || names.iter().any(named)
}
