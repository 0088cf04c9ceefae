//! The same as a script for an administrator who lives in PowerShell.

use backend_graph::Permissions;
use backend_powershell_compat::Environment;
use backend_powershell_compat::script::{GrantScript, Module};
use rotation_core::TenantId;
use uuid::Uuid;

use crate::args::{self, Common};
use crate::config::{Cloud, Config, ConfigError, Step, Tenant};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::wiring;

/// Prints one script for all tenants that the command line asks for.
pub(super) fn print(config: &Config, common: &Common, args: &args::Setup) -> Result<Exit, Failure> {
    let mut tenants = wiring::configured(config, common)?;
    tenants.retain(|(_, tenant)| {
        let is_domain = tenant.is_domain();
        if is_domain {
            output::note(&format!(
                "{} is a domain, which has no app: left out",
                tenant.id
            ));
        }
        !is_domain
    });
    let module = args.module.unwrap_or(Module::Graph);
    let script = GrantScript::new(module, args.role);
    let script = script.permissions(Permissions::least(false));
    let script = tenants
        .into_iter()
        .try_fold(script, |script, (index, tenant)| {
            let (app, environment) = app(config, index, tenant)?;
            let (id, more) = (TenantId::new(&tenant.id), Permissions::least(tenant.pim));
            Ok(script.tenant_with(&id, app, environment, more))
        })
        .map_err(|error: ConfigError| Failure::usage(error))?;
    let script = script
        .render()
        .map_err(|error| Failure::usage(miette::miette!("{error}")))?;
    if module == Module::AzureAd {
        output::note(
            "the AzureAD module is retired, and what it talks to may answer no more: prefer --module Microsoft.Graph",
        );
    }
    output::write(|out| out.write_all(script.as_bytes()))?;
    Ok(Exit::Done)
}

fn app(config: &Config, index: usize, tenant: &Tenant) -> Result<(Uuid, Environment), ConfigError> {
    let wrong = |key: &str, message: String| {
        let steps = [Step::Key("tenant"), Step::Index(index), Step::Key(key)];
        config.document().error(&steps, message)
    };
    let id = tenant.client_id.as_deref();
    let app = id.and_then(|id| id.parse().ok()).ok_or_else(|| {
        let found = id.map_or_else(|| "none".to_owned(), |id| format!("`{id}`"));
        let message = format!(
            "tenant {} needs a `client_id` for its script: found {found}, expected a GUID",
            tenant.id
        );
        wrong("client_id", message)
    })?;
    let environment = match &tenant.cloud {
        Cloud::Named(name) => Environment::from_name(name),
        Cloud::Custom(_) => None,
    };
    let environment = environment.ok_or_else(|| {
        let message = "PowerShell's modules know the clouds by name: expected `global`, `usgov`, `usgov-dod` or `china`";
        wrong("cloud", message.to_owned())
    })?;
    Ok((app, environment))
}
