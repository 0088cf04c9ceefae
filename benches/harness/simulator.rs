//! The simulator, in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use rotation_core::{Generator, PasswordPolicy, forbidden_parts};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Failure;
use super::setup::{Directory, Target};
use super::usage::Usage;

/// How many users the control endpoint is asked for at once.
const PAGE: usize = 1_000;

/// Ends with this value.
pub(crate) struct Simulator {
    process: Child,
    http: reqwest::Client,
    control_token: String,
    pub(crate) directory: Directory,
}

/// The simulator's own counts, since they were cleared.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Totals {
    requests: u64,
    items: u64,
    pub(crate) throttled: u64,
    pub(crate) writes: u64,
}

impl Totals {
    /// HTTP requests: a batch is one.
    pub(crate) fn http_requests(&self) -> u64 {
        self.requests - self.items
    }
}

/// What it prints at its start.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    base_url: String,
    control_token: String,
    tenant: String,
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    user_principal_name: String,
    #[serde(default)]
    display_name: Option<String>,
    ordinary: bool,
}

impl Simulator {
    /// Builds and starts it, with one tenant of so many accounts, the fifty of awkward kinds included.
    pub(crate) async fn start(accounts: usize) -> Result<Self, Failure> {
        let mut process = Command::new(build().await?)
            .args(["--accounts", &accounts.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the simulator has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let description: Description = serde_json::from_str(&line)
            .map_err(|error| format!("the simulator did not start: {error}"))?;
        let directory = Directory {
            base_url: description.base_url,
            tenant: description.tenant,
            client_id: description.client_id,
            client_secret: description.client_secret,
            token: String::new(),
        };
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut simulator = Self {
            process,
            http,
            control_token: description.control_token,
            directory,
        };
        simulator.directory.token = simulator.token().await?;
        Ok(simulator)
    }

    /// The first so many accounts that the application may rotate, each with a password for those who make none.
    pub(crate) async fn targets(&self, count: usize) -> Result<Vec<Target>, Failure> {
        let generator = Generator::new(&PasswordPolicy::default())?;
        let mut targets = Vec::with_capacity(count);
        for skip in (0..).step_by(PAGE) {
            let path = format!(
                "tenants/{}/users?skip={skip}&top={PAGE}",
                self.directory.tenant
            );
            let page: Vec<User> =
                serde_json::from_value(self.control(Method::GET, &path, None).await?)?;
            if page.is_empty() || targets.len() == count {
                break;
            }
            for user in page.into_iter().filter(|user| user.ordinary) {
                let display_name = user.display_name.unwrap_or_default();
                let names = forbidden_parts(&user.user_principal_name, &display_name);
                let password = generator.generate(&mut rand::rng(), &names)?;
                targets.push(Target {
                    id: user.id,
                    user_name: user.user_principal_name,
                    display_name,
                    password: password.expose().to_owned(),
                });
            }
            targets.truncate(count);
        }
        Ok(targets)
    }

    /// Every password takes this long to set from now on, in batches too.
    pub(crate) async fn delay(&self, time: Duration) -> Result<(), Failure> {
        self.control(Method::DELETE, "faults", None).await?;
        if !time.is_zero() {
            let fault = entra_sim::Fault::on_patch(entra_sim::Effect::delay(time));
            let fault = serde_json::to_value(fault)?;
            self.control(Method::POST, "faults", Some(fault)).await?;
        }
        Ok(())
    }

    /// So that the change times of accounts move, which have no fractions of a second: nobody else rotates the same account twice
    /// within one.
    pub(crate) async fn let_time_pass(&self) -> Result<(), Failure> {
        let time = json!({"seconds": 2});
        self.control(Method::POST, "advance", Some(time)).await?;
        Ok(())
    }

    pub(crate) async fn clear_totals(&self) -> Result<(), Failure> {
        self.control(Method::DELETE, "requests", None).await?;
        Ok(())
    }

    pub(crate) async fn totals(&self) -> Result<Totals, Failure> {
        let totals = self.control(Method::GET, "totals", None).await?;
        Ok(serde_json::from_value(totals)?)
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.process.id().ok_or("the simulator has ended")?)
    }

    async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let url = format!("{}/__control/{path}", self.directory.base_url);
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.bearer_auth(&self.control_token).send().await?;
        let answer = answer.error_for_status()?.bytes().await?;
        Ok(match answer.is_empty() {
            true => json!(null),
            false => serde_json::from_slice(&answer)?,
        })
    }

    async fn token(&self) -> Result<String, Failure> {
        let Directory {
            base_url, tenant, ..
        } = &self.directory;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.directory.client_id),
            ("client_secret", &self.directory.client_secret),
            ("scope", &format!("{base_url}/.default")),
        ];
        let body = form.map(|(key, value)| format!("{key}={}", encode(value)));
        let request = self
            .http
            .post(format!("{base_url}/{tenant}/oauth2/v2.0/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or("no token")?.to_owned())
    }
}

fn encode(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The binary `entra-sim` as the sources have it now: beside this benchmark, which does not depend on it.
async fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "entra-sim"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    if !build.status().await?.success() {
        return Err("the simulator does not build: cargo build -p entra-sim".into());
    }
    // …/target/release/deps/bulk-0123456789abcdef
    let this = std::env::current_exe()?;
    let profile = this.parent().and_then(|deps| deps.parent());
    Ok(profile.ok_or("no target directory")?.join("entra-sim"))
}
