//! What a partner's people may do in a customer's tenant, and for how long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::clock::{earlier, later};
use crate::role::Role;
use crate::seed;

/// By how much a relationship is extended
/// (<https://learn.microsoft.com/graph/api/resources/delegatedadminrelationship>).
const EXTENSION: SignedDuration = SignedDuration::from_hours(180 * 24);

/// How long before the start of the server a relationship ended that did.
const ENDED: Duration = Duration::from_secs(3600);

/// A delegated administration relationship, as the partner has it.
#[derive(Clone, Debug)]
pub(crate) struct Relationship {
    pub(crate) id: String,
    /// The customer's domain.
    pub(crate) customer: String,
    /// The partner's group whose members have the roles.
    pub(crate) group: Uuid,
    pub(crate) roles: Vec<Role>,
    pub(crate) since: Timestamp,
    pub(crate) extends: bool,
    ends: Timestamp,
}

impl Relationship {
    pub(super) fn new(seed: seed::Relationship, id: Uuid, group: Uuid, now: Timestamp) -> Self {
        Self {
            id: format!("{id}-{}", group.simple()),
            customer: seed.customer,
            group,
            roles: seed.roles,
            since: earlier(now, Duration::from_secs(30 * 24 * 3600)),
            extends: seed.extends,
            ends: match seed.lasts {
                Some(lasts) => later(now, lasts),
                None => earlier(now, ENDED),
            },
        }
    }

    /// When it ends, or ended.
    pub(crate) fn ends(&self, now: Timestamp) -> Timestamp {
        let mut ends = self.ends;
        while self.extends && ends <= now {
            ends += EXTENSION;
        }
        ends
    }

    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        now < self.ends(now)
    }
}
