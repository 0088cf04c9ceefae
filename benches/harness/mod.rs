//! A simulated tenant over real HTTP, and the runs against it that a benchmark compares.

use std::sync::Arc;
use std::time::Instant;

use backend_graph::{Cloud, Credential, GraphBackend, GraphConfig};
use entra_sim::{Config, Server, Tenant};
use futures::{StreamExt, TryStreamExt, stream};
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountQuery, Age, AuditLog, Clock, Decision, Engine, EngineOptions, Generator, PasswordPolicy,
    Plan, PlanTenant, Planned, Policy, RotationBackend, SecretStore, SystemClock, forbidden_parts,
};

pub(crate) type Failure = Box<dyn std::error::Error>;

pub(crate) const CONCURRENCY: usize = 64;

/// Whether this is a measurement: `cargo test --benches` only wants to know whether it runs.
pub(crate) fn is_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// How many accounts to rotate: as many as asked for, `measured`, or a few.
pub(crate) fn accounts(measured: usize) -> Result<usize, Failure> {
    Ok(match std::env::var("ROTATION_BENCH_ACCOUNTS") {
        Ok(number) => number.parse()?,
        Err(_) if is_measured() => measured,
        Err(_) => 100,
    })
}

/// What each contestant reached in each round, in accounts per second.
pub(crate) struct Table(Vec<(&'static str, Vec<f64>)>);

impl Table {
    /// Nothing yet; the first contestant to be added is the baseline of all.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, name: &'static str, rate: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rates)) => rates.push(rate),
            None => self.0.push((name, vec![rate])),
        }
    }

    /// Prints medians, and the median of each round's ratio to the baseline.
    pub(crate) fn print(&self, accounts: usize) {
        let Some((baseline, base)) = self.0.first() else {
            return;
        };
        println!(
            "{accounts} accounts, {CONCURRENCY} at once, median of {} rounds",
            base.len()
        );
        println!("| | accounts/s | ratio to the {baseline} |\n| --- | --- | --- |");
        for (name, rates) in &self.0 {
            let ratios = rates.iter().zip(base).map(|(rate, base)| rate / base);
            let (rate, ratio) = (median(rates.clone()), median(ratios.collect()));
            println!("| {name} | {rate:.0} | {ratio:.2} |");
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) struct Bench {
    pub(crate) server: Server,
    backend: GraphBackend,
    tenant: PlanTenant,
    pub(crate) plan: Vec<Planned>,
    policy: Policy,
}

impl Bench {
    pub(crate) async fn start(accounts: usize) -> Result<Self, Failure> {
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
    pub(crate) async fn engine(&self, store: Arc<dyn SecretStore>) -> Result<f64, Failure> {
        self.audited(store, None).await
    }

    /// The same, with every step on record before the next.
    pub(crate) async fn audited(
        &self,
        store: Arc<dyn SecretStore>,
        audit: Option<Arc<dyn AuditLog>>,
    ) -> Result<f64, Failure> {
        let options = EngineOptions {
            concurrency: CONCURRENCY,
            ..EngineOptions::default()
        };
        let backend = Arc::new(self.backend.clone());
        let mut engine = Engine::new(backend, store, self.policy.clone())?.with_options(options);
        if let Some(audit) = audit {
            engine = engine.with_audit(audit);
        }
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

    pub(crate) async fn bare_loop(&self) -> Result<f64, Failure> {
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
