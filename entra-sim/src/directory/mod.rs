//! The living state of one tenant.
//!
//! Accounts never move, so a lookup needs no lock; what changes in an account sits behind a lock
//! of its own, and who holds which role, and which apps there are, behind two locks per tenant
//! that writers hardly ever take.

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
mod on_premises;
pub(crate) use on_premises::{OnPremises, security_id};
mod relationship;
pub(crate) use relationship::Relationship;
mod service_principal;
pub(crate) use service_principal::{ClientSecret, SecretCheck, ServicePrincipal};

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::Timestamp;
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
    pub(crate) custom_roles: Vec<(Role, String)>,
    pub(crate) banned: Banned,
    /// Domains of the tenants that this one has contracts with, as a partner.
    pub(crate) customers: Vec<String>,
    /// What the people of this tenant may do in customers' tenants.
    pub(crate) relationships: Vec<Relationship>,
    /// After how many days passwords expire, if they do.
    pub(crate) password_validity: Option<u32>,
    pub(crate) replication_lag: Duration,
    pub(crate) permission_lag: Duration,
    pub(crate) switches: Switches,
    /// As it was at the start, whatever became of its service principal.
    pub(crate) first_app: Option<Arc<ServicePrincipal>>,
    pub(crate) on_premises: OnPremises,
    accounts: Vec<Account>,
    by_id: HashMap<Uuid, usize>,
    by_upn: HashMap<Box<str>, usize>,
    access: RwLock<Access>,
    service_principals: RwLock<Vec<Arc<ServicePrincipal>>>,
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
    pub(crate) fn app(&self, client_id: Uuid) -> Option<Arc<ServicePrincipal>> {
        let mut apps = self.service_principals().into_iter();
        apps.find(|app| app.client_id == client_id)
    }

    /// The service principals as they are now, those of the start first.
    pub(crate) fn service_principals(&self) -> Vec<Arc<ServicePrincipal>> {
        let apps = self.service_principals.read();
        apps.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a service principal for an app that is registered in some tenant; `None` if it has one here.
    pub(crate) fn bring_in(&self, app: &ServicePrincipal) -> Option<Arc<ServicePrincipal>> {
        let new = Arc::new(ServicePrincipal {
            id: Uuid::new_v4(),
            permissions: Vec::new(),
            delegated: Vec::new(),
            ..app.clone()
        });
        self.change_service_principals(|apps| {
            let is_new = apps.iter().all(|known| known.client_id != app.client_id);
            is_new.then(|| apps.push(Arc::clone(&new)))
        })?;
        Some(new)
    }

    /// Adds, changes or removes service principals.
    pub(crate) fn change_service_principals<T>(
        &self,
        change: impl FnOnce(&mut Vec<Arc<ServicePrincipal>>) -> T,
    ) -> T {
        let apps = self.service_principals.write();
        change(&mut apps.unwrap_or_else(PoisonError::into_inner))
    }

    /// Roles, groups and units as they are now.
    pub(crate) fn access(&self) -> RwLockReadGuard<'_, Access> {
        self.access.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes roles, groups or units.
    pub(crate) fn change_access<T>(&self, change: impl FnOnce(&mut Access) -> T) -> T {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut access);
        access.index();
        changed
    }

    /// Ends the role assignments that end by `now`.
    pub(crate) fn expire(&self, now: Timestamp) {
        let live = |assignment: &Assignment| assignment.ends.is_none_or(|end| now < end);
        self.change_access(|access| access.assignments.retain(live));
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
