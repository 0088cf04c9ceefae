//! What requests cost, and what answers say about quotas.
//!
//! <https://learn.microsoft.com/graph/throttling-limits>

use axum::http::{HeaderName, HeaderValue, Method};

use super::{Call, GraphError};
use crate::endpoint::Endpoint;
use crate::reply::Reply;
use crate::throttle::{Cost, Counted, Overrun, Scope};

const UNIT: HeaderName = HeaderName::from_static("x-ms-resource-unit");
const PERCENTAGE: HeaderName = HeaderName::from_static("x-ms-throttle-limit-percentage");
const SCOPE: HeaderName = HeaderName::from_static("x-ms-throttle-scope");
const INFORMATION: HeaderName = HeaderName::from_static("x-ms-throttle-information");

/// Smaller pages are cheaper.
const SMALL_PAGE: usize = 20;

impl Call<'_> {
    /// Counts this request; then its answer, with what it says about quotas.
    pub(super) fn throttled(
        &self,
        answer: impl FnOnce() -> Result<Reply, GraphError>,
    ) -> Result<Reply, GraphError> {
        let (app, tenant) = (self.caller.client_id, self.directory.id);
        let (cost, now) = (self.cost(), self.world.clock.now());
        let usage = self
            .world
            .throttles
            .admit(app, tenant, cost, now)
            .map_err(|overrun| self.refused(&overrun))?;
        let mut reply = answer()?;
        reply.headers.push((UNIT, units(cost)));
        Ok(match usage {
            Some(usage) => reply.header(PERCENTAGE, &format!("{usage:.2}")),
            None => reply,
        })
    }

    /// What is not listed costs one unit, also where the page names no quota at all, as for roles: counted rather than not.
    fn cost(&self) -> Cost {
        if self.method != Method::GET {
            return Cost::WRITE;
        }
        let base = match self.route.endpoint {
            Endpoint::Contracts | Endpoint::GroupMembers => 3,
            Endpoint::Users => 2,
            _ => 1,
        };
        let dearer = u32::from(self.query.expand.is_some());
        let cheaper = u32::from(self.query.select.is_some())
            + u32::from(self.query.page_size().is_ok_and(|size| size < SMALL_PAGE));
        Cost::read((base + dearer).saturating_sub(cheaper))
    }

    fn refused(&self, overrun: &Overrun) -> GraphError {
        let (app, tenant) = (self.caller.client_id, self.directory.id);
        let (limit, information) = match overrun.counted {
            Counted::Units => ("ReadWrite", "ResourceUnitLimitExceeded"),
            Counted::Writes => ("Write", "WriteLimitExceeded"),
        };
        let scope = match overrun.scope {
            Scope::App => format!("Application/{limit}/{app}/{app}"),
            Scope::AppInTenant => format!("Tenant_Application/{limit}/{app}/{tenant}"),
            Scope::Tenant => format!("Tenant/{limit}/{app}/{tenant}"),
        };
        let error = GraphError::throttled(overrun.retry_after_header.clone())
            .header(SCOPE, scope)
            .header(INFORMATION, information.to_owned());
        match overrun.usage {
            Some(usage) => error.header(PERCENTAGE, format!("{usage:.2}")),
            None => error,
        }
    }
}

fn units(cost: Cost) -> HeaderValue {
    match cost.units() {
        1 => HeaderValue::from_static("1"),
        2 => HeaderValue::from_static("2"),
        other => HeaderValue::from(other),
    }
}
