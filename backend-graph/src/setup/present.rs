use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rotation_core::{BackendError, Problem, RoleId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::request::{GRAPH_APP, Ids};
use super::wanted::{Step, Through, Wanted};
use crate::answer::Need;
use crate::claims;
use crate::client::Client;
use crate::groups::{self, READ_GROUPS};
use crate::page::Pages;
use crate::permission::Permissions;
use crate::roles::READ_ASSIGNMENTS;

const READ_APPS: Need = Need {
    to: "read the service principals",
    permission: "Application.Read.All",
    pim: false,
};

/// What an app holds in a tenant of what it is wanted to hold there, as it was when it was read.
#[derive(Debug)]
pub struct Present {
    wanted: Wanted,
    graph: Uuid,
    /// The application permissions that Microsoft Graph has here, by name.
    app_roles: HashMap<String, Uuid>,
    pub(super) principal: Option<Uuid>,
    /// Whether the app is registered in this very tenant.
    home: bool,
    granted: Vec<Granted>,
    role: Option<RoleRow>,
    /// Whether it holds roles besides the one that is wanted.
    other_roles: bool,
    pub(super) group: Option<Group>,
}

/// A permission that was granted to the app.
#[derive(Debug)]
struct Granted {
    assignment: String,
    /// `None`: one of another API than Microsoft Graph, or one that has no name any more.
    permission: Option<String>,
}

/// The group that holds the role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    id: Uuid,
    member: bool,
    /// Whether somebody or something else is in it, too.
    shared: bool,
}

impl Group {
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            member: false,
            shared: false,
        }
    }
}

/// <https://learn.microsoft.com/graph/api/resources/serviceprincipal>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrincipalRow {
    id: Uuid,
    #[serde(default)]
    app_owner_organization_id: Option<Uuid>,
    #[serde(default)]
    app_roles: Vec<AppRoleRow>,
}

/// <https://learn.microsoft.com/graph/api/resources/approle>
#[derive(Deserialize)]
struct AppRoleRow {
    id: Uuid,
    value: Option<String>,
}

/// <https://learn.microsoft.com/graph/api/resources/approleassignment>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrantedRow {
    id: String,
    app_role_id: Uuid,
    resource_id: Uuid,
}

/// <https://learn.microsoft.com/graph/api/resources/unifiedroleassignment>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleRow {
    id: String,
    role_definition_id: RoleId,
    directory_scope_id: Option<String>,
}

/// <https://learn.microsoft.com/graph/api/resources/group>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow {
    id: Uuid,
    is_assignable_to_role: Option<bool>,
}

impl Present {
    /// Asks the tenant.
    pub(super) async fn read(client: &Arc<Client>, wanted: &Wanted) -> Result<Self, BackendError> {
        let tenant = claims::read(client).await?.tid;
        let graph = service_principal(client, GRAPH_APP, "id,appRoles").await?;
        let graph = graph.ok_or_else(|| {
            let problem = Problem::new("the tenant has no service principal of Microsoft Graph");
            BackendError::Unexpected(problem.with_fix("check `cloud`"))
        })?;
        let named = |role: AppRoleRow| Some((role.value?, role.id));
        let mut present = Self {
            wanted: wanted.clone(),
            graph: graph.id,
            app_roles: graph.app_roles.into_iter().filter_map(named).collect(),
            principal: None,
            home: false,
            granted: Vec::new(),
            role: None,
            other_roles: false,
            group: None,
        };
        let select = "id,appOwnerOrganizationId";
        if let Some(app) = service_principal(client, &wanted.client_id, select).await? {
            present.principal = Some(app.id);
            present.home = app.app_owner_organization_id == Some(tenant);
            present.read_grants(client, app.id).await?;
            present.read_roles(client, app.id).await?;
        }
        if wanted.through == Through::Group {
            present.read_group(client).await?;
        }
        Ok(present)
    }

    async fn read_grants(
        &mut self,
        client: &Arc<Client>,
        principal: Uuid,
    ) -> Result<(), BackendError> {
        let principal = principal.to_string();
        let path = ["servicePrincipals", &principal, "appRoleAssignments"];
        let rows: Vec<GrantedRow> = all(client, &path, "", &READ_APPS).await?;
        let names: HashMap<Uuid, &String> = self
            .app_roles
            .iter()
            .map(|(name, id)| (*id, name))
            .collect();
        let granted = rows.into_iter().map(|row| {
            let name = names.get(&row.app_role_id);
            let name = name.filter(|_| row.resource_id == self.graph);
            Granted {
                assignment: row.id,
                permission: name.map(|name| (*name).clone()),
            }
        });
        self.granted = granted.collect();
        Ok(())
    }

    async fn read_roles(
        &mut self,
        client: &Arc<Client>,
        principal: Uuid,
    ) -> Result<(), BackendError> {
        let rows = assignments(client, principal).await?;
        let (wanted, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.is(self.wanted.role));
        self.other_roles = !others.is_empty();
        if self.wanted.through != Through::Group {
            let stronger = others.into_iter().find(|row| row.covers(self.wanted.role));
            self.role = wanted.into_iter().next().or(stronger);
        }
        Ok(())
    }

    async fn read_group(&mut self, client: &Arc<Client>) -> Result<(), BackendError> {
        let name = self.wanted.group_name();
        let query = format!("$filter=displayName eq '{name}'&$select=id,isAssignableToRole");
        let rows: Vec<GroupRow> = all(client, &["groups"], &query, &READ_GROUPS).await?;
        // anybody may give an ordinary group such a name, and it can hold no role
        let mut groups = rows
            .into_iter()
            .filter(|row| row.is_assignable_to_role == Some(true));
        let Some(GroupRow { id, .. }) = groups.next() else {
            return Ok(());
        };
        if groups.next().is_some() {
            let problem = Problem::new(format!(
                "the tenant has several role-assignable groups called \"{name}\", expected one at most"
            ));
            return Err(BackendError::Unexpected(
                problem.with_fix("rename or delete all but one of them"),
            ));
        }
        let rows = assignments(client, id).await?;
        self.role = rows.into_iter().find(|row| row.is(self.wanted.role));
        let mut members = groups::people(client, id, "members")
            .await?
            .into_iter()
            .map(|member| member.id)
            .collect::<BTreeSet<_>>();
        members.extend(groups::apps(client, id).await?);
        let member = self.principal.is_some_and(|app| members.remove(&app));
        self.group = Some(Group {
            id,
            member,
            shared: !members.is_empty(),
        });
        Ok(())
    }

    /// What is still to be done.
    #[must_use]
    pub fn missing(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.principal.is_none() {
            steps.push(Step::ServicePrincipal);
        }
        let missing = Permissions::missing_from(&self.permissions(), self.wanted.pim);
        steps.extend(missing.into_iter().map(Step::Permission));
        if self.wanted.through == Through::Group && self.group.is_none() {
            steps.push(Step::Group);
        }
        if self.role.is_none() {
            steps.push(Step::Role);
        }
        if self.wanted.through == Through::Group && !self.group.is_some_and(|group| group.member) {
            steps.push(Step::Member);
        }
        steps
    }

    /// What can be undone, last things first: what setting up does, and nothing that somebody else may rely on. The service
    /// principal stays where the app is registered, and where it holds something else; a group stays in which there is anybody
    /// else.
    #[must_use]
    pub fn removable(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let held_alone = match self.group {
            Some(group) => {
                if group.member {
                    steps.push(Step::Member);
                }
                !group.shared
            }
            None => self.wanted.through != Through::Group,
        };
        let has_role = self
            .role
            .as_ref()
            .is_some_and(|row| row.is(self.wanted.role));
        if has_role && held_alone {
            steps.push(Step::Role);
        }
        if self.group.is_some() && held_alone {
            steps.push(Step::Group);
        }
        let ours = Permissions::least(self.wanted.pim);
        let is_ours = |name: &String| ours.contains(name);
        let granted = self.permissions();
        steps.extend(granted.into_iter().filter(is_ours).map(Step::Permission));
        if self.principal.is_some() && !self.home && self.others().is_empty() {
            steps.push(Step::ServicePrincipal);
        }
        steps
    }

    /// What stays after everything was undone, and why, in words.
    #[must_use]
    pub fn stays(&self) -> Vec<String> {
        let mut stays = Vec::new();
        if self.group.is_some_and(|group| group.shared) {
            stays.push(format!(
                "the group \"{}\" stays, with its role: there are others in it",
                self.wanted.group_name()
            ));
        }
        if self.principal.is_some() {
            let others = self.others();
            if self.home {
                stays.push("the service principal stays: the app is registered here".to_owned());
            } else if !others.is_empty() {
                stays.push(format!(
                    "the service principal stays: it holds {} too",
                    others.join(", ")
                ));
            }
        }
        stays
    }

    /// What the app holds that setting up did not give it.
    fn others(&self) -> Vec<String> {
        let ours = Permissions::least(self.wanted.pim);
        let other = |granted: &Granted| match &granted.permission {
            Some(name) => (!ours.contains(name)).then(|| name.clone()),
            None => Some("a permission of another API".to_owned()),
        };
        let mut others: Vec<_> = self.granted.iter().filter_map(other).collect();
        if self.other_roles {
            others.push("another role".to_owned());
        }
        others
    }

    fn permissions(&self) -> BTreeSet<String> {
        let granted = self.granted.iter();
        granted
            .filter_map(|granted| granted.permission.clone())
            .collect()
    }

    pub(super) fn ids(&self) -> Ids {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        Ids {
            principal: text(self.principal),
            graph: self.graph.to_string(),
            group: text(self.group.map(|group| group.id)),
        }
    }

    /// The id that the tenant's Microsoft Graph gives a permission.
    pub(super) fn app_role(&self, permission: &str) -> Option<Uuid> {
        self.app_roles.get(permission).copied()
    }

    /// The assignment by which the app holds a permission.
    pub(super) fn assignment_of(&self, permission: &str) -> Option<&str> {
        let mut granted = self.granted.iter();
        let granted = granted.find(|one| one.permission.as_deref() == Some(permission))?;
        Some(&granted.assignment)
    }

    /// The assignment by which the app or its group holds the role.
    pub(super) fn role_assignment(&self) -> Option<&str> {
        self.role.as_ref().map(|row| row.id.as_str())
    }
}

impl RoleRow {
    fn in_the_whole_tenant(&self) -> bool {
        self.directory_scope_id.as_deref() == Some("/")
    }

    fn is(&self, role: RoleId) -> bool {
        self.in_the_whole_tenant() && self.role_definition_id == role
    }

    /// Whether it lets its holder do all that `role` would
    /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/privileged-roles-permissions>, "who can reset
    /// passwords").
    fn covers(&self, role: RoleId) -> bool {
        let all = RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR;
        self.is(RoleId::GLOBAL_ADMINISTRATOR) || self.is(all) || self.is(role)
    }
}

async fn service_principal(
    client: &Arc<Client>,
    app_id: &str,
    select: &str,
) -> Result<Option<PrincipalRow>, BackendError> {
    let query = format!("$filter=appId eq '{app_id}'&$select={select}");
    let rows: Vec<PrincipalRow> = all(client, &["servicePrincipals"], &query, &READ_APPS).await?;
    Ok(rows.into_iter().next())
}

async fn assignments(client: &Arc<Client>, principal: Uuid) -> Result<Vec<RoleRow>, BackendError> {
    let path = ["roleManagement", "directory", "roleAssignments"];
    let query = format!("$filter=principalId eq '{principal}'");
    all(client, &path, &query, &READ_ASSIGNMENTS).await
}

async fn all<T: DeserializeOwned>(
    client: &Arc<Client>,
    path: &[&str],
    query: &str,
    need: &'static Need,
) -> Result<Vec<T>, BackendError> {
    let first = client.graph.url(path, query);
    Ok(Pages::new(Arc::clone(client), first, need).all().await?)
}
