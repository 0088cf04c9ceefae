//! From the configuration to a store and one engine per tenant. Nothing is sent yet.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use rotation_core::{AccountQuery, Engine, RotationBackend, SecretStore, StoreError};
use secrecy::SecretString;
use secret_stores::SqliteStore;
use zeroize::Zeroizing;

use crate::args::Common;
use crate::config::{self, Config, ConfigError, Step, nearest};
use crate::exit::Failure;

/// A file with a secret in it is small; whatever is larger is another file.
const LONGEST_SECRET: usize = 64 * 1024;

/// A tenant, and the way to its directory.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// As in the configuration.
    pub(crate) name: String,
    pub(crate) backend: Arc<GraphBackend>,
}

impl Tenant {
    /// The engine that rotates this tenant's accounts.
    pub(crate) fn engine(
        &self,
        config: &Config,
        store: &Arc<SqliteStore>,
    ) -> Result<Engine, Failure> {
        let backend: Arc<dyn RotationBackend> = Arc::<GraphBackend>::clone(&self.backend);
        let store: Arc<dyn SecretStore> = Arc::<SqliteStore>::clone(store);
        Engine::new(backend, store, config.policy.clone())
            .map_err(|error| Failure::usage(miette::miette!("{error}")))
    }
}

/// The tenants that the command line asks for: all of the configuration, unless it names some.
///
/// # Errors
/// If one that it names is not in the configuration, or if one cannot work as configured.
pub(crate) fn tenants(config: &Config, common: &Common) -> Result<Vec<Tenant>, Failure> {
    check_names(config, &common.tenants)?;
    let wanted = |name: &str| {
        common.tenants.is_empty()
            || common
                .tenants
                .iter()
                .any(|one| one.eq_ignore_ascii_case(name))
    };
    let all = config.tenants.iter().enumerate();
    all.filter(|(_, tenant)| wanted(&tenant.id))
        .map(|(index, tenant)| {
            let backend = backend(config, index, tenant).map_err(Failure::usage)?;
            Ok(Tenant {
                name: tenant.id.clone(),
                backend: Arc::new(backend),
            })
        })
        .collect()
}

/// Opens the store, and makes it if there is none.
///
/// # Errors
/// If it cannot be used.
pub(crate) async fn store(config: &Config) -> Result<Arc<SqliteStore>, StoreError> {
    let recipients = config
        .recipients()
        .map_err(|error| StoreError::Unusable(rotation_core::Problem::new(error.to_string())))?;
    let store = SqliteStore::open(&config.store_path(), &recipients).await?;
    Ok(Arc::new(store))
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

fn backend(
    config: &Config,
    index: usize,
    tenant: &config::Tenant,
) -> Result<GraphBackend, ConfigError> {
    let at = At { config, index };
    let credential = Credential::ClientSecret(secret(&at, tenant)?);
    let graph = GraphConfig::new(&tenant.id, &tenant.client_id, credential)
        .with_cloud(cloud(&at, &tenant.cloud)?)
        .with_pim(tenant.pim);
    GraphBackend::new(graph).map_err(|error| at.refused(&error))
}

/// A tenant's place in the configuration.
struct At<'a> {
    config: &'a Config,
    index: usize,
}

impl At<'_> {
    fn error(&self, keys: &[&str], message: impl Into<String>) -> ConfigError {
        let tenant = [Step::Key("tenant"), Step::Index(self.index)];
        let steps: Vec<_> = tenant
            .into_iter()
            .chain(keys.iter().copied().map(Step::Key))
            .collect();
        self.config.document().error(&steps, message)
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

fn secret(at: &At<'_>, tenant: &config::Tenant) -> Result<SecretString, ConfigError> {
    let credential = &tenant.credential;
    match (&credential.env, &credential.file) {
        (Some(name), None) => secret_of_variable(at, &tenant.id, name),
        (None, Some(file)) => {
            let path = at.config.document().resolve(file);
            read_secret(&path).map_err(|error| {
                let message = format!(
                    "cannot read the client secret of tenant {} from {}: {error}",
                    tenant.id,
                    path.display()
                );
                at.error(&["credential", "file"], message)
            })
        }
        (Some(_), Some(_)) | (None, None) => Err(at.error(
            &["credential"],
            "the client secret stands in one place: expected either `env`, the name of a variable, or `file`",
        )),
    }
}

fn secret_of_variable(at: &At<'_>, tenant: &str, name: &str) -> Result<SecretString, ConfigError> {
    let wrong = |what: &str| {
        at.error(
            &["credential", "env"],
            format!(
                "the environment variable {name} with the client secret of tenant {tenant} {what}"
            ),
        )
    };
    match std::env::var(name) {
        Ok(value) if value.trim().is_empty() => Err(wrong("is empty")),
        Ok(value) => Ok(exact(&Zeroizing::new(value))),
        Err(std::env::VarError::NotPresent) => Err(wrong("is not set")
            .with_help("set it where this program is started, from the secrets of your CI")),
        Err(std::env::VarError::NotUnicode(_)) => Err(wrong("is not text")),
    }
}

fn read_secret(path: &Path) -> io::Result<SecretString> {
    // one byte more than is read, so that the buffer never grows and leaves a copy behind
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_SECRET + 1));
    File::open(path)?
        .take(LONGEST_SECRET as u64)
        .read_to_string(&mut text)?;
    if text.len() == LONGEST_SECRET {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(exact(&text))
}

/// Without the line end that editors add, in a buffer that need not shrink.
fn exact(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text.trim_end_matches(['\r', '\n'])))
}
