//! A tenant to be served.

use std::time::Duration;

use uuid::Uuid;

use super::{App, Group, Relationship, Unit, User};
use crate::role::Role;
use crate::switches::Switches;
use crate::throttle::Throttle;

/// Who checks the passwords of a domain's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// An identity provider outside Entra.
    Federated,
    /// Entra itself.
    Managed,
}

impl Authentication {
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            Self::Federated => "Federated",
            Self::Managed => "Managed",
        }
    }
}

/// A tenant to be served: domains, apps, users, groups, units, and how it behaves where
/// Microsoft's documentation is silent.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub(crate) id: Option<Uuid>,
    pub(crate) display_name: String,
    pub(crate) domains: Vec<(String, Authentication)>,
    pub(crate) apps: Vec<App>,
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    pub(crate) units: Vec<Unit>,
    pub(crate) custom_roles: Vec<(Role, String)>,
    /// Domains of the tenants that it has contracts with.
    pub(crate) customers: Vec<String>,
    pub(crate) relationships: Vec<Relationship>,
    pub(crate) banned_words: Vec<String>,
    pub(crate) password_validity: Option<u32>,
    pub(crate) replication_lag: Duration,
    pub(crate) permission_lag: Duration,
    pub(crate) switches: Switches,
    pub(crate) throttle: Option<Throttle>,
}

impl Tenant {
    /// An empty tenant with one managed domain. Its name is the domain's first label.
    pub fn new(domain: impl Into<String>) -> Self {
        let domain = domain.into();
        let label = domain.split('.').next().unwrap_or_default();
        let mut letters = label.chars();
        let display_name = letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default();
        Self {
            id: None,
            display_name,
            domains: vec![(domain, Authentication::Managed)],
            apps: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            units: Vec::new(),
            custom_roles: Vec::new(),
            customers: Vec::new(),
            relationships: Vec::new(),
            banned_words: Vec::new(),
            password_validity: None,
            replication_lag: Duration::ZERO,
            permission_lag: Duration::ZERO,
            switches: Switches::default(),
            throttle: None,
        }
    }

    /// Lets passwords expire after so many days, as in tenants that were made before 2021.
    #[must_use]
    pub fn password_validity(mut self, days: u32) -> Self {
        self.password_validity = Some(days);
        self
    }

    /// Sets the tenant id, which is otherwise made up.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the organisation's display name.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// Adds a verified domain.
    #[must_use]
    pub fn with_domain(mut self, name: impl Into<String>, authentication: Authentication) -> Self {
        self.domains.push((name.into(), authentication));
        self
    }

    /// Adds an app. The first one is the tenant's
    /// [`client_id`](crate::TenantHandle::client_id).
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Puts `app` in the place of the first app.
    #[must_use]
    pub fn first_app(mut self, app: App) -> Self {
        self.apps.splice(..self.apps.len().min(1), [app]);
        self
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Adds an administrative unit.
    #[must_use]
    pub fn unit(mut self, unit: Unit) -> Self {
        self.units.push(unit);
        self
    }

    /// Adds the definition of a custom role, to be assigned by [`Role::from_id`].
    #[must_use]
    pub fn custom_role(mut self, role: Role, display_name: impl Into<String>) -> Self {
        self.custom_roles.push((role, display_name.into()));
        self
    }

    /// Makes this the tenant of a partner that has a contract with the tenant of this domain
    /// (<https://learn.microsoft.com/graph/api/resources/contract>).
    #[must_use]
    pub fn customer(mut self, domain: impl Into<String>) -> Self {
        self.customers.push(domain.into());
        self
    }

    /// Makes this the tenant of a partner whose people may act in a customer's.
    #[must_use]
    pub fn relationship(mut self, relationship: Relationship) -> Self {
        self.relationships.push(relationship);
        self
    }

    /// Adds a word to the tenant's own banned password list.
    #[must_use]
    pub fn banned_word(mut self, word: impl Into<String>) -> Self {
        self.banned_words.push(word.into());
        self
    }

    /// Shows a changed `lastPasswordChangeDateTime` only after this time.
    #[must_use]
    pub fn replication_lag(mut self, lag: Duration) -> Self {
        self.replication_lag = lag;
        self
    }

    /// Shows an application permission that is granted at run time only in tokens that are issued after this time: how long it
    /// takes is not documented.
    #[must_use]
    pub fn permission_lag(mut self, lag: Duration) -> Self {
        self.permission_lag = lag;
        self
    }

    /// Limits what this tenant lets through in another way than the [server's](crate::Config::throttle).
    #[must_use]
    pub fn throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Changes the undocumented behaviours.
    #[must_use]
    pub fn switches(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        change(&mut self.switches);
        self
    }
}
