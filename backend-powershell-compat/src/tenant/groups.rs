use std::collections::HashSet;

use rotation_core::{BackendError, RoleGroup};
use serde::Deserialize;
use uuid::Uuid;

use super::get::{Graph, Need};

pub(crate) const READ_GROUPS: Need = Need {
    to: "read the role-assignable groups",
    permission: "GroupMember.Read.All",
};

pub(crate) const READ_ELIGIBLE: Need = Need {
    to: "read who is eligible for role-assignable groups",
    permission: "PrivilegedEligibilitySchedule.Read.AzureADGroup",
};

/// A member or owner of something (<https://learn.microsoft.com/graph/api/resources/directoryobject>).
#[derive(Deserialize)]
pub(crate) struct Object {
    pub(crate) id: Uuid,
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
}

/// <https://learn.microsoft.com/graph/api/resources/privilegedaccessgroupeligibilityscheduleinstance>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Eligible {
    principal_id: Uuid,
    access_id: Access,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Access {
    Member,
    Owner,
}

/// All role-assignable groups, of which a tenant has 500 at most; with PIM, also who is eligible for them.
pub(crate) async fn read(graph: Graph<'_>) -> Result<Vec<RoleGroup>, BackendError> {
    let path = "groups?$filter=isAssignableToRole%20eq%20true&$select=id";
    let groups: Vec<Object> = graph.all(path, &READ_GROUPS).await?;
    let mut read = Vec::new();
    for group in groups {
        read.push(read_one(graph, group.id).await?);
    }
    Ok(read)
}

async fn read_one(graph: Graph<'_>, id: Uuid) -> Result<RoleGroup, BackendError> {
    let ids = |people: Vec<Object>| people.into_iter().map(|person| person.id).collect();
    let mut group = RoleGroup {
        id,
        members: ids(people(graph, id, "members").await?),
        owners: ids(people(graph, id, "owners").await?),
        ..RoleGroup::default()
    };
    group.members.extend(apps(graph, id).await?);
    if !graph.pim {
        return Ok(group);
    }
    let path = format!(
        "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances?$filter=groupId%20eq%20'{id}'"
    );
    let eligible: Vec<Eligible> = graph.all(&path, &READ_ELIGIBLE).await?;
    for row in eligible {
        let who = match row.access_id {
            Access::Member => &mut group.eligible_members,
            Access::Owner => &mut group.eligible_owners,
        };
        who.push(row.principal_id);
        who.extend(beneath(graph, row.principal_id).await?);
    }
    Ok(group)
}

/// <https://learn.microsoft.com/graph/api/group-list-members> and `-owners`
async fn people(graph: Graph<'_>, id: Uuid, kind: &str) -> Result<Vec<Object>, BackendError> {
    let path = format!("groups/{id}/{kind}?$select=id&$top=999");
    graph.all(&path, &READ_GROUPS).await
}

/// The service principals in the group, which v1.0 leaves out of its members unless asked for them alone
/// (<https://learn.microsoft.com/graph/api/group-list-members>, "known issue"). They matter to a caller that has its role
/// through the group: where they cannot be read it seems to have none, which refuses too much, never too little.
async fn apps(graph: Graph<'_>, id: Uuid) -> Result<Vec<Uuid>, BackendError> {
    let path = format!("groups/{id}/members/microsoft.graph.servicePrincipal?$select=id");
    match graph.all::<Object>(&path, &READ_GROUPS).await {
        Ok(apps) => Ok(apps.into_iter().map(|app| app.id).collect()),
        Err(BackendError::NotAuthorized(_) | BackendError::Unexpected(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Everybody in `principal` and in the groups within it, should it be a group: an eligible principal does not say
/// what it is. There are as many as there are eligible administrators.
async fn beneath(graph: Graph<'_>, principal: Uuid) -> Result<HashSet<Uuid>, BackendError> {
    let mut found = HashSet::new();
    let mut groups = vec![principal];
    while let Some(group) = groups.pop() {
        let path = format!("groups/{group}?$select=id");
        let is_group = graph.find::<Object>(&path, &READ_GROUPS).await?.is_some();
        if !is_group {
            continue;
        }
        for member in people(graph, group, "members").await? {
            let nests = member.kind.as_deref() == Some("#microsoft.graph.group");
            if found.insert(member.id) && nests {
                groups.push(member.id);
            }
        }
    }
    Ok(found)
}
