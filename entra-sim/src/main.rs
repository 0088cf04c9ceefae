//! The binary `entra-sim`: serves demo tenants until it is interrupted.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use entra_sim::{Config, Server, Tenant, Throttle};
use serde_json::json;

/// Simulates Entra ID sign-in and Microsoft Graph on 127.0.0.1.
///
/// Prints one line of JSON (addresses, ids, secrets of the simulated tenants) and serves until
/// it is interrupted.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Accounts of each tenant
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// Tenants, all with the same kinds of accounts
    #[arg(long, default_value_t = 1)]
    tenants: usize,
    /// Makes ids and passwords the same at every start
    #[arg(long)]
    seed: Option<u64>,
    /// Limits writes as Microsoft documents it
    #[arg(long)]
    throttle: bool,
    /// Seconds before a changed lastPasswordChangeDateTime shows
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    replication_lag: u64,
    /// Seconds for which access tokens are good
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    token_lifetime: u64,
    /// Serves HTTPS with a certificate of a throw-away authority
    #[cfg(feature = "tls")]
    #[arg(long, requires = "ca_file")]
    tls: bool,
    /// Where to write the certificate of that authority, as PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            writeln!(io::stderr(), "entra-sim: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> io::Result<()> {
    let server = Server::start(config(&args)).await?;
    write_authority(&args, &server)?;
    writeln!(io::stdout(), "{}", description(&server))?;
    io::stdout().flush()?;
    tokio::signal::ctrl_c().await
}

fn config(args: &Args) -> Config {
    let lag = Duration::from_secs(args.replication_lag);
    let tenants = (0..args.tenants.max(1)).map(|index| {
        let tenant = match index {
            0 => Tenant::demo(args.accounts),
            _ => Tenant::demo_at(&format!("tenant{index}.onmicrosoft.com"), args.accounts),
        };
        tenant.replication_lag(lag)
    });
    let mut config = Config::default()
        .port(args.port)
        .token_lifetime(Duration::from_secs(args.token_lifetime))
        .tenants(tenants);
    if let Some(seed) = args.seed {
        config = config.seed(seed);
    }
    if args.throttle {
        config = config.throttle(Throttle::documented());
    }
    #[cfg(feature = "tls")]
    if args.tls {
        config = config.tls();
    }
    config
}

#[cfg(feature = "tls")]
fn write_authority(args: &Args, server: &Server) -> io::Result<()> {
    match (&args.ca_file, server.ca_pem()) {
        (Some(path), Some(pem)) => std::fs::write(path, pem),
        _ => Ok(()),
    }
}

#[cfg(not(feature = "tls"))]
fn write_authority(_: &Args, _: &Server) -> io::Result<()> {
    Ok(())
}

/// The first tenant is described at the top level too, for scripts that need just one.
fn description(server: &Server) -> serde_json::Value {
    let describe = |tenant: entra_sim::TenantHandle| {
        json!({
            "tenant": tenant.id(),
            "domain": tenant.domain(),
            "clientId": tenant.client_id(),
            "clientSecret": tenant.client_secret(),
        })
    };
    let mut description = describe(server.tenant());
    if let Some(members) = description.as_object_mut() {
        members.insert("baseUrl".to_owned(), json!(server.base_url()));
        members.insert("controlToken".to_owned(), json!(server.control_token()));
        let tenants = server.tenants().into_iter().map(describe);
        members.insert("tenants".to_owned(), tenants.collect());
    }
    description
}
