//! How many accounts are rotated per second over real HTTP? Beside it, in the same run and against the same simulator: a
//! bare loop that sends the same requests with passwords made before, keeps nothing and retries nothing.
//!
//! Run it: `cargo bench -p rotation-benches --bench rotate`
//! More accounts: `ROTATION_BENCH_ACCOUNTS=50000 cargo bench -p rotation-benches --bench rotate`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::sync::Arc;
use std::time::Instant;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use entra_sim::{Config, Server, Tenant};
use futures::{StreamExt, TryStreamExt, stream};
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountQuery, Age, Clock, Decision, Engine, EngineOptions, Generator, PasswordPolicy, Plan,
    PlanTenant, Planned, Policy, RotationBackend, SecretStore, SystemClock, forbidden_parts,
};
use secret_stores::{Recipients, SqliteStore, keygen};

type Failure = Box<dyn std::error::Error>;

const CONCURRENCY: usize = 64;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to know whether it runs
    let measured = std::env::args().any(|argument| argument == "--bench");
    let accounts = match std::env::var("ROTATION_BENCH_ACCOUNTS") {
        Ok(number) => number.parse()?,
        Err(_) if measured => 10_000,
        Err(_) => 100,
    };
    let bench = Bench::start(accounts).await?;
    let mut rows = [
        ("bare loop", vec![]),
        ("engine, memory store", vec![]),
        ("engine, sqlite store", vec![]),
    ];
    // in turns, so that a machine that slows down slows all of them
    for _ in 0..if measured { ROUNDS } else { 1 } {
        rows[0].1.push(bench.bare_loop().await?);
        rows[1]
            .1
            .push(bench.engine(Arc::new(MemoryStore::new())).await?);
        let folder = tempfile::tempdir()?;
        let recipients = Recipients::parse([keygen().public])?;
        let store = SqliteStore::open(folder.path().join("rotation.db"), &recipients).await?;
        rows[2].1.push(bench.engine(Arc::new(store)).await?);
    }
    println!(
        "{} accounts, {CONCURRENCY} at once, median of {} rounds",
        bench.plan.len(),
        rows[0].1.len()
    );
    println!("| | accounts/s | ratio to the bare loop |\n| --- | --- | --- |");
    for (name, rates) in &rows {
        let ratios = rates
            .iter()
            .zip(&rows[0].1)
            .map(|(rate, bare)| rate / bare)
            .collect();
        println!(
            "| {name} | {:.0} | {:.2} |",
            median(rates.clone()),
            median(ratios)
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Bench {
    server: Server,
    backend: GraphBackend,
    tenant: PlanTenant,
    plan: Vec<Planned>,
    policy: Policy,
}

impl Bench {
    async fn start(accounts: usize) -> Result<Self, Failure> {
        let server = Server::start(Config::default().tenant(Tenant::demo(accounts))).await?;
        let simulated = server.tenant();
        let secret = Credential::ClientSecret(simulated.client_secret().to_owned().into());
        let cloud = Cloud::custom(server.base_url(), server.base_url(), None)?;
        let config = GraphConfig::new(
            simulated.id().to_string(),
            simulated.client_id().to_string(),
            secret,
        );
        let backend = GraphBackend::new(config.with_cloud(cloud))?;
        let policy = Policy {
            max_age: Age::default(),
            ..Policy::default()
        };
        let engine = Engine::new(
            Arc::new(backend.clone()),
            Arc::new(MemoryStore::new()),
            policy.clone(),
        )?;
        let caller = backend.caller().await?;
        let tenant = PlanTenant {
            tenant: caller.tenant,
            caller: caller.id,
        };
        let rotate = |planned: &Planned| matches!(planned.decision, Decision::Rotate { .. });
        let all: Vec<Planned> = engine.plan(AccountQuery::All).await?.try_collect().await?;
        let plan = all.into_iter().filter(rotate).collect();
        Ok(Self {
            server,
            backend,
            tenant,
            plan,
            policy,
        })
    }

    /// The engine from the plan on: the same requests as the bare loop.
    async fn engine(&self, store: Arc<dyn SecretStore>) -> Result<f64, Failure> {
        let options = EngineOptions {
            concurrency: CONCURRENCY,
            ..EngineOptions::default()
        };
        let backend = Arc::new(self.backend.clone());
        let engine = Engine::new(backend, store, self.policy.clone())?.with_options(options);
        let decisions = stream::iter(self.plan.clone()).map(Ok);
        let plan = Plan::new(self.tenant.clone(), SystemClock.now(), decisions);
        let began = Instant::now();
        let report = engine.run(plan).finish().await;
        let seconds = began.elapsed().as_secs_f64();
        if report.rotated != self.plan.len() as u64 {
            return Err(format!("not all were rotated: {report:?}").into());
        }
        Ok(report.rotated as f64 / seconds)
    }

    async fn bare_loop(&self) -> Result<f64, Failure> {
        let generator = Generator::new(&PasswordPolicy::default())?;
        let mut requests = Vec::new();
        for planned in &self.plan {
            let (name, shown) = (&planned.account.user_name, &planned.account.display_name);
            let password = generator.generate(&mut rand::rng(), &forbidden_parts(name, shown))?;
            let profile = serde_json::json!({"password": password.expose(), "forceChangePasswordNextSignIn": false});
            let body = serde_json::to_vec(&serde_json::json!({"passwordProfile": profile}))?;
            requests.push((
                format!(
                    "{}/v1.0/users/{}",
                    self.server.base_url(),
                    planned.account.id
                ),
                body,
            ));
        }
        let client = reqwest::Client::new();
        let token = self.token(&client).await?;
        let began = Instant::now();
        let statuses = stream::iter(requests).map(|(url, body)| {
            let request = client
                .patch(url)
                .bearer_auth(&token)
                .header("content-type", "application/json");
            async move { request.body(body).send().await?.error_for_status() }
        });
        statuses
            .buffer_unordered(CONCURRENCY)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        Ok(self.plan.len() as f64 / began.elapsed().as_secs_f64())
    }

    async fn token(&self, client: &reqwest::Client) -> Result<String, Failure> {
        let simulated = self.server.tenant();
        let scope = format!("{}/.default", self.server.base_url());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &simulated.client_id().to_string()),
            ("client_secret", simulated.client_secret()),
            ("scope", &scope),
        ];
        let body = form
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .join("&");
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            self.server.base_url(),
            simulated.id()
        );
        let request = client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer: serde_json::Value = request
            .body(body)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(answer["access_token"]
            .as_str()
            .ok_or("no token")?
            .to_owned())
    }
}

fn encode(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
