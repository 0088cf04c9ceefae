//! The binary `entra-sim`: serves demo tenants until it is interrupted.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use entra_sim::{App, Config, Server, Tenant, Throttle};
use jiff::SignedDuration;
use serde_json::json;
use uuid::{Uuid, uuid};

/// The app of all tenants, with `--one-app`.
const ONE_APP: Uuid = uuid!("0a0b0c0d-0000-4000-8000-000000000001");
const ONE_SECRET: &str = "one-app-in-all-simulated-tenants";

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
    /// Lets one app serve all tenants, instead of one in each
    #[arg(long)]
    one_app: bool,
    /// Makes ids and passwords the same at every start
    #[arg(long)]
    seed: Option<u64>,
    /// Limits what tenants let through: `documented` (also without a value), `none`, or JSON such as
    /// {"appInTenant":{"count":3000,"seconds":150,"model":"slidingWindow"},"retryAfter":"absent"}
    #[arg(long, num_args = 0..=1, default_missing_value = "documented", default_value = "none")]
    throttle: Throttle,
    /// Limits one tenant in another way: its domain and the same as for --throttle. May be repeated
    #[arg(long, value_name = "DOMAIN=THROTTLE", value_parser = tenant_throttle)]
    tenant_throttle: Vec<(String, Throttle)>,
    /// Answers each request to Graph so much later, e.g. 5ms
    #[arg(long, default_value = "0ms", value_parser = latency)]
    latency: Duration,
    /// Threads that serve
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Records of requests that are kept for the control endpoint
    #[arg(long, default_value_t = 100_000)]
    records: usize,
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

fn tenant_throttle(text: &str) -> Result<(String, Throttle), String> {
    let (domain, throttle) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?}: expected DOMAIN=THROTTLE"))?;
    Ok((domain.to_owned(), throttle.parse()?))
}

fn latency(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok())
        .ok_or_else(|| format!("{text:?}: expected a time such as 5ms or 1s"))
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
    let server = Server::start(config(&args)?).await?;
    write_authority(&args, &server)?;
    writeln!(io::stdout(), "{}", description(&server))?;
    io::stdout().flush()?;
    tokio::signal::ctrl_c().await
}

fn config(args: &Args) -> io::Result<Config> {
    let domains: Vec<String> = (0..args.tenants.max(1)).map(domain).collect();
    if let Some((unknown, _)) = args
        .tenant_throttle
        .iter()
        .find(|(name, _)| !domains.contains(name))
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "--tenant-throttle: no tenant is named {unknown:?}; the first is {}, the next tenant1.onmicrosoft.com",
                domain(0)
            ),
        ));
    }
    let mut config = Config::default()
        .port(args.port)
        .token_lifetime(Duration::from_secs(args.token_lifetime))
        .throttle(args.throttle.clone())
        .latency(args.latency)
        .worker_threads(args.threads)
        .kept_records(args.records)
        .tenants(domains.iter().map(|domain| tenant(args, domain)));
    if let Some(seed) = args.seed {
        config = config.seed(seed);
    }
    #[cfg(feature = "tls")]
    if args.tls {
        config = config.tls();
    }
    Ok(config)
}

fn domain(index: usize) -> String {
    match index {
        0 => "contoso.onmicrosoft.com".to_owned(),
        _ => format!("tenant{index}.onmicrosoft.com"),
    }
}

fn tenant(args: &Args, domain: &str) -> Tenant {
    let mut tenant = Tenant::demo_at(domain, args.accounts)
        .replication_lag(Duration::from_secs(args.replication_lag));
    if args.one_app {
        tenant = tenant.first_app(App::rotation().client_id(ONE_APP).secret(ONE_SECRET));
    }
    let own = args.tenant_throttle.iter().find(|(name, _)| name == domain);
    match own {
        Some((_, throttle)) => tenant.throttle(throttle.clone()),
        None => tenant,
    }
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
