use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use rotation_core::{BackendError, RoleGroup};
use serde::Deserialize;
use uuid::Uuid;

use crate::answer::Need;
use crate::client::Client;
use crate::page::{PageError, Pages};

/// How many groups are read at the same time. A tenant has at most 500 that can hold a role.
const AT_ONCE: usize = 8;

pub(crate) const READ_GROUPS: Need = Need {
    to: "read the role-assignable groups",
    permission: "GroupMember.Read.All",
    pim: false,
};

pub(crate) const READ_ELIGIBLE: Need = Need {
    to: "read who is eligible for role-assignable groups",
    permission: "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    pim: true,
};

/// A member or owner of something (<https://learn.microsoft.com/graph/api/resources/directoryobject>).
#[derive(Deserialize)]
pub(crate) struct Object {
    pub(crate) id: Uuid,
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
}

impl Object {
    fn is_group(&self) -> bool {
        self.kind.as_deref() == Some("#microsoft.graph.group")
    }
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
    let apps = apps(client, id).await?;
    let ids = |objects: Vec<Object>| objects.into_iter().map(|object| object.id).collect();
    let mut group = RoleGroup {
        id,
        members: ids(members),
        owners: ids(owners),
        ..RoleGroup::default()
    };
    group.members.extend(apps);
    let eligible = if pim {
        eligible(client, id).await?
    } else {
        Vec::new()
    };
    for row in eligible {
        let who = match row.access_id {
            Access::Member => &mut group.eligible_members,
            Access::Owner => &mut group.eligible_owners,
        };
        who.push(row.principal_id);
        who.extend(beneath(client, row.principal_id).await?);
    }
    Ok(group)
}

/// <https://learn.microsoft.com/graph/api/group-list-members> and `-owners`
pub(crate) async fn people(
    client: &Arc<Client>,
    id: Uuid,
    kind: &str,
) -> Result<Vec<Object>, PageError> {
    let path = ["groups", &id.to_string(), kind];
    let first = client.graph.url(&path, "$select=id&$top=999");
    Pages::new(Arc::clone(client), first, &READ_GROUPS)
        .all()
        .await
}

/// The service principals in the group, which v1.0 leaves out of its members unless asked for them alone
/// (<https://learn.microsoft.com/graph/api/group-list-members>, "known issue"). They matter to a caller that has its role
/// through the group: where they cannot be read it seems to have none, which refuses too much, never too little.
pub(crate) async fn apps(client: &Arc<Client>, id: Uuid) -> Result<Vec<Uuid>, BackendError> {
    let group = id.to_string();
    let path = [
        "groups",
        &group,
        "members",
        "microsoft.graph.servicePrincipal",
    ];
    let first = client.graph.url(&path, "$select=id");
    let pages = Pages::<Object>::new(Arc::clone(client), first, &READ_GROUPS);
    match pages.all().await {
        Ok(apps) => Ok(apps.into_iter().map(|app| app.id).collect()),
        Err(PageError::Failed(BackendError::NotAuthorized(_) | BackendError::Unexpected(_))) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// Everybody in `principal` and in the groups within it, should it be a group: an eligible principal does not say
/// what it is. There are as many as there are eligible administrators.
async fn beneath(client: &Arc<Client>, principal: Uuid) -> Result<HashSet<Uuid>, BackendError> {
    let mut found = HashSet::new();
    let mut groups = vec![principal];
    while let Some(group) = groups.pop() {
        let members = match people(client, group, "members").await {
            Err(PageError::Missing(_)) => continue,
            members => members?,
        };
        for member in members {
            if found.insert(member.id) && member.is_group() {
                groups.push(member.id);
            }
        }
    }
    Ok(found)
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
    Ok(Pages::new(Arc::clone(client), first, &READ_ELIGIBLE)
        .all()
        .await?)
}
