use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backend_graph::{Customer, CustomersFrom, GraphBackend, Traffic};
use rotation_core::{
    Batching, Caller, Engine, EngineOptions, Policy, Problem, RotationBackend, SecretStore,
    TenantId, Verify,
};
use uuid::Uuid;

use super::candidate::Candidate;
use super::way::Way;
use crate::config::{self, Batch, Config};
use crate::exit::Failure;

/// A tenant, and the way to its directory.
#[derive(Clone)]
pub(crate) struct Tenant {
    /// Among those that were asked for.
    pub(crate) place: usize,
    /// As in the configuration, or in the list that it comes from.
    pub(crate) name: String,
    pub(crate) backend: Arc<dyn RotationBackend>,
    /// The same, for what it can tell besides.
    pub(crate) way: Way,
    /// What holds there.
    pub(crate) policy: Policy,
    /// How long a password that was set in its on-premises domain may take to be known there.
    sync_within: Option<Duration>,
    /// What its partner's list says of it, if it comes from one, and the partner's name.
    pub(crate) customer: Option<(Customer, String)>,
    /// The list that is read here, if it is a partner's.
    pub(crate) lists: Option<CustomersFrom>,
    /// Why nothing can be done there, if that is known beforehand.
    pub(crate) obstacle: Option<Problem>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("name", &self.name)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl Tenant {
    pub(super) fn new(place: usize, asked: Candidate<'_>, way: Way) -> Self {
        let tenant = asked.tenant;
        // what is synced to a partner's tenant is synced to none of its customers'
        let on_premises = tenant
            .on_premises
            .as_ref()
            .filter(|_| asked.customer.is_none());
        let lists = tenant.customers.as_ref().map(config::Customers::from);
        Self {
            place,
            name: asked.name,
            backend: way.backend(),
            way,
            policy: policy(tenant, on_premises.is_some()),
            sync_within: on_premises.map(|own| own.sync_within.duration()),
            lists: lists.filter(|_| asked.customer.is_none()),
            customer: asked.customer.map(|it| (it, tenant.id.clone())),
            obstacle: asked.obstacle,
        }
    }

    /// Its GUID, as far as it is known without asking; a domain tells none.
    pub(crate) fn id(&self) -> Option<TenantId> {
        if let Some((customer, _)) = &self.customer {
            return Some(customer.id.clone());
        }
        let id = self.name.parse::<Uuid>().ok();
        id.map(|_| TenantId::new(&self.name))
    }

    /// `problem` that the caller has no role there: where it has roles by relationships, another is had otherwise.
    pub(crate) fn by_its_partner(&self, problem: Problem) -> Problem {
        match &self.customer {
            Some((customer, partner)) if !customer.relationships.is_empty() => {
                problem.with_fix(format!(
                    "whoever signs in must be a member, and not through another group, of a group of {partner} that has the \
                     role by an active relationship with this customer: Partner Center, Customers, Admin relationships"
                ))
            }
            _ => problem,
        }
    }

    /// Who we are there.
    ///
    /// # Errors
    /// Why it does not let us in.
    pub(crate) async fn caller(&self) -> Result<Caller, Problem> {
        if let Some(obstacle) = &self.obstacle {
            return Err(obstacle.clone());
        }
        let caller = self.backend.caller().await;
        caller.map_err(|error| error.problem().clone())
    }

    /// What was asked of the directory so far, as far as it is counted.
    pub(crate) fn traffic(&self) -> Traffic {
        self.way
            .graph()
            .map(GraphBackend::traffic)
            .unwrap_or_default()
    }

    /// The engine that rotates this tenant's accounts.
    pub(crate) fn engine(
        &self,
        config: &Config,
        policy: Policy,
        store: &Arc<dyn SecretStore>,
    ) -> Result<Engine, Failure> {
        let backend = Arc::clone(&self.backend);
        let mut options = EngineOptions::default();
        options.lease = config.stores.lease.unwrap_or(options.lease);
        options.verify_timeout = self.sync_within.unwrap_or(options.verify_timeout);
        options.batching = match config.engine.batch {
            Batch::Always => Batching::Always,
            Batch::Auto => Batching::Auto,
            Batch::Never => Batching::Never,
        };
        Engine::new(backend, Arc::clone(store), policy)
            .map(|engine| engine.with_options(options))
            .map_err(|error| Failure::usage(miette::miette!("{error}")))
    }
}

/// The policy that holds in `tenant`. What is set in a domain is not there before the next sync, so it is looked for.
fn policy(tenant: &config::Tenant, on_premises: bool) -> Policy {
    let mut policy = tenant.policy.clone();
    if on_premises && policy.verify == Verify::None {
        policy.verify = Verify::Timestamp;
    }
    policy
}
