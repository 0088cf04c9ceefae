use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use entra_directory::need::{READ_ASSIGNMENTS, READ_GROUPS};
use entra_directory::{Claims, GraphReader as _, Need, Pages};
use jiff::Timestamp;
use rotation_core::{BackendError, Clock, Problem, SystemClock};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::present::{Granted, Group, Present, RoleRow};
use super::request::GRAPH_APP;
use super::wanted::{Through, Wanted};
use crate::client::Client;
use crate::role_ends::{ActiveRole, active_roles};

const READ_APPS: Need = Need {
    to: "read the service principals",
    permission: "Application.Read.All",
    pim: false,
};

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
        let Claims { tid, oid, .. } = client.claims().await?;
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
            role_ends: None,
            read_at: SystemClock.now(),
            other_roles: false,
            group: None,
        };
        let select = "id,appOwnerOrganizationId";
        if let Some(app) = service_principal(client, &wanted.client_id, select).await? {
            present.principal = Some(app.id);
            present.home = app.app_owner_organization_id == Some(tid);
            present.read_grants(client, app.id).await?;
            present.read_roles(client, app.id).await?;
        }
        if wanted.through == Through::Group {
            present.read_group(client, oid).await?;
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
        if matches!(self.wanted.through, Through::Pim { .. }) {
            self.role_ends = self.read_role_end(client, principal).await?;
        }
        Ok(())
    }

    async fn read_role_end(
        &self,
        client: &Arc<Client>,
        principal: Uuid,
    ) -> Result<Option<Timestamp>, BackendError> {
        let active = match active_roles(client, principal).await {
            // without PIM no role ends
            Err(BackendError::Unexpected(_)) => return Ok(None),
            active => active?,
        };
        let is_wanted = |active: &&ActiveRole| {
            active.role_definition_id == self.wanted.role
                && active.directory_scope_id.as_deref() == Some("/")
        };
        let ends = active.iter().filter(is_wanted);
        let ends: Option<Vec<_>> = ends.map(|active| active.end_date_time).collect();
        Ok(ends.and_then(|ends| ends.into_iter().max()))
    }

    /// Whoever acts may own the group, having created it, and could assign itself any role. Graph lists no service principals
    /// among the owners (<https://learn.microsoft.com/graph/api/group-list-owners>).
    async fn read_group(&mut self, client: &Arc<Client>, acting: Uuid) -> Result<(), BackendError> {
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
        let holds_more = rows.iter().any(|row| !row.is(self.wanted.role));
        self.role = rows.into_iter().find(|row| row.is(self.wanted.role));
        let members = entra_directory::members(client, id).await?;
        let mut members: BTreeSet<_> = members.into_iter().collect();
        members.extend(entra_directory::member_apps(client, id).await?);
        let owners = entra_directory::owners(client, id).await?;
        let member = self.principal.is_some_and(|app| members.remove(&app));
        self.group = Some(Group {
            id,
            member,
            holds_more,
            shared: !members.is_empty(),
            owned: owners.iter().any(|owner| *owner != acting),
        });
        Ok(())
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

async fn all<T: DeserializeOwned + Send>(
    client: &Arc<Client>,
    path: &[&str],
    query: &str,
    need: &'static Need,
) -> Result<Vec<T>, BackendError> {
    let first = client.graph.url(path, query);
    Ok(Pages::new(Arc::clone(client), first, need).all().await?)
}
