//! Microsoft Graph v1.0: from an authenticated request to its answer.

pub(crate) mod allowed;
pub(crate) mod batch;
mod caller;
pub(crate) use caller::{Caller, Callers};
mod cost;
mod error;
pub(crate) use error::{GraphError, Ids, with_ids};
mod filter;
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
            Endpoint::AppRoleAssignments => service_principals::app_role_assignments(self),
            Endpoint::AccessAssignments => partner::access_assignments(self),
            Endpoint::Contracts => partner::contracts(self),
            Endpoint::DelegatedAdminCustomers => partner::customers(self),
            Endpoint::DelegatedAdminRelationships => partner::relationships(self),
            Endpoint::Domains => organization::domains(self),
            Endpoint::GroupEligibility => groups::eligibility(self),
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
            Endpoint::Batch | Endpoint::DeviceCode | Endpoint::Discovery | Endpoint::Token => {
                Err(method_not_allowed())
            }
        }
    }

    fn write(&self) -> Result<Reply, GraphError> {
        match self.route.endpoint {
            Endpoint::User if self.method == Method::PATCH => patch::patch(self),
            Endpoint::Unknown => Err(self.unknown_segment()),
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
