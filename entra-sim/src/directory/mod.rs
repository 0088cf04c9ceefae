//! The living state of one tenant.
//!
//! Accounts never move, so a lookup needs no lock; what changes in an account sits behind a lock
//! of its own, and who holds which role behind one lock per tenant that writers hardly ever take.

mod access;
pub(crate) use access::{Access, Assignment, GroupRecord, UnitRecord};
mod account;
pub(crate) use account::{Account, Seeded, State};
mod app_key;
pub(crate) use app_key::{AppCertificate, Federation};
mod build;
mod holdings;
pub(crate) use holdings::{Grant, Holdings};
mod lockout;
pub(crate) use lockout::{Attempt, Lockout};
mod relationship;
pub(crate) use relationship::Relationship;
mod service_principal;
pub(crate) use service_principal::{ClientSecret, SecretCheck, ServicePrincipal};

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use uuid::Uuid;

use crate::banned::Banned;
use crate::role::Role;
use crate::seed::Authentication;
use crate::switches::Switches;

/// A tenant at run time.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) domains: Vec<(String, Authentication)>,
    pub(crate) service_principals: Vec<ServicePrincipal>,
    pub(crate) custom_roles: Vec<(Role, String)>,
    pub(crate) banned: Banned,
    /// Domains of the tenants that this one has contracts with, as a partner.
    pub(crate) customers: Vec<String>,
    /// What the people of this tenant may do in customers' tenants.
    pub(crate) relationships: Vec<Relationship>,
    /// After how many days passwords expire, if they do.
    pub(crate) password_validity: Option<u32>,
    pub(crate) replication_lag: Duration,
    pub(crate) switches: Switches,
    accounts: Vec<Account>,
    by_id: HashMap<Uuid, usize>,
    by_upn: HashMap<Box<str>, usize>,
    access: RwLock<Access>,
}

impl Directory {
    /// Every account, the deleted ones included, in the order of listing.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The account with this object id, unless deleted.
    pub(crate) fn account(&self, id: Uuid) -> Option<&Account> {
        let account = self.accounts.get(*self.by_id.get(&id)?)?;
        (!account.is_deleted()).then_some(account)
    }

    /// The account with this object id or UPN, unless deleted.
    pub(crate) fn account_by_key(&self, key: &str) -> Option<&Account> {
        if let Ok(id) = Uuid::try_parse(key) {
            return self.account(id);
        }
        let account = self
            .accounts
            .get(*self.by_upn.get(key.to_lowercase().as_str())?)?;
        (!account.is_deleted()).then_some(account)
    }

    /// The app with this client id.
    pub(crate) fn app(&self, client_id: Uuid) -> Option<&ServicePrincipal> {
        self.service_principals
            .iter()
            .find(|app| app.client_id == client_id)
    }

    /// Roles, groups and units as they are now.
    pub(crate) fn access(&self) -> RwLockReadGuard<'_, Access> {
        self.access.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes roles, groups or units.
    pub(crate) fn change_access(&self, change: impl FnOnce(&mut Access)) {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut access);
        access.index();
    }

    pub(crate) fn has_domain(&self, name: &str) -> bool {
        let mut domains = self.domains.iter();
        domains.any(|(domain, _)| domain.eq_ignore_ascii_case(name))
    }

    /// The tenant's first domain.
    pub(crate) fn default_domain(&self) -> &str {
        self.domains
            .first()
            .map_or("", |(domain, _)| domain.as_str())
    }
}
