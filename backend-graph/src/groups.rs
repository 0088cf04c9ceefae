use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use rotation_core::BackendError;
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::Need;
use crate::client::Client;
use crate::page::Pages;

/// How many groups are read at the same time. A tenant has at most 500 that can hold a role.
const AT_ONCE: usize = 8;

const READ_GROUPS: Need = Need {
    to: "read the role-assignable groups",
    permission: "GroupMember.Read.All",
    pim: false,
};

const READ_ELIGIBLE: Need = Need {
    to: "read who is eligible for role-assignable groups",
    permission: "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    pim: true,
};

/// A group that can hold roles, with everybody who is in it or can get into it
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/groups-concept>). Such groups are not
/// nested, so direct members are all there are.
#[derive(Debug, Default)]
pub(crate) struct RoleGroup {
    pub(crate) id: Uuid,
    pub(crate) members: Vec<Uuid>,
    pub(crate) owners: Vec<Uuid>,
    pub(crate) eligible_members: Vec<Uuid>,
    pub(crate) eligible_owners: Vec<Uuid>,
}

#[derive(Deserialize)]
pub(crate) struct Object {
    pub(crate) id: Uuid,
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

/// All role-assignable groups; with `pim`, also who is eligible for them.
pub(crate) async fn read(client: &Arc<Client>, pim: bool) -> Result<Vec<RoleGroup>, BackendError> {
    let query = "$filter=isAssignableToRole eq true&$select=id";
    let first = client.graph.url(&["groups"], query);
    let groups: Vec<Object> = Pages::new(Arc::clone(client), first, &READ_GROUPS)
        .all()
        .await?;
    stream::iter(groups)
        .map(|group| read_one(client, group.id, pim))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn read_one(client: &Arc<Client>, id: Uuid, pim: bool) -> Result<RoleGroup, BackendError> {
    let (members, owners) =
        futures::try_join!(people(client, id, "members"), people(client, id, "owners"))?;
    let eligible = if pim {
        eligible(client, id).await?
    } else {
        Vec::new()
    };
    let with = |access| {
        eligible
            .iter()
            .filter(move |row| row.access_id == access)
            .map(|row| row.principal_id)
            .collect()
    };
    Ok(RoleGroup {
        id,
        members,
        owners,
        eligible_members: with(Access::Member),
        eligible_owners: with(Access::Owner),
    })
}

/// <https://learn.microsoft.com/graph/api/group-list-members> and `-owners`
async fn people(client: &Arc<Client>, id: Uuid, kind: &str) -> Result<Vec<Uuid>, BackendError> {
    let path = ["groups", &id.to_string(), kind];
    let first = client.graph.url(&path, "$select=id&$top=999");
    let people: Vec<Object> = Pages::new(Arc::clone(client), first, &READ_GROUPS)
        .all()
        .await?;
    Ok(people.into_iter().map(|person| person.id).collect())
}

/// <https://learn.microsoft.com/graph/api/privilegedaccessgroup-list-eligibilityscheduleinstances>
async fn eligible(client: &Arc<Client>, id: Uuid) -> Result<Vec<Eligible>, BackendError> {
    let path = [
        "identityGovernance",
        "privilegedAccess",
        "group",
        "eligibilityScheduleInstances",
    ];
    let first = client
        .graph
        .url(&path, &format!("$filter=groupId eq '{id}'"));
    Pages::new(Arc::clone(client), first, &READ_ELIGIBLE)
        .all()
        .await
}
