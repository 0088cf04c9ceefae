//! Partners and their customers, which are tenants both.

use crate::directory::{Directory, Grant, Holdings, Relationship};
use crate::world::World;
use jiff::Timestamp;
use uuid::Uuid;

impl World {
    /// The relationships of `partner` with `customer` that are in force.
    pub(crate) fn relationships_with<'a>(
        &self,
        partner: &'a Directory,
        customer: &'a Directory,
    ) -> impl Iterator<Item = &'a Relationship> {
        let now: Timestamp = self.clock.now();
        let all = partner.relationships.iter();
        all.filter(move |one| one.is_active(now) && customer.has_domain(&one.customer))
    }

    /// What a person of `partner` holds in `customer`: what each relationship gives to a group that the person is in. Not
    /// more than tenant-wide roles, and none of it in the customer's own lists.
    ///
    /// <https://learn.microsoft.com/graph/api/resources/delegatedadminaccessassignment>
    pub(crate) fn partner_holdings(
        &self,
        partner: &Directory,
        person: Uuid,
        customer: &Directory,
    ) -> Holdings {
        let access = partner.access();
        let is_in = |group: Uuid| {
            let mut groups = access.groups.iter();
            groups.any(|one| one.id == group && one.members.contains(&person))
        };
        let relationships = self.relationships_with(partner, customer);
        let roles = relationships
            .filter(|one| is_in(one.group))
            .flat_map(|one| &one.roles);
        Holdings {
            active: roles
                .map(|role| Grant {
                    role: *role,
                    unit: None,
                    restricted: false,
                })
                .collect(),
            ..Holdings::default()
        }
    }
}
