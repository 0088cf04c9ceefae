//! From the configuration to a store and one engine per tenant. Nothing is sent yet.

mod credential;
mod powershell;
mod secret;
pub(crate) mod setup;
pub(crate) mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_graph::{Cloud, GraphBackend, GraphConfig, Traffic};
use backend_powershell_compat::{HybridBackend, PowerShellBackend, SyncedFrom};
use rotation_core::{
    AccountId, AccountQuery, BackendError, Batching, Engine, EngineOptions, Policy, RateControl,
    RotationBackend, SecretStore, Verify,
};

use crate::args::{Common, Sharded};
use crate::config::{self, Batch, Config, ConfigError, Step, nearest};
use crate::exit::Failure;
use crate::output;
use credential::Credentials;

/// So many accounts of a domain may wait for one worker, which takes a quarter of a second for each.
const WAITING_FOR_A_WORKER: usize = 16;

/// A tenant, and the way to its directory.
#[derive(Clone)]
pub(crate) struct Tenant {
    /// Among those that were asked for.
    pub(crate) place: usize,
    /// As in the configuration.
    pub(crate) name: String,
    pub(crate) backend: Arc<dyn RotationBackend>,
    /// The same, for what it can tell besides.
    pub(crate) way: Way,
    /// What holds there.
    pub(crate) policy: Policy,
    /// How long a password that was set in its on-premises domain may take to be known there.
    sync_within: Option<Duration>,
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

    /// How many requests may be under way, of `most`: what waits for a worker must not wait past the time for an attempt.
    fn requests_at_once(&self, most: usize) -> usize {
        match self {
            Self::Graph(_) => most,
            Self::Hybrid { domain, .. } => most.min(domain.workers() * WAITING_FOR_A_WORKER),
            Self::Domain(powershell) | Self::PowerShell(powershell) => powershell.workers(),
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
        options.concurrency = self.way.requests_at_once(options.concurrency);
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

/// The tenants that the command line asks for: all of the configuration, unless it names some or a shard.
///
/// # Errors
/// If one that it names is not in the configuration, or if one cannot work as configured.
pub(crate) fn tenants(
    config: &Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<Tenant>, Failure> {
    // what is learned of a quota that tenants share is learned once
    let rate = RateControl::with_requests_at_once(config.engine.requests_at_once);
    let mut credentials = Credentials::default();
    asked(config, common, sharded)?
        .into_iter()
        .enumerate()
        .map(|(place, (index, tenant))| {
            let way = way(config, index, tenant, &rate, &mut credentials);
            let way = way.map_err(Failure::usage)?;
            Ok(Tenant {
                place,
                name: tenant.id.clone(),
                backend: way.backend(),
                way,
                policy: policy(tenant),
                sync_within: tenant
                    .on_premises
                    .as_ref()
                    .map(|own| own.sync_within.duration()),
            })
        })
        .collect()
}

/// The same as they are configured, each with its place. That there is none in a shard is said, and no error.
///
/// # Errors
/// If one that it names is not in the configuration.
pub(crate) fn asked<'a>(
    config: &'a Config,
    common: &Common,
    sharded: Sharded,
) -> Result<Vec<(usize, &'a config::Tenant)>, Failure> {
    check_names(config, &common.tenants)?;
    let wanted = |name: &str| {
        common.tenants.is_empty()
            || common
                .tenants
                .iter()
                .any(|one| one.eq_ignore_ascii_case(name))
    };
    let mut tenants: Vec<_> = config.tenants.iter().enumerate().collect();
    if let Some(shard) = sharded.shard {
        tenants = shard.pick(tenants, |(_, tenant)| &tenant.id);
    }
    tenants.retain(|(_, tenant)| wanted(&tenant.id));
    if let (Some(shard), true) = (sharded.shard, tenants.is_empty()) {
        let number = config.tenants.len();
        output::note(&format!(
            "shard {shard} has none of these {number} tenants: nothing to do"
        ));
    }
    Ok(tenants)
}

/// The policy that holds in `tenant`. What is set in a domain is not there before the next sync, so it is looked for.
fn policy(tenant: &config::Tenant) -> Policy {
    let mut policy = tenant.policy.clone();
    if tenant.on_premises.is_some() && policy.verify == Verify::None {
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

fn check_names(config: &Config, names: &[String]) -> Result<(), Failure> {
    let known = || config.tenants.iter().map(|tenant| tenant.id.as_str());
    let unknown = |name: &&String| !known().any(|id| id.eq_ignore_ascii_case(name));
    let Some(name) = names.iter().find(unknown) else {
        return Ok(());
    };
    let help = match nearest(name, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("configured: {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage(miette::miette!(
        help = help,
        "the configuration has no tenant `{name}`"
    )))
}

fn way(
    config: &Config,
    index: usize,
    tenant: &config::Tenant,
    rate: &RateControl,
    credentials: &mut Credentials,
) -> Result<Way, ConfigError> {
    let at = At::tenant(config, index);
    if tenant.backend == config::Backend::PowerShell {
        let powershell = Arc::new(powershell::backend(&at, tenant)?);
        return Ok(if tenant.is_domain() {
            Way::Domain(powershell)
        } else {
            Way::PowerShell(powershell)
        });
    }
    let credential = credentials.of(&at, tenant)?;
    let client_id = tenant.client_id.as_deref();
    let Some(client_id) = client_id.or_else(|| credential.default_client_id()) else {
        return Err(at.without_client_id(&tenant.id));
    };
    let graph = GraphConfig::new(&tenant.id, client_id.to_owned(), credential)
        .with_cloud(cloud(&at, &tenant.cloud)?)
        .with_pim(tenant.pim)
        .with_rate_control(rate.clone());
    let graph = GraphBackend::new(graph).map_err(|error| at.refused(&error))?;
    let graph = Arc::new(graph);
    Ok(match &tenant.on_premises {
        Some(own) => Way::Hybrid {
            graph,
            domain: Arc::new(powershell::on_premises(&at, own)?),
        },
        None => Way::Graph(graph),
    })
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
