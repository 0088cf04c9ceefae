//! A tenant in which nothing can be done.

use rotation_core::{Problem, TenantId};

use crate::wiring::Tenant;

/// A tenant in which nothing was sent, and why: it let us not in, not set passwords, or not read its accounts. The other
/// tenants go on without it.
#[derive(Debug)]
pub(crate) struct Obstructed {
    /// Its place among those that were asked for.
    pub(crate) place: usize,
    /// As in the configuration.
    pub(crate) name: String,
    /// Its GUID, if it got so far.
    pub(crate) id: Option<TenantId>,
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

impl Obstructed {
    /// `tenant`, which did not let us in.
    pub(crate) fn outside(tenant: &Tenant, problems: Vec<Problem>) -> Self {
        Self {
            place: tenant.place,
            name: tenant.name.clone(),
            id: tenant.id(),
            problems,
        }
    }

    /// `tenant`, which is `id`, let us in and no further.
    pub(crate) fn inside(tenant: &Tenant, id: &TenantId, problems: Vec<Problem>) -> Self {
        Self {
            id: Some(id.clone()),
            ..Self::outside(tenant, problems)
        }
    }

    /// Whether it could be the tenant `id`, for all we know.
    pub(crate) fn may_be(&self, id: &TenantId) -> bool {
        self.id.as_ref().is_none_or(|known| known == id)
    }
}
