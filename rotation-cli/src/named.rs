//! Accounts that the command line names, and whether they were found.

use std::collections::BTreeSet;

use rotation_core::Account;

/// The names that no account had so far.
#[derive(Clone, Debug)]
pub(crate) struct Named(BTreeSet<String>);

impl Named {
    /// Nothing of `names`, user principal names and object ids in any case, is found yet.
    pub(crate) fn new(names: &[String]) -> Self {
        Self(
            names
                .iter()
                .map(|name| name.trim().to_lowercase())
                .collect(),
        )
    }

    /// There is this account.
    pub(crate) fn see(&mut self, account: &Account) {
        self.see_names(account.id.as_str(), &account.user_name);
    }

    /// There is an account with this object id and user principal name.
    pub(crate) fn see_names(&mut self, id: &str, user_name: &str) {
        if !self.0.is_empty() {
            self.0.remove(id);
            self.0.remove(&user_name.to_lowercase());
        }
    }

    /// What was not found.
    pub(crate) fn missing(self) -> Vec<String> {
        self.0.into_iter().collect()
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
