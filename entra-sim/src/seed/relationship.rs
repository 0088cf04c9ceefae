//! A delegated administration relationship (GDAP) of a partner with a customer.

use std::time::Duration;

use crate::role::Role;

/// What a customer lets the people of one group of its partner do in its tenant: granular delegated admin privileges
/// (<https://learn.microsoft.com/graph/api/resources/delegatedadminrelationships-api-overview>). By default it lasts for
/// a year from the start of the server.
#[derive(Clone, Debug)]
pub struct Relationship {
    pub(crate) customer: String,
    pub(crate) group: String,
    pub(crate) roles: Vec<Role>,
    /// From the start of the server; `None`: it ended an hour before.
    pub(crate) lasts: Option<Duration>,
    pub(crate) extends: bool,
}

impl Relationship {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    /// With the tenant that has this domain, for the partner's group of this name. It gives no role yet.
    pub fn new(customer: impl Into<String>, group: impl Into<String>) -> Self {
        Self {
            customer: customer.into(),
            group: group.into(),
            roles: Vec::new(),
            lasts: Some(Self::A_YEAR),
            extends: false,
        }
    }

    /// Gives the group a role.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// Lets it end so long after the start of the server.
    #[must_use]
    pub fn lasting(mut self, lasts: Duration) -> Self {
        self.lasts = Some(lasts);
        self
    }

    /// Has it extended by 180 days whenever it would end.
    #[must_use]
    pub fn extending(mut self) -> Self {
        self.extends = true;
        self
    }

    /// Lets it have ended before the start of the server.
    #[must_use]
    pub fn ended(mut self) -> Self {
        self.lasts = None;
        self
    }
}
