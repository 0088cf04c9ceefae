//! A tenant or domain that is reached through PowerShell.

use std::path::Path;

use backend_powershell_compat::{
    Directory, Domain, Environment, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
};

use super::at::At;
use super::secret::SecretPlace;
use crate::config::{
    self, Cloud, ConfigError, CredentialKind, Login, OnPremises, PowerShell, nearest,
};

/// # Errors
/// If it cannot work as configured.
pub(super) fn backend(
    at: &At<'_>,
    tenant: &config::Tenant,
) -> Result<PowerShellBackend, ConfigError> {
    const KEY: &str = "powershell";
    let none = PowerShell::default();
    let own = tenant.powershell.as_ref().unwrap_or(&none);
    let directory = match &own.server {
        Some(server) => {
            let domain = domain(at, KEY, server, own.login.as_ref())?;
            let domain = domain.with_delegated(own.delegated);
            Directory::Domain(match &own.search_base {
                Some(base) => domain.with_search_base(base),
                None => domain,
            })
        }
        None => Directory::Tenant(entra(at, tenant)?),
    };
    let mut config = PowerShellConfig::new(directory);
    if let Some(name) = &own.dialect {
        config = config.with_dialect(name.parse().map_err(|error| refused(at, KEY, &error))?);
    }
    start(at, KEY, config, own.program.as_deref(), own.workers)
}

/// The domain that a tenant's accounts are synced from.
///
/// # Errors
/// If it cannot work as configured.
pub(super) fn on_premises(at: &At<'_>, own: &OnPremises) -> Result<PowerShellBackend, ConfigError> {
    const KEY: &str = "on_premises";
    // whether an account may be rotated is the tenant's say, and the domain controller's
    let domain = domain(at, KEY, &own.server, own.login.as_ref())?.with_delegated(true);
    let config = PowerShellConfig::new(Directory::Domain(domain));
    start(at, KEY, config, own.program.as_deref(), own.workers)
}

fn start(
    at: &At<'_>,
    key: &'static str,
    mut config: PowerShellConfig,
    program: Option<&Path>,
    workers: Option<usize>,
) -> Result<PowerShellBackend, ConfigError> {
    if let Some(program) = program {
        // a name alone is looked for in PATH
        let program = match program.components().count() {
            1 => program.to_owned(),
            _ => at.config.document().resolve(program),
        };
        config = config.with_program(program);
    }
    if let Some(workers) = workers {
        config = config.with_workers(workers);
    }
    // whatever a module does is none of the business of other tenants' secrets
    let config = config.hiding(at.config.document().secret_variables());
    PowerShellBackend::new(config).map_err(|error| refused(at, key, &error))
}

fn domain(
    at: &At<'_>,
    key: &'static str,
    server: &str,
    login: Option<&Login>,
) -> Result<Domain, ConfigError> {
    let domain = Domain::new(server);
    let Some(login) = login else {
        return Ok(domain);
    };
    let place = SecretPlace {
        document: at.config.document(),
        steps: &at.steps(&[key, "login"]),
        what: &format!("the password of {}", login.user),
    };
    let password = place.read(login.env.as_deref(), login.file.as_deref())?;
    Ok(domain.with_login(&login.user, password))
}

fn entra(at: &At<'_>, tenant: &config::Tenant) -> Result<Tenant, ConfigError> {
    let entra = Tenant::new(&tenant.id, sign_in(at, tenant)?).with_pim(tenant.pim);
    Ok(entra.with_environment(environment(at, &tenant.cloud)?))
}

fn environment(at: &At<'_>, cloud: &Cloud) -> Result<Environment, ConfigError> {
    const NAMES: [&str; 4] = ["global", "usgov", "usgov-dod", "china"];
    let Cloud::Named(name) = cloud else {
        // the configuration was checked for that
        return Ok(Environment::Global);
    };
    match name.as_str() {
        "global" => Ok(Environment::Global),
        "usgov" => Ok(Environment::UsGov),
        "usgov-dod" => Ok(Environment::UsGovDod),
        "china" => Ok(Environment::China),
        _ => {
            let message = format!(
                "unknown cloud `{name}`, expected one of `{}`",
                NAMES.join("`, `")
            );
            let error = at.error(&["cloud"], message);
            Err(error.with_suggestion(nearest(name, NAMES)))
        }
    }
}

fn sign_in(at: &At<'_>, tenant: &config::Tenant) -> Result<SignInWith, ConfigError> {
    let Some(credential) = &tenant.credential else {
        let message = format!("tenant {} has no `credential`", tenant.id);
        return Err(at.error(&[], message).with_help(
            "for a person credential = { kind = \"interactive\" }; for a job \"certificate\" with its `thumbprint`",
        ));
    };
    let secret = |what: &str| {
        let place = SecretPlace {
            document: at.config.document(),
            steps: &at.steps(&["credential"]),
            what: &format!("the {what} of tenant {}", tenant.id),
        };
        place.read(credential.env.as_deref(), credential.file.as_deref())
    };
    let client_id = || {
        let id = tenant.client_id.clone();
        id.ok_or_else(|| at.without_client_id(&tenant.id))
    };
    Ok(match credential.kind {
        CredentialKind::AccessToken => SignInWith::AccessToken(secret("access token")?),
        CredentialKind::Certificate => SignInWith::Certificate {
            client_id: client_id()?,
            thumbprint: credential.thumbprint.clone().unwrap_or_default(),
        },
        CredentialKind::ClientSecret => SignInWith::ClientSecret {
            client_id: client_id()?,
            secret: secret("client secret")?,
        },
        CredentialKind::ManagedIdentity => SignInWith::ManagedIdentity {
            client_id: credential.client_id.clone(),
        },
        // the configuration was checked to have no other kind
        _ => SignInWith::Interactive,
    })
}

/// A mistake that the backend found, at the key that holds what it names.
fn refused(
    at: &At<'_>,
    key: &'static str,
    error: &backend_powershell_compat::ConfigError,
) -> ConfigError {
    let backend_powershell_compat::ConfigError::Field { field, .. } = error else {
        return at.error(&[], error.to_string());
    };
    let keys: &[&str] = match *field {
        "tenant" => &["id"],
        "client_id" => &["client_id"],
        "sign_in" | "thumbprint" => &["credential"],
        field => &[key, field],
    };
    at.error(keys, error.to_string())
}
