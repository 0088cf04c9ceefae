//! From the configuration to a store and one engine per tenant. Nothing is sent yet.

mod credential;
mod customers;
mod powershell;
mod secret;
pub(crate) mod setup;
pub(crate) mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_graph::{
    Cloud, Credential, Customer, CustomersFrom, GraphBackend, GraphConfig, Traffic,
};
use backend_powershell_compat::{HybridBackend, PowerShellBackend, SyncedFrom};
use rotation_core::{
    AccountId, AccountQuery, BackendError, Batching, Caller, Engine, EngineOptions, Policy,
    Problem, RateControl, RotationBackend, SecretStore, TenantId, Verify,
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

/// How a directory is reached.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// An on-premises domain.
    Domain(Arc<PowerShellBackend>),
    Graph(Arc<GraphBackend>),
    /// The accounts that are synced from an on-premises domain, there.
    Hybrid {
        graph: Arc<GraphBackend>,
        domain: Arc<PowerShellBackend>,
    },
    PowerShell(Arc<PowerShellBackend>),
}

impl Way {
    fn backend(&self) -> Arc<dyn RotationBackend> {
        match self {
            Self::Graph(graph) => Arc::<GraphBackend>::clone(graph),
            Self::Hybrid { graph, domain } => Arc::new(HybridBackend::new(
                Arc::<GraphBackend>::clone(graph),
                Arc::<PowerShellBackend>::clone(domain),
                Arc::new(SyncedTenant(Arc::clone(graph))),
            )),
            Self::Domain(powershell) | Self::PowerShell(powershell) => {
                Arc::<PowerShellBackend>::clone(powershell)
            }
        }
    }

    /// What reaches it over Graph.
    pub(crate) fn graph(&self) -> Option<&GraphBackend> {
        match self {
            Self::Graph(graph) | Self::Hybrid { graph, .. } => Some(graph),
            Self::Domain(_) | Self::PowerShell(_) => None,
        }
    }

    /// What reaches it, or the domain that it is synced from, through PowerShell.
    pub(crate) fn powershell(&self) -> Option<&PowerShellBackend> {
        match self {
            Self::Graph(_) => None,
            Self::Hybrid { domain, .. } => Some(domain),
            Self::Domain(powershell) | Self::PowerShell(powershell) => Some(powershell),
        }
    }
}

/// A tenant that knows which accounts of a domain its own are synced from.
struct SyncedTenant(Arc<GraphBackend>);

#[async_trait]
impl SyncedFrom for SyncedTenant {
    async fn security_id(&self, account: &AccountId) -> Result<Option<String>, BackendError> {
        self.0.on_premises_security_id(account).await
    }
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
    fn new(place: usize, asked: Candidate<'_>, way: Way) -> Self {
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

/// The tenants of the configuration that the command line asks for, without anybody's customers.
///
/// # Errors
/// If one that it names is not in the configuration.
pub(crate) fn configured<'a>(
    config: &'a Config,
    common: &Common,
) -> Result<Vec<(usize, &'a config::Tenant)>, Failure> {
    let names = &common.tenants;
    let known: Vec<_> = config
        .tenants
        .iter()
        .enumerate()
        .map(|(index, tenant)| Candidate::configured(index, tenant))
        .collect();
    let is_known = |name: &&String| known.iter().any(|one| one.goes_by(name));
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(unknown(name, &known));
    }
    let is_asked = |one: &Candidate<'_>| names.is_empty() || names.iter().any(|it| one.goes_by(it));
    let asked = known.iter().filter(|one| is_asked(one));
    Ok(asked.map(|one| (one.index, one.tenant)).collect())
}

/// The policy that holds in `tenant`. What is set in a domain is not there before the next sync, so it is looked for.
fn policy(tenant: &config::Tenant, on_premises: bool) -> Policy {
    let mut policy = tenant.policy.clone();
    if on_premises && policy.verify == Verify::None {
        policy.verify = Verify::Timestamp;
    }
    policy
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
                let way = self.way(&mut asked)?;
                Ok(Tenant::new(place, asked, way))
            })
            .collect()
    }

    /// The way to `candidate`'s directory, made unless it was before.
    fn way(&mut self, candidate: &mut Candidate<'_>) -> Result<Way, Failure> {
        if let Some(made) = &candidate.way {
            return Ok(made.clone());
        }
        let made = self.new_way(candidate).map_err(Failure::usage)?;
        candidate.way = Some(made.clone());
        Ok(made)
    }

    fn new_way(&mut self, candidate: &Candidate<'_>) -> Result<Way, ConfigError> {
        let tenant = candidate.tenant;
        let at = At::tenant(self.config, candidate.index);
        if tenant.backend == config::Backend::PowerShell {
            let powershell = Arc::new(powershell::backend(&at, tenant)?);
            return Ok(if tenant.is_domain() {
                Way::Domain(powershell)
            } else {
                Way::PowerShell(powershell)
            });
        }
        let credential = self.credentials.of(&at, tenant)?;
        let client_id = tenant.client_id.as_deref();
        let Some(client_id) = client_id.or_else(|| credential.default_client_id()) else {
            return Err(at.without_client_id(&tenant.id));
        };
        let mut graph = GraphConfig::new(candidate.id(), client_id.to_owned(), credential)
            .with_cloud(cloud(&at, &tenant.cloud)?)
            .with_pim(tenant.pim)
            .with_rate_control(self.rate.clone());
        if let Some(customer) = &candidate.customer {
            graph = graph.with_partner_roles(customer.roles());
        }
        let graph = GraphBackend::new(graph).map_err(|error| at.refused(&error))?;
        let graph = Arc::new(graph);
        Ok(match &tenant.on_premises {
            Some(own) if candidate.customer.is_none() => Way::Hybrid {
                graph,
                domain: Arc::new(powershell::on_premises(&at, own)?),
            },
            _ => Way::Graph(graph),
        })
    }

    /// What tells whoever asks which tenant a configured one is; it signs in to none.
    fn anonymous(&self, candidate: &Candidate<'_>) -> Result<GraphBackend, Failure> {
        let at = At::tenant(self.config, candidate.index);
        let nobody = (Uuid::nil().to_string(), Credential::AzureCli);
        let made = cloud(&at, &candidate.tenant.cloud).and_then(|cloud| {
            let graph = GraphConfig::new(&candidate.tenant.id, nobody.0, nobody.1);
            GraphBackend::new(graph.with_cloud(cloud)).map_err(|error| at.refused(&error))
        });
        made.map_err(Failure::usage)
    }
}

/// A place in the configuration: a tenant's, or that of whoever sets tenants up.
struct At<'a> {
    config: &'a Config,
    place: Vec<Step<'static>>,
}

impl<'a> At<'a> {
    fn tenant(config: &'a Config, index: usize) -> Self {
        let place = vec![Step::Key("tenant"), Step::Index(index)];
        Self { config, place }
    }

    fn setup(config: &'a Config) -> Self {
        let place = vec![Step::Key("setup")];
        Self { config, place }
    }

    fn steps<'k>(&self, keys: &[&'k str]) -> Vec<Step<'k>> {
        let keys = keys.iter().copied().map(Step::Key);
        self.place.iter().copied().chain(keys).collect()
    }

    fn error(&self, keys: &[&str], message: impl Into<String>) -> ConfigError {
        self.config.document().error(&self.steps(keys), message)
    }

    fn without_client_id(&self, tenant: &str) -> ConfigError {
        let message = format!("tenant {tenant} has no `client_id`");
        self.error(&[], message)
            .with_help("add the GUID that the portal calls Application (client) ID")
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
