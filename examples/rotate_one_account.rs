//! One account of an Entra tenant, through Microsoft Graph, into a sealed SQLite file.
//!
//! Run it: `cargo run -p rotation-examples --example rotate_one_account`
//! You will see: what happened to the account, step by step, and that the new password is in the store.
//!
//! Without further words it rotates an account of a simulated tenant. For one of yours, set ENTRA_TENANT,
//! ENTRA_CLIENT_ID, ENTRA_CLIENT_SECRET and ENTRA_ACCOUNT (a user name or object id).

use std::sync::Arc;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use entra_sim::{Config, Server, Tenant};
use futures::{StreamExt, TryStreamExt};
use rotation_core::{AccountQuery, AccountResult, Age, Engine, EventKind, Policy, Select};
use secrecy::ExposeSecret;
use secret_stores::{Identities, Recipients, SqliteReader, SqliteStore, keygen};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let simulator = Server::start(Config::default().tenant(Tenant::demo(100))).await?;
    let (config, account) = match std::env::var("ENTRA_TENANT") {
        Ok(tenant) => yours(tenant)?,
        Err(_) => simulated(&simulator)?,
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rotation.db");
    let keys = keygen();
    let store = SqliteStore::open(&path, &Recipients::parse([&keys.public])?).await?;

    // everything of known age is due
    let policy = Policy {
        max_age: Age::default(),
        ..Policy::default()
    };
    let engine = Engine::new(
        Arc::new(GraphBackend::new(config)?),
        Arc::new(store),
        policy,
    )?;
    let plan = engine.plan(AccountQuery::Named(vec![account])).await?;
    let mut run = engine.run(plan);
    while let Some(event) = run.next().await {
        match event.kind {
            EventKind::Decided { upn, reason, .. } => println!("{upn}: {reason}"),
            EventKind::Staged { version, .. } => {
                println!("version {version} is durable as pending")
            }
            EventKind::Attempted { outcome, .. } => {
                println!("the directory says: {}", outcome.outcome)
            }
            EventKind::Finished { upn, result, .. } => match result {
                AccountResult::Rotated { version } => println!("{upn} has version {version}"),
                other => println!("{upn} was not rotated: {other:?}"),
            },
            _ => {}
        }
    }

    // on another machine, with the private key
    let reader =
        SqliteReader::open(&path, Identities::parse(keys.private.expose_secret())?).await?;
    let versions: Vec<_> = reader.versions(Select::All).try_collect().await?;
    for version in versions {
        println!(
            "the store has version {} of {} as {:?}",
            version.key.version, version.user_name, version.state
        );
    }
    Ok(())
}

fn yours(tenant: String) -> Result<(GraphConfig, String), Failure> {
    let secret = Credential::ClientSecret(std::env::var("ENTRA_CLIENT_SECRET")?.into());
    let config = GraphConfig::new(tenant, std::env::var("ENTRA_CLIENT_ID")?, secret);
    Ok((config, std::env::var("ENTRA_ACCOUNT")?))
}

fn simulated(simulator: &Server) -> Result<(GraphConfig, String), Failure> {
    let tenant = simulator.tenant();
    let secret = Credential::ClientSecret(tenant.client_secret().to_owned().into());
    let cloud = Cloud::custom(simulator.base_url(), simulator.base_url(), None)?;
    let config = GraphConfig::new(tenant.domain(), tenant.client_id().to_string(), secret);
    let ada = tenant
        .user("user000000@contoso.onmicrosoft.com")
        .ok_or("a tenant with accounts")?;
    Ok((config.with_cloud(cloud), ada.user_principal_name))
}
