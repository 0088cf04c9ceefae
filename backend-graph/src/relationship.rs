use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use entra_directory::{GraphReader as _, Need, Pages, ReadError};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{BackendError, Problem, RoleId};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;
use crate::quote::quotable;

/// How many relationships are looked into at the same time.
const AT_ONCE: usize = 8;

pub(crate) const READ_RELATIONSHIPS: Need = Need {
    to: "list the partner's relationships with customers",
    permission: "DelegatedAdminRelationship.Read.All",
    pim: false,
};

/// Granular delegated admin privileges of a partner in a customer's tenant
/// (<https://learn.microsoft.com/graph/api/resources/delegatedadminrelationship>).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relationship {
    /// Its name, without control characters.
    pub name: String,
    /// Whether it is in force; if not, it has ended or is being ended.
    pub active: bool,
    /// When it ends or ended, as planned when it became active.
    pub ends: Option<Timestamp>,
    /// Whether it is extended instead of ending.
    pub extends: bool,
    /// The roles that whoever signed in has by it: those that are given to a group which has that person as a member, and
    /// not through another group. Microsoft does not say whether those would do.
    pub roles: BTreeSet<RoleId>,
}

/// <https://learn.microsoft.com/graph/api/resources/delegatedadmincustomer>, also as a relationship has it
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delegating {
    pub(crate) tenant_id: Uuid,
    pub(crate) display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    display_name: Option<String>,
    status: Option<String>,
    end_date_time: Option<Timestamp>,
    auto_extend_duration: Option<String>,
    /// Absent until the customer has agreed.
    customer: Option<Delegating>,
}

/// <https://learn.microsoft.com/graph/api/resources/delegatedadminaccessassignment>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    status: Option<String>,
    access_container: Container,
    access_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    access_container_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    unified_roles: Vec<UnifiedRole>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnifiedRole {
    role_definition_id: RoleId,
}

pub(crate) type ByCustomer = BTreeMap<Uuid, (Option<Delegating>, Vec<Relationship>)>;

/// Of each customer what is or was in force, with the roles that we have by it
/// (<https://learn.microsoft.com/graph/api/tenantrelationship-list-delegatedadminrelationships>).
pub(crate) async fn by_customer(client: &Arc<Client>) -> Result<ByCustomer, BackendError> {
    let path = ["tenantRelationships", "delegatedAdminRelationships"];
    let first = client.graph.url(&path, "$top=300");
    let pages = Pages::<_, Row>::new(Arc::clone(client), first, &READ_RELATIONSHIPS);
    let begun = pages.all().await?.into_iter().filter_map(|mut row| {
        let active = is_in_force(row.status.as_deref().unwrap_or_default())?;
        let customer = row.customer.take()?;
        Some((customer, row, active))
    });
    let given: Vec<_> = stream::iter(begun)
        .map(async |(customer, row, active)| {
            let assignments = if active {
                assignments(client, &row.id).await?
            } else {
                Vec::new()
            };
            Ok::<_, BackendError>((customer, row, active, assignments))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let groups = given.iter().flat_map(|(.., assignments)| assignments);
    let groups = groups.map(|one| one.access_container.access_container_id);
    let ours = ours(client, groups.collect()).await?;
    let mut by_customer = ByCustomer::new();
    for (customer, row, active, assignments) in given {
        let roles = assignments
            .into_iter()
            .filter(|one| ours.contains(&one.access_container.access_container_id))
            .flat_map(|one| one.access_details.unified_roles);
        let relationship = Relationship {
            name: quotable(&row.display_name.unwrap_or_default()),
            active,
            ends: row.end_date_time,
            extends: row.auto_extend_duration.is_some_and(|by| is_some_time(&by)),
            roles: roles.map(|role| role.role_definition_id).collect(),
        };
        let of = by_customer.entry(customer.tenant_id).or_default();
        of.0 = Some(customer);
        of.1.push(relationship);
    }
    Ok(by_customer)
}

/// `None` for what has not begun. What is in none of these states may be anything, and gives nothing.
fn is_in_force(status: &str) -> Option<bool> {
    match status {
        "active" => Some(true),
        "created" | "approvalPending" | "approved" | "activating" => None,
        _ => Some(false),
    }
}

/// `P180D`; `PT0S` and `P0D` are none.
fn is_some_time(duration: &str) -> bool {
    duration.contains(|digit: char| ('1'..='9').contains(&digit))
}

/// <https://learn.microsoft.com/graph/api/delegatedadminrelationship-list-accessassignments>
async fn assignments(
    client: &Arc<Client>,
    relationship: &str,
) -> Result<Vec<Assignment>, BackendError> {
    // what goes into a path is neither empty nor made of dots
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if relationship.is_empty() || !relationship.chars().all(is_id) {
        let problem = "a relationship with a customer has an id that is none: expected GUIDs";
        return Err(BackendError::Unexpected(Problem::new(problem)));
    }
    let path = [
        "tenantRelationships",
        "delegatedAdminRelationships",
        relationship,
        "accessAssignments",
    ];
    let first = client.graph.url(&path, "$top=300");
    let pages = Pages::<_, Assignment>::new(Arc::clone(client), first, &READ_RELATIONSHIPS);
    let mut assignments = pages.all().await?;
    assignments.retain(|one| one.status.as_deref() == Some("active"));
    Ok(assignments)
}

/// Those of `groups` that we are a member of.
async fn ours(client: &Arc<Client>, groups: HashSet<Uuid>) -> Result<HashSet<Uuid>, BackendError> {
    let me = client.claims().await?.oid;
    let looks = stream::iter(groups).map(async |group| {
        let members = match entra_directory::members(client, group).await {
            // a group that was deleted gives nothing
            Err(ReadError::Missing(_)) => Vec::new(),
            members => members?,
        };
        Ok::<_, BackendError>(members.contains(&me).then_some(group))
    });
    let ours: Vec<_> = looks.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(ours.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_active_is_in_force() {
        for (status, expected) in [
            ("active", Some(true)),
            ("approvalPending", None),
            ("created", None),
            ("expired", Some(false)),
            ("expiring", Some(false)),
            ("terminated", Some(false)),
            ("terminationRequested", Some(false)),
            ("suspendedByAliens", Some(false)),
            ("", Some(false)),
        ] {
            assert_eq!(is_in_force(status), expected, "{status}");
        }
    }

    #[test]
    fn an_extension_by_nothing_is_none() {
        for (duration, expected) in [
            ("P180D", true),
            ("PT0S", false),
            ("P0D", false),
            ("", false),
        ] {
            assert_eq!(is_some_time(duration), expected, "{duration}");
        }
    }
}
