//! From the configuration to a store and one engine per tenant. Nothing is sent yet.

mod credential;
mod customers;
mod secret;
pub(crate) mod store;

use std::sync::Arc;

use backend_graph::{Cloud, Customer, CustomersFrom, GraphBackend, GraphConfig};
use rotation_core::{
    AccountQuery, Batching, Caller, Engine, EngineOptions, Policy, Problem, RateControl,
    RotationBackend, SecretStore, TenantId,
};
use uuid::Uuid;

use crate::args::{Common, Sharded};
use crate::config::{self, Batch, Config, ConfigError, Step, nearest};
use crate::exit::Failure;
use crate::output;
use credential::Credentials;
pub(crate) use customers::Candidate;

/// Of more tenants than this nobody wants to read the names.
const MOST_NAMES: usize = 20;

/// A tenant, and the way to its directory.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// Among those that were asked for.
    pub(crate) place: usize,
    /// As in the configuration, or in the list that it comes from.
    pub(crate) name: String,
    pub(crate) backend: Arc<GraphBackend>,
    /// What holds there.
    pub(crate) policy: Policy,
    /// What its partner's list says of it, if it comes from one, and the partner's name.
    pub(crate) customer: Option<(Customer, String)>,
    /// The list that is read here, if it is a partner's.
    pub(crate) lists: Option<CustomersFrom>,
    /// Why nothing can be done there, if that is known beforehand.
    pub(crate) obstacle: Option<Problem>,
}

impl Tenant {
    fn new(place: usize, asked: Candidate<'_>, backend: Arc<GraphBackend>) -> Self {
        let tenant = asked.tenant;
        let lists = tenant.customers.as_ref().map(config::Customers::from);
        Self {
            place,
            name: asked.name,
            backend,
            policy: tenant.policy.clone(),
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

    /// The engine that rotates this tenant's accounts.
    pub(crate) fn engine(
        &self,
        config: &Config,
        policy: Policy,
        store: &Arc<dyn SecretStore>,
    ) -> Result<Engine, Failure> {
        let backend: Arc<dyn RotationBackend> = Arc::<GraphBackend>::clone(&self.backend);
        let mut options = EngineOptions::default();
        options.lease = config.stores.lease.unwrap_or(options.lease);
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

/// The tenants that the command line asks for: all that are configured, and the customers of those that are partners', unless
/// it names some or a shard. Partners are asked for their customers.
///
/// # Errors
/// If one that it names is none of them, or if one cannot work as configured.
pub(crate) async fn tenants(
    config: &Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Tenant>, Failure> {
    Workshop::new(config).tenants(common, sharded).await
}

/// The same as they are configured or listed, each with its place. That there is none in a shard is said, and no error.
///
/// # Errors
/// If one that it names is none of them.
pub(crate) async fn asked<'a>(
    config: &'a Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Candidate<'a>>, Failure> {
    asked_of(&mut Workshop::new(config), common, sharded).await
}

async fn asked_of<'a>(
    workshop: &mut Workshop<'a>,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Candidate<'a>>, Failure> {
    let names = &common.tenants;
    let mut known = customers::configured(workshop.config);
    let is_known = |known: &[Candidate<'_>], name: &String| {
        known.iter().any(|candidate| candidate.goes_by(name))
    };
    let all_are_known = !names.is_empty() && names.iter().all(|name| is_known(&known, name));
    // whoever names tenants that are configured need not wait for a list
    if sharded.shard.is_some() || !all_are_known {
        customers::add(&mut known, workshop).await?;
    }
    if let Some(name) = names.iter().find(|name| !is_known(&known, name)) {
        return Err(unknown(name, &known));
    }
    let number = known.len();
    // of a list that could not be read each shard may have a part
    let (lists, mut tenants): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|candidate| candidate.is_list);
    if let Some(shard) = sharded.shard {
        tenants = shard.pick(tenants, |candidate| &candidate.name);
    }
    if names.is_empty() {
        tenants.extend(lists);
    } else {
        tenants.retain(|candidate| names.iter().any(|name| candidate.goes_by(name)));
    }
    if let (Some(shard), true) = (sharded.shard, tenants.is_empty()) {
        output::note(&format!(
            "shard {shard} has none of these {number} tenants: nothing to do"
        ));
    }
    Ok(tenants)
}

/// The accounts that the command line asks for.
pub(crate) fn query(common: &Common) -> AccountQuery {
    if common.accounts.is_empty() {
        AccountQuery::All
    } else {
        AccountQuery::Named(common.accounts.clone())
    }
}

/// Nothing that is `known` goes by `name`.
fn unknown(name: &str, known: &[Candidate<'_>]) -> Failure {
    if let Some(unread) = known.iter().find(|candidate| candidate.is_list) {
        return unread.refused();
    }
    let names = || known.iter().map(|candidate| candidate.name.as_str());
    let help = match nearest(name, names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.len() > MOST_NAMES => format!("there are {} others", known.len()),
        None => format!("configured: {}", names().collect::<Vec<_>>().join(", ")),
    };
    Failure::usage(miette::miette!(
        help = help,
        "the configuration has no tenant `{name}`"
    ))
}

/// Makes the way to each directory. What is learned of a quota that tenants share is learned once, and whoever signs in to
/// several does so once.
pub(crate) struct Workshop<'a> {
    config: &'a Config,
    rate: RateControl,
    credentials: Credentials,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self {
            config,
            rate: RateControl::with_requests_at_once(config.engine.requests_at_once),
            credentials: Credentials::default(),
        }
    }

    /// As [`tenants`]. What is asked for again is made anew, and nobody signs in again for it who did before.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn tenants(
        &mut self,
        common: &Common,
        sharded: Sharded,
    ) -> Result<Vec<Tenant>, Failure> {
        let asked = asked_of(self, common, sharded).await?;
        let tenants = asked.into_iter().enumerate();
        tenants
            .map(|(place, mut asked)| {
                let backend = self.backend(&mut asked)?;
                Ok(Tenant::new(place, asked, backend))
            })
            .collect()
    }

    /// The way to `candidate`'s directory, made unless it was before.
    fn backend(&mut self, candidate: &mut Candidate<'_>) -> Result<Arc<GraphBackend>, Failure> {
        if let Some(made) = &candidate.backend {
            return Ok(Arc::clone(made));
        }
        let made = self.new_backend(candidate).map_err(Failure::usage)?;
        let made = Arc::new(made);
        candidate.backend = Some(Arc::clone(&made));
        Ok(made)
    }

    fn new_backend(&mut self, candidate: &Candidate<'_>) -> Result<GraphBackend, ConfigError> {
        let tenant = candidate.tenant;
        let at = At {
            config: self.config,
            index: candidate.index,
        };
        let credential = self.credentials.of(&at, tenant)?;
        let client_id = tenant.client_id.as_deref();
        let Some(client_id) = client_id.or_else(|| credential.default_client_id()) else {
            let message = format!("tenant {} has no `client_id`", tenant.id);
            return Err(at
                .error(&[], message)
                .with_help("add the GUID that the portal calls Application (client) ID"));
        };
        let mut graph = GraphConfig::new(candidate.id(), client_id.to_owned(), credential)
            .with_cloud(cloud(&at, &tenant.cloud)?)
            .with_pim(tenant.pim)
            .with_rate_control(self.rate.clone());
        if let Some(customer) = &candidate.customer {
            graph = graph.with_partner_roles(customer.roles());
        }
        GraphBackend::new(graph).map_err(|error| at.refused(&error))
    }
}

/// A tenant's place in the configuration.
struct At<'a> {
    config: &'a Config,
    index: usize,
}

impl At<'_> {
    fn steps<'k>(&self, keys: &[&'k str]) -> Vec<Step<'k>> {
        let tenant = [Step::Key("tenant"), Step::Index(self.index)];
        let keys = keys.iter().copied().map(Step::Key);
        tenant.into_iter().chain(keys).collect()
    }

    fn error(&self, keys: &[&str], message: impl Into<String>) -> ConfigError {
        self.config.document().error(&self.steps(keys), message)
    }

    /// A mistake that the backend found, at the key that holds what it names.
    fn refused(&self, error: &backend_graph::ConfigError) -> ConfigError {
        let field = match error {
            backend_graph::ConfigError::Field {
                field: "tenant", ..
            } => "id",
            backend_graph::ConfigError::Field { field, .. } => field,
            _ => "",
        };
        let keys: Vec<_> = field.split('.').filter(|key| !key.is_empty()).collect();
        self.error(&keys, error.to_string())
    }
}

fn cloud(at: &At<'_>, cloud: &config::Cloud) -> Result<Cloud, ConfigError> {
    const NAMES: [&str; 4] = ["global", "usgov", "usgov-dod", "china"];
    match cloud {
        config::Cloud::Named(name) => Cloud::from_name(name).ok_or_else(|| {
            let message = format!(
                "unknown cloud `{name}`, expected one of `{}`",
                NAMES.join("`, `")
            );
            at.error(&["cloud"], message)
                .with_suggestion(nearest(name, NAMES))
        }),
        config::Cloud::Custom(custom) => {
            let ca_pem = custom.ca_file.as_deref().map(|file| {
                let path = at.config.document().resolve(file);
                std::fs::read(&path).map_err(|error| {
                    let message = format!("cannot read {}: {error}", path.display());
                    at.error(&["cloud", "ca_file"], message)
                })
            });
            Cloud::custom(&custom.authority, &custom.graph, ca_pem.transpose()?)
                .map_err(|error| at.refused(&error))
        }
    }
}
