//! The contestants that are this program itself, started anew with [`AS_CONTESTANT`].

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    Account, AccountId, AccountQuery, Age, AuditFile, Batching, Clock as _, Decision, Due, Engine,
    EngineOptions, Plan, PlanTenant, Planned, Policy, Report, RoleId, RotationBackend as _,
    SecretStore, SystemClock,
};
use secret_stores::{
    OpenBaoAuth, OpenBaoConfig, OpenBaoStore, PostgresConfig, PostgresStore, PostgresTls,
    Recipients, SqliteStore, keygen,
};
use serde_json::json;
use tokio::net::TcpListener;

use super::setup::{Directory, Done, Setup, Store, Target, Task};
use super::{Failure, least_server};

/// The argument that tells this program to be a contestant.
pub(crate) const AS_CONTESTANT: &str = "--contestant";

pub(crate) fn is_contestant() -> bool {
    std::env::args().any(|argument| argument == AS_CONTESTANT)
}

/// Does what standard input says.
pub(crate) async fn be() -> Result<(), Failure> {
    let (setup, targets) = Setup::read(&mut std::io::stdin().lock())?;
    match &setup.task {
        Task::BareLoop => bare_loop(&setup, targets).await,
        Task::Engine(store) => engine(&setup, store, Some(targets)).await,
        Task::PlanAndRun(store) => engine(&setup, store, None).await,
        Task::LeastServer => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            say(&format!("http://{}", listener.local_addr()?))?;
            tokio::select! {
                served = least_server::serve(listener) => served,
                ended = tokio::task::spawn_blocking(until_input_ends) => Ok(ended??),
            }
        }
        Task::Peer => Err("a peer is another program".into()),
    }
}

fn say(line: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// Returns at the word "go".
fn ready() -> Result<(), Failure> {
    say("ready")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "go" => Ok(()),
        _ => Err("nobody said go".into()),
    }
}

/// Stays until whoever started us has seen what we used.
fn done(rotated: usize) -> Result<(), Failure> {
    say(&serde_json::to_string(&Done { rotated })?)?;
    Ok(until_input_ends()?)
}

fn until_input_ends() -> std::io::Result<()> {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).map(|_| ())
}

/// The ceiling: the same requests, made before.
async fn bare_loop(setup: &Setup, targets: Vec<Target>) -> Result<(), Failure> {
    let accounts = targets.len();
    let root = format!("{}/v1.0", setup.directory.base_url);
    let mut requests = Vec::new();
    if setup.batch == 1 {
        for target in &targets {
            let url = format!("{root}/users/{}", target.id);
            requests.push((reqwest::Method::PATCH, url, body(target).to_string()));
        }
    } else {
        for batch in targets.chunks(setup.batch) {
            let item = |(index, target): (usize, &Target)| {
                json!({
                    "id": (index + 1).to_string(),
                    "method": "PATCH",
                    "url": format!("/users/{}", target.id),
                    "headers": {"Content-Type": "application/json"},
                    "body": body(target),
                })
            };
            let items: Vec<_> = batch.iter().enumerate().map(item).collect();
            let url = format!("{root}/$batch");
            let envelope = json!({"requests": items}).to_string();
            requests.push((reqwest::Method::POST, url, envelope));
        }
    }
    drop(targets);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let token = &setup.directory.token;
    ready()?;
    stream::iter(requests)
        .map(|(method, url, body)| {
            let request = client
                .request(method, url)
                .bearer_auth(token)
                .header("content-type", "application/json")
                .body(body);
            async move { request.send().await?.error_for_status()?.bytes().await }
        })
        .buffer_unordered(setup.concurrency)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    done(accounts)
}

fn body(target: &Target) -> serde_json::Value {
    json!({"passwordProfile": {
        "password": target.password,
        "forceChangePasswordNextSignIn": false,
    }})
}

/// Rotates `targets`, or whatever is due.
async fn engine(setup: &Setup, store: &Store, targets: Option<Vec<Target>>) -> Result<(), Failure> {
    let backend = Arc::new(backend(&setup.directory, setup.batch)?);
    let policy = Policy {
        max_age: Age::default(),
        ..Policy::default()
    };
    let options = EngineOptions {
        concurrency: setup.concurrency,
        batching: if setup.batch == 1 {
            Batching::Never
        } else {
            Batching::Always
        },
        ..EngineOptions::default()
    };
    let engine = Engine::new(Arc::clone(&backend) as _, open(store).await?, policy)?;
    let mut engine = engine.with_options(options);
    if let Store::Sqlite {
        folder,
        audited: true,
    } = store
    {
        let audit = AuditFile::open(folder.join("audit.jsonl"))?;
        engine = engine.with_audit(Arc::new(audit));
    }
    // signs in, too
    let caller = backend.caller().await?;
    let report = match targets {
        Some(targets) => {
            let tenant = PlanTenant {
                tenant: caller.tenant,
                caller: caller.id,
            };
            let decisions = stream::iter(targets).map(|target| Ok(planned(target)));
            ready()?;
            let plan = Plan::new(tenant, SystemClock.now(), decisions);
            engine.run(plan).finish().await
        }
        None => {
            ready()?;
            let plan = engine.plan(AccountQuery::All).await?;
            engine.run(plan).finish().await
        }
    };
    let Report {
        failed: 0,
        unsettled: 0,
        stopped: None,
        ..
    } = &report
    else {
        return Err(format!("not all were rotated: {report:?}").into());
    };
    done(usize::try_from(report.rotated)?)
}

fn backend(directory: &Directory, batch: usize) -> Result<GraphBackend, Failure> {
    let cloud = Cloud::custom(&directory.base_url, &directory.base_url, None)?;
    let secret = Credential::ClientSecret(directory.client_secret.as_str().into());
    let config = GraphConfig::new(&directory.tenant, &directory.client_id, secret);
    Ok(GraphBackend::new(
        config.with_cloud(cloud).with_max_batch(batch),
    )?)
}

async fn open(store: &Store) -> Result<Arc<dyn SecretStore>, Failure> {
    let recipients = Recipients::parse([keygen().public])?;
    Ok(match store {
        Store::Memory => Arc::new(MemoryStore::new()),
        Store::Sqlite { folder, .. } => {
            Arc::new(SqliteStore::open(folder.join("rotation.db"), &recipients).await?)
        }
        Store::Postgres { url, password } => {
            let config = PostgresConfig::new(url)
                .with_password(password.as_str().into())
                .with_tls(PostgresTls::Disabled);
            Arc::new(PostgresStore::open(config, &recipients).await?)
        }
        Store::OpenBao {
            address,
            mount,
            token,
        } => {
            let auth = OpenBaoAuth::Token(token.as_str().into());
            let mut config = OpenBaoConfig::new(address, auth);
            config.mount.clone_from(mount);
            Arc::new(OpenBaoStore::open(config).await?)
        }
    })
}

fn planned(target: Target) -> Planned {
    let mut account = Account::new(AccountId::new(&target.id), target.user_name);
    account.display_name = target.display_name;
    let (due, by) = (Due::NeverChanged, RoleId::USER_ADMINISTRATOR);
    Planned::new(account, Decision::Rotate { due, by })
}
