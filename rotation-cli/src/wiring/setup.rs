//! From the configuration to an administrator's hand in each tenant. Nothing is sent yet.

use backend_graph::{ByHand, GraphConfig, Setup, Wanted};
use rotation_core::RateControl;
use uuid::Uuid;

use super::at::At;
use super::configured;
use super::credential::Credentials;
use super::workshop::cloud;
use crate::args::Common;
use crate::clock;
use crate::config::{self, Config, ConfigError};
use crate::exit::Failure;
use crate::output;

/// A tenant, and the hand in it.
#[derive(Debug)]
pub(crate) struct SetupIn {
    /// As in the configuration.
    pub(crate) name: String,
    pub(crate) setup: Setup,
}

/// The hands in the tenants that the command line asks for, each to bring in what `wanted` makes of the app that is configured
/// there. They are those of `acting`, else of whoever `[setup]` names.
///
/// # Errors
/// If nobody is named, or a tenant or `[setup]` cannot work as configured.
pub(crate) fn setups(
    config: &Config,
    common: &Common,
    acting: Option<&config::Credential>,
    wanted: impl Fn(Wanted) -> Wanted,
) -> Result<Vec<SetupIn>, Failure> {
    let rate = RateControl::with_requests_at_once(config.engine.requests_at_once);
    let (client_id, credential) = who(config, acting).map_err(Failure::usage)?;
    let tenants = through_graph(config, common)?;
    let setups = tenants.into_iter().map(|(index, tenant)| {
        let at = At::tenant(config, index);
        let graph = GraphConfig::new(&tenant.id, client_id.clone(), credential.clone())
            .with_cloud(cloud(&at, &tenant.cloud)?)
            .with_rate_control(rate.clone());
        let wanted = wanted(app(&at, tenant)?);
        let setup = Setup::new(&graph, wanted);
        Ok(SetupIn {
            name: tenant.id.clone(),
            setup: setup.map_err(|error| refused(&at, &error))?,
        })
    });
    setups
        .collect::<Result<_, ConfigError>>()
        .map_err(Failure::usage)
}

/// The same to be done by hand, by the names of the tenants.
///
/// # Errors
/// If a tenant cannot work as configured.
pub(crate) fn by_hand(
    config: &Config,
    common: &Common,
    wanted: impl Fn(Wanted) -> Wanted,
) -> Result<Vec<(String, ByHand)>, Failure> {
    let tenants = through_graph(config, common)?;
    let by_hand = tenants.into_iter().map(|(index, tenant)| {
        let at = At::tenant(config, index);
        let (cloud, wanted) = (cloud(&at, &tenant.cloud)?, wanted(app(&at, tenant)?));
        let by_hand = ByHand::new(&cloud, &tenant.id, &wanted, clock::now());
        let by_hand = by_hand.map_err(|error| at.refused(&error))?;
        Ok((tenant.id.clone(), by_hand))
    });
    by_hand
        .collect::<Result<_, ConfigError>>()
        .map_err(Failure::usage)
}

/// The tenants that the command line asks for, but for those that PowerShell reaches in its own way.
fn through_graph<'a>(
    config: &'a Config,
    common: &Common,
) -> Result<Vec<(usize, &'a config::Tenant)>, Failure> {
    let mut tenants = configured(config, common)?;
    tenants.retain(|(_, tenant)| {
        let is_graph = tenant.backend == config::Backend::Graph;
        if !is_graph {
            let name = &tenant.id;
            output::note(&if tenant.is_domain() {
                format!("{name} is a domain, which has no app: nothing is set up there")
            } else {
                format!(
                    "{name} is reached through PowerShell, and not set up over Graph: `rotation setup --via powershell` \
                     prints a script"
                )
            });
        }
        is_graph
    });
    Ok(tenants)
}

/// Who acts, and through which app.
fn who(
    config: &Config,
    acting: Option<&config::Credential>,
) -> Result<(String, backend_graph::Credential), ConfigError> {
    let (at, setup) = (At::setup(config), &config.setup);
    let Some(credential) = acting.or(setup.credential.as_ref()) else {
        let message =
            "nobody is named who sets tenants up: expected `credential` in `[setup]`, or --as";
        return Err(at.error(&[], message).with_help(
            "an administrator does it, not the app that rotates: `rotation setup --as device-code` signs one in; without any \
             sign-in, `rotation setup --print` says what to do by hand",
        ));
    };
    let owner = "`[setup]`".to_owned();
    let credential =
        Credentials::default().configured(&at, owner, setup.client_id.as_ref(), credential)?;
    let client_id = setup.client_id.as_deref();
    let Some(client_id) = client_id.or_else(|| credential.default_client_id()) else {
        return Err(at
            .error(&[], "`[setup]` has no `client_id`")
            .with_help("add the GUID of the app by which whoever acts signs in"));
    };
    Ok((client_id.to_owned(), credential))
}

/// The app that is to rotate in `tenant`.
fn app(at: &At<'_>, tenant: &config::Tenant) -> Result<Wanted, ConfigError> {
    let Some(client_id) = &tenant.client_id else {
        let message = format!(
            "tenant {} has no `client_id`, so there is no app to set up",
            tenant.id
        );
        return Err(at
            .error(&[], message)
            .with_help("add the GUID that the portal calls Application (client) ID"));
    };
    let client_id: Uuid = client_id.parse().map_err(|_| {
        let message = format!(
            "tenant {}: `client_id` is `{client_id}`, expected a GUID",
            tenant.id
        );
        at.error(&["client_id"], message)
            .with_help("the portal calls it Application (client) ID")
    })?;
    Ok(Wanted::new(client_id.to_string()).with_pim(tenant.pim))
}

/// A mistake in what a tenant and `[setup]` come to.
fn refused(at: &At<'_>, error: &backend_graph::ConfigError) -> ConfigError {
    match error {
        backend_graph::ConfigError::Field {
            field: "client_id" | "credential",
            ..
        } => At::setup(at.config).refused(error),
        _ => at.refused(error),
    }
}
