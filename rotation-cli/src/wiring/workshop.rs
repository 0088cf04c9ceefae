use std::sync::Arc;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use rotation_core::RateControl;
use uuid::Uuid;

use super::at::At;
use super::candidate::Candidate;
use super::credential::Credentials;
use super::powershell;
use super::way::Way;
use crate::config::{self, Config, ConfigError, nearest};
use crate::exit::Failure;

/// Makes the way to each directory. What is learned of a quota that tenants share is learned once, and whoever signs in to
/// several does so once.
pub(crate) struct Workshop<'a> {
    pub(super) config: &'a Config,
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

    /// The way to `candidate`'s directory, made unless it was before.
    pub(super) fn way(&mut self, candidate: &mut Candidate<'_>) -> Result<Way, Failure> {
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
    pub(super) fn anonymous(&self, candidate: &Candidate<'_>) -> Result<GraphBackend, Failure> {
        let at = At::tenant(self.config, candidate.index);
        let nobody = (Uuid::nil().to_string(), Credential::AzureCli);
        let made = cloud(&at, &candidate.tenant.cloud).and_then(|cloud| {
            let graph = GraphConfig::new(&candidate.tenant.id, nobody.0, nobody.1);
            GraphBackend::new(graph.with_cloud(cloud)).map_err(|error| at.refused(&error))
        });
        made.map_err(Failure::usage)
    }
}

pub(super) fn cloud(at: &At<'_>, cloud: &config::Cloud) -> Result<Cloud, ConfigError> {
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
