//! Microsoft Graph v1.0: from an authenticated request to its answer.

pub(crate) mod allowed;
mod app_role_assignments;
mod app_roles;
mod assign;
pub(crate) mod batch;
mod body;
mod caller;
pub(crate) use caller::{Caller, Callers};
mod cost;
mod error;
pub(crate) use error::{GraphError, Ids, with_ids};
mod filter;
mod group_changes;
mod groups;
mod objects;
mod organization;
mod page;
mod partner;
mod patch;
mod permission;
mod query;
pub(crate) use query::Query;
mod roles;
mod select;
mod service_principals;
mod units;
mod user_json;
mod users;

use axum::http::{Method, StatusCode};

use crate::directory::Directory;
use crate::endpoint::{Endpoint, Route};
use crate::reply::Reply;
use crate::world::World;

/// The version that is served; `beta` is not.
pub(crate) const VERSION: &str = "/v1.0";

/// One request, or one item of a batch. Without `Debug`, as its body may hold a password.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) caller: &'a Caller,
    pub(crate) directory: &'a Directory,
    pub(crate) method: &'a Method,
    pub(crate) route: &'a Route<'a>,
    /// Below the version, as sent.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) content_type: Option<&'a str>,
    /// `ConsistencyLevel: eventual`
    pub(crate) eventual: bool,
    pub(crate) body: &'a [u8],
}

impl Call<'_> {
    pub(crate) fn version_root(&self) -> String {
        format!("{}{VERSION}", self.world.base_url)
    }

    /// Throttles, authorises, answers.
    pub(crate) fn answer(&self) -> Result<Reply, GraphError> {
        self.throttled(|| {
            if self.method == Method::GET {
                self.read()
            } else {
                self.write()
            }
        })
    }

    fn read(&self) -> Result<Reply, GraphError> {
        match self.route.endpoint {
            Endpoint::AdministrativeUnitMembers => units::members(self),
            Endpoint::AdministrativeUnits => units::list_or_read(self),
            Endpoint::AccessAssignments => partner::access_assignments(self),
            Endpoint::Contracts => partner::contracts(self),
            Endpoint::DelegatedAdminCustomers => partner::customers(self),
            Endpoint::DelegatedAdminRelationships => partner::relationships(self),
            Endpoint::AppRoleAssignments => app_role_assignments::list(self),
            Endpoint::Domains => organization::domains(self),
            Endpoint::GroupEligibility => groups::eligibility(self),
            Endpoint::GroupMemberApps => groups::member_apps(self),
            Endpoint::GroupMembers => groups::members(self),
            Endpoint::GroupOwners => groups::owners(self),
            Endpoint::Groups => groups::list_or_read(self),
            Endpoint::Organization => organization::organization(self),
            Endpoint::RoleAssignmentSchedules => roles::assignment_schedules(self),
            Endpoint::RoleAssignments => roles::assignments(self),
            Endpoint::RoleDefinitions => roles::definitions(self),
            Endpoint::RoleEligibility => roles::eligibilities(self),
            Endpoint::ServicePrincipals => service_principals::list_or_read(self),
            Endpoint::User => users::read(self),
            Endpoint::Users => users::list(self),
            Endpoint::UsersCount => users::count(self),
            Endpoint::Unknown => Err(self.unknown_segment()),
            Endpoint::AdminConsent
            | Endpoint::Batch
            | Endpoint::DeviceCode
            | Endpoint::Discovery
            | Endpoint::RoleAssignmentRequests
            | Endpoint::Token => Err(method_not_allowed()),
        }
    }

    fn write(&self) -> Result<Reply, GraphError> {
        let (key, item) = (&*self.route.key, &*self.route.item);
        match (self.route.endpoint, self.method, key, item) {
            (Endpoint::User, &Method::PATCH, ..) => patch::patch(self),
            (Endpoint::AppRoleAssignments, &Method::POST, _, "") => {
                app_role_assignments::grant(self)
            }
            (Endpoint::AppRoleAssignments, &Method::DELETE, _, item) if !item.is_empty() => {
                app_role_assignments::revoke(self)
            }
            (Endpoint::GroupMembers, &Method::POST, _, "$ref") => group_changes::add_member(self),
            (Endpoint::GroupMembers, &Method::DELETE, _, item) if !item.is_empty() => {
                group_changes::remove_member(self)
            }
            (Endpoint::Groups, &Method::POST, "", _) => group_changes::create(self),
            (Endpoint::Groups, &Method::DELETE, key, _) if !key.is_empty() => {
                group_changes::delete(self)
            }
            (Endpoint::RoleAssignmentRequests, &Method::POST, ..) => assign::request(self),
            (Endpoint::RoleAssignments, &Method::POST, "", _) => assign::assign(self),
            (Endpoint::RoleAssignments, &Method::DELETE, key, _) if !key.is_empty() => {
                assign::unassign(self)
            }
            (Endpoint::ServicePrincipals, &Method::POST, "", _) => service_principals::create(self),
            (Endpoint::ServicePrincipals, &Method::DELETE, key, _) if !key.is_empty() => {
                service_principals::delete(self)
            }
            (Endpoint::Unknown, ..) => Err(self.unknown_segment()),
            _ => Err(method_not_allowed()),
        }
    }

    fn unknown_segment(&self) -> GraphError {
        let segment = self.path.rsplit('/').next().unwrap_or_default();
        GraphError::malformed(format!("Resource not found for the segment '{segment}'."))
    }
}

fn method_not_allowed() -> GraphError {
    GraphError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
    )
}
