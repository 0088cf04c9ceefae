use backend_graph::Customer;
use rotation_core::Problem;

use super::way::Way;
use crate::config;
use crate::exit::Failure;

/// A tenant that may be asked for.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    /// The place in the configuration of `tenant`.
    pub(crate) index: usize,
    /// What is configured for it: for a customer that is its partner's.
    pub(crate) tenant: &'a config::Tenant,
    /// What it goes by.
    pub(crate) name: String,
    /// What its partner's list says, if it is a customer from there.
    pub(crate) customer: Option<Customer>,
    /// Why nothing can be done there, or that its partner's list could not be read.
    pub(crate) obstacle: Option<Problem>,
    /// What was made to ask it something.
    pub(super) way: Option<Way>,
    /// Whether it stands for a list that could not be read.
    pub(crate) is_list: bool,
}

impl<'a> Candidate<'a> {
    pub(super) fn configured(index: usize, tenant: &'a config::Tenant) -> Self {
        Self {
            index,
            tenant,
            name: tenant.id.clone(),
            customer: None,
            obstacle: None,
            way: None,
            is_list: false,
        }
    }

    /// The tenant's GUID or domain, to sign in to. A customer's domain may be another's by now.
    pub(crate) fn id(&self) -> &str {
        let customer = self.customer.as_ref();
        customer.map_or(&self.tenant.id, |customer| customer.id.as_str())
    }

    /// That nothing can be done before it is known which tenants there are.
    pub(crate) fn refused(&self) -> Failure {
        let problem = self
            .obstacle
            .clone()
            .unwrap_or_else(|| Problem::new(&self.name));
        let help = problem.fix.clone().unwrap_or_default();
        Failure::preflight(miette::miette!(help = help, "{problem}"))
    }

    /// Whether `name` means this one, which is a tenant.
    pub(crate) fn goes_by(&self, name: &str) -> bool {
        if self.is_list {
            return false;
        }
        self.name.eq_ignore_ascii_case(name) || self.id().eq_ignore_ascii_case(name)
    }
}
