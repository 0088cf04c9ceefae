use jiff::Timestamp;
use reqwest::Method;
use rotation_core::RoleId;
use serde::Serialize;
use serde_json::{Value, json};

use super::wanted::{Step, Through, Wanted, iso};
use crate::address::GraphRoot;
use crate::cloud::Cloud;
use crate::consent::admin_consent;
use crate::error::ConfigError;
use crate::permission::Permissions;

/// The app id of Microsoft Graph, the same in every tenant
/// (<https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in>).
pub(super) const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// The ids of the application permissions that are granted here, for requests that nobody asked the tenant for
/// (<https://learn.microsoft.com/graph/permissions-reference>).
const APP_ROLES: [(&str, &str); 7] = [
    (
        "AdministrativeUnit.Read.All",
        "134fd756-38ce-4afd-ba33-e9623dbe66c2",
    ),
    ("Domain.Read.All", "dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    (
        "GroupMember.Read.All",
        "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    ),
    (
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        "edb419d6-7edc-42a3-9345-509bfdf5d87c",
    ),
    (
        "RoleManagement.Read.Directory",
        "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
    ),
    (
        "User-PasswordProfile.ReadWrite.All",
        "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7",
    ),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
];

/// What a person can do by hand to set an app up in a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ByHand {
    /// The page on which an administrator grants the app all permissions that its registration names
    /// (<https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>).
    pub admin_consent: String,
    /// The requests to Microsoft Graph that do the same, in order.
    pub instead_of_consent: Vec<SetupRequest>,
    /// Those that give the app its role, which no consent does, in order.
    pub role: Vec<SetupRequest>,
}

/// A request to Microsoft Graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SetupRequest {
    /// What it does.
    pub does: String,
    /// The HTTP method.
    pub method: String,
    /// The whole address. What stands in braces is an id that an earlier request tells.
    pub url: String,
    /// What to send as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl ByHand {
    /// What brings `wanted` into `tenant` of `cloud`, done at the time `now`. Nothing is sent.
    ///
    /// # Errors
    /// [`ConfigError`] for a cloud that cannot work, and for a `client_id` in `wanted` that is no GUID.
    pub fn new(
        cloud: &Cloud,
        tenant: &str,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        wanted.check()?;
        let cloud = cloud.endpoints()?;
        let graph = GraphRoot::new(cloud.graph);
        let ids = Ids {
            principal: "{service-principal}".to_owned(),
            graph: "{microsoft-graph}".to_owned(),
            group: "{group}".to_owned(),
        };
        let find = |app_id: &str, id: &str| SetupRequest {
            does: format!("the `id` of the answer is {id} below"),
            method: Method::GET.to_string(),
            url: graph.written(&[&format!("servicePrincipals(appId='{app_id}')?$select=id")]),
            body: None,
        };
        let add = |step: &Step| {
            let request = Request::adding(wanted, step, &ids, known_app_role, &graph, now);
            let id = match step {
                Step::ServicePrincipal => {
                    ", unless it is there; the `id` of the answer is {service-principal} below"
                }
                Step::Group => {
                    ", unless it is there, with nobody else in it, no owners and no other role; the `id` of the answer \
                     is {group} below"
                }
                _ => "",
            };
            SetupRequest {
                does: format!("{}{id}", wanted.adding(step)),
                method: request.method.to_string(),
                url: graph.written(&request.path),
                body: request.body,
            }
        };
        let bring_in = [
            add(&Step::ServicePrincipal),
            find(&wanted.client_id, &ids.principal),
            find(GRAPH_APP, &ids.graph),
        ];
        let permissions = Permissions::least(wanted.pim);
        let permissions = permissions.into_iter().map(Step::Permission);
        let role: &[Step] = match wanted.through {
            Through::Direct | Through::Pim { .. } => &[Step::Role],
            Through::Group => &[Step::Group, Step::Role, Step::Member],
        };
        let grant = permissions.map(|step| add(&step));
        let look = find(&wanted.client_id, &ids.principal);
        Ok(Self {
            admin_consent: admin_consent(&cloud.authority, tenant, &wanted.client_id),
            instead_of_consent: bring_in.into_iter().chain(grant).collect(),
            role: std::iter::once(look).chain(role.iter().map(add)).collect(),
        })
    }
}

/// The id of an application permission as it is documented; an app without any has it as a placeholder.
fn known_app_role(permission: &str) -> String {
    let mut known = APP_ROLES.iter();
    let id = known.find(|(name, _)| *name == permission);
    id.map_or_else(|| format!("{{{permission}}}"), |(_, id)| (*id).to_owned())
}

/// Ids that the tenant gave, or what stands for them.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) principal: String,
    pub(super) graph: String,
    pub(super) group: String,
}

/// A request before it has an address.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: Vec<String>,
    pub(super) body: Option<Value>,
}

impl Request {
    fn new(method: Method, path: &[&str], body: Option<Value>) -> Self {
        Self {
            method,
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            body,
        }
    }

    fn post(path: &[&str], body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    pub(super) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    /// The request that does `step`, as the page of each documents it:
    /// <https://learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals>,
    /// `serviceprincipal-post-approleassignments`, `group-post-groups`, `rbacapplication-post-roleassignments`,
    /// `rbacapplication-post-roleassignmentschedulerequests` and `group-post-members` there.
    pub(super) fn adding(
        wanted: &Wanted,
        step: &Step,
        ids: &Ids,
        app_role: impl Fn(&str) -> String,
        graph: &GraphRoot,
        now: Timestamp,
    ) -> Self {
        let (principal, group) = (ids.principal.as_str(), ids.group.as_str());
        match step {
            Step::ServicePrincipal => {
                Self::post(&["servicePrincipals"], json!({"appId": wanted.client_id}))
            }
            Step::Permission(name) => Self::post(
                &["servicePrincipals", principal, "appRoleAssignments"],
                json!({
                    "principalId": principal,
                    "resourceId": ids.graph,
                    "appRoleId": app_role(name),
                }),
            ),
            Step::Group => Self::post(
                &["groups"],
                json!({
                    "displayName": wanted.group_name(),
                    "description": "Apps in here rotate passwords by the role of this group",
                    "isAssignableToRole": true,
                    "mailEnabled": false,
                    "mailNickname": nickname(wanted.role),
                    "securityEnabled": true,
                }),
            ),
            Step::Role | Step::Prolong => match &wanted.through {
                Through::Direct => Self::assigning(wanted.role, principal),
                Through::Group => Self::assigning(wanted.role, group),
                Through::Pim {
                    justification,
                    lasts,
                } => {
                    let expiration = match lasts {
                        Some(length) => {
                            json!({"type": "afterDuration", "duration": iso(*length)})
                        }
                        None => json!({"type": "noExpiration"}),
                    };
                    let action = match step {
                        Step::Prolong => "adminUpdate",
                        _ => "adminAssign",
                    };
                    Self::requesting(
                        action,
                        wanted.role,
                        principal,
                        &json!({
                            "justification": justification,
                            "scheduleInfo": {
                                "startDateTime": now.to_string(),
                                "expiration": expiration,
                            },
                        }),
                    )
                }
            },
            Step::Member => Self::post(
                &["groups", group, "members", "$ref"],
                json!({"@odata.id": graph.written(&["directoryObjects", principal])}),
            ),
        }
    }

    fn assigning(role: RoleId, principal: &str) -> Self {
        Self::post(
            &["roleManagement", "directory", "roleAssignments"],
            json!({
                "principalId": principal,
                "roleDefinitionId": role,
                "directoryScopeId": "/",
            }),
        )
    }

    /// A request to Privileged Identity Management, with what `more` says.
    pub(super) fn requesting(action: &str, role: RoleId, principal: &str, more: &Value) -> Self {
        let mut body = json!({
            "action": action,
            "principalId": principal,
            "roleDefinitionId": role,
            "directoryScopeId": "/",
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let path = [
            "roleManagement",
            "directory",
            "roleAssignmentScheduleRequests",
        ];
        Self::post(&path, body)
    }
}

/// A mail nickname, which Graph wants of a group without mail, too: letters and hyphens.
fn nickname(role: RoleId) -> String {
    let name = format!("password-rotation-{role}").to_lowercase();
    name.replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_that_is_granted_has_a_known_id() {
        for pim in [true, false] {
            for name in Permissions::least(pim) {
                assert!(!known_app_role(&name).contains('{'), "{name}");
            }
        }
        assert_eq!(known_app_role("Mail.Read"), "{Mail.Read}");
    }
}
