use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use rotation_core::{BackendError, RoleGroup};
use serde::Deserialize;
use uuid::Uuid;

use crate::need::{READ_ELIGIBLE, READ_GROUPS};
use crate::page::Pages;
use crate::reader::{GraphReader, ReadError};

/// How many groups are read at the same time. A tenant has at most 500 that can hold a role.
const AT_ONCE: usize = 8;

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
pub(crate) async fn read<G: GraphReader>(
    graph: &Arc<G>,
    pim: bool,
) -> Result<Vec<RoleGroup>, BackendError> {
    let path = "groups?$filter=isAssignableToRole%20eq%20true&$select=id";
    let groups: Vec<Object> = Pages::at(graph, path, &READ_GROUPS).all().await?;
    stream::iter(groups)
        .map(|group| read_one(graph, group.id, pim))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn read_one<G: GraphReader>(
    graph: &Arc<G>,
    id: Uuid,
    pim: bool,
) -> Result<RoleGroup, BackendError> {
    let (members, owners) = futures::try_join!(members(graph, id), owners(graph, id))?;
    let mut group = RoleGroup {
        id,
        members,
        owners,
        ..RoleGroup::default()
    };
    group.members.extend(match member_apps(graph, id).await {
        // they matter to a caller that has its role through the group: it seems to have none, which refuses too much, never
        // too little
        Err(ReadError::Failed(BackendError::NotAuthorized(_) | BackendError::Unexpected(_))) => {
            Vec::new()
        }
        apps => apps?,
    });
    let eligible = if pim {
        eligible(graph, id).await?
    } else {
        Vec::new()
    };
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

/// The members of a group that are no apps: people, devices and groups
/// (<https://learn.microsoft.com/graph/api/group-list-members>).
///
/// # Errors
/// [`ReadError`], also if there is no such group.
pub async fn members<G: GraphReader>(graph: &Arc<G>, group: Uuid) -> Result<Vec<Uuid>, ReadError> {
    Ok(ids(people(graph, group, "members").await?))
}

/// The owners of a group (<https://learn.microsoft.com/graph/api/group-list-owners>).
///
/// # Errors
/// As of [`members`].
pub async fn owners<G: GraphReader>(graph: &Arc<G>, group: Uuid) -> Result<Vec<Uuid>, ReadError> {
    Ok(ids(people(graph, group, "owners").await?))
}

async fn people<G: GraphReader>(
    graph: &Arc<G>,
    group: Uuid,
    kind: &str,
) -> Result<Vec<Object>, ReadError> {
    let path = format!("groups/{group}/{kind}?$select=id&$top=999");
    Pages::at(graph, &path, &READ_GROUPS).all().await
}

/// The service principals in a group, which v1.0 leaves out of its members unless asked for them alone
/// (<https://learn.microsoft.com/graph/api/group-list-members>, "known issue").
///
/// # Errors
/// As of [`members`].
pub async fn member_apps<G: GraphReader>(
    graph: &Arc<G>,
    group: Uuid,
) -> Result<Vec<Uuid>, ReadError> {
    let path = format!("groups/{group}/members/microsoft.graph.servicePrincipal?$select=id");
    Ok(ids(Pages::at(graph, &path, &READ_GROUPS).all().await?))
}

fn ids(objects: Vec<Object>) -> Vec<Uuid> {
    objects.into_iter().map(|object| object.id).collect()
}

/// Everybody in `principal` and in the groups within it, should it be a group: an eligible principal does not say
/// what it is. There are as many as there are eligible administrators.
async fn beneath<G: GraphReader>(
    graph: &Arc<G>,
    principal: Uuid,
) -> Result<HashSet<Uuid>, BackendError> {
    let mut found = HashSet::new();
    let mut groups = vec![principal];
    while let Some(group) = groups.pop() {
        let members = match people(graph, group, "members").await {
            Err(ReadError::Missing(_)) => continue,
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
async fn eligible<G: GraphReader>(
    graph: &Arc<G>,
    group: Uuid,
) -> Result<Vec<Eligible>, BackendError> {
    let path = format!(
        "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances?$filter=groupId%20eq%20'{group}'"
    );
    Ok(Pages::at(graph, &path, &READ_ELIGIBLE).all().await?)
}
