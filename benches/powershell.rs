//! How many accounts a second does the PowerShell backend rotate through its workers, beside a loop that starts one process for
//! each account, as scripts in a job do? A fake `pwsh` takes as long as a real one does; behind it is the simulator.
//!
//! Run it: `cargo bench -p rotation-benches --bench powershell`
//! More or fewer, and another machine: `ROTATION_BENCH_ACCOUNTS=400`, `ROTATION_BENCH_START_MS=3000` (PowerShell, the import of
//! the module and the sign-in), `ROTATION_BENCH_CALL_MS=250` (one cmdlet and its request)

#![cfg_attr(
    unix,
    allow(clippy::print_stdout, reason = "the table is what this program is for")
)]

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the fake that the tests of the backend use"
)]
#[path = "../backend-powershell-compat/fake-pwsh/fake.rs"]
mod fake;
#[allow(dead_code, clippy::unwrap_used, reason = "as above")]
#[path = "../backend-powershell-compat/fake-pwsh/graph.rs"]
mod graph;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What the backend starts is this program under another name.
    if std::env::args().any(|argument| argument == "-NonInteractive") {
        fake::main();
        return Ok(());
    }
    contest::run()
}

mod contest {
    use std::error::Error;
    use std::fs;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use backend_powershell_compat::{
        Dialect, Directory, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
    };
    use entra_sim::{App, Config, Server};
    use futures::StreamExt;
    use rotation_core::testkit::MemoryStore;
    use rotation_core::{
        AccountId, AccountQuery, Engine, EngineOptions, Outcome, Password, Policy, RotationBackend,
        SetPassword, Treatment,
    };
    use serde_json::json;
    use tempfile::TempDir;

    type Failure = Box<dyn Error>;

    /// A simulated tenant and a machine with PowerShell.
    struct Machine {
        server: Server,
        folder: TempDir,
        accounts: Vec<AccountId>,
        start: Duration,
        call: Duration,
    }

    pub(super) fn run() -> Result<(), Failure> {
        let is_trial = !std::env::args().any(|argument| argument == "--bench");
        let number = |name: &str, full: u64, trial: u64| -> Result<u64, Failure> {
            match std::env::var(name) {
                Ok(number) => Ok(number.parse()?),
                Err(_) => Ok(if is_trial { trial } else { full }),
            }
        };
        let accounts = usize::try_from(number("ROTATION_BENCH_ACCOUNTS", 200, 8)?)?;
        let start = number("ROTATION_BENCH_START_MS", 3_000, 50)?;
        let call = number("ROTATION_BENCH_CALL_MS", 250, 5)?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(compare(
            accounts,
            Duration::from_millis(start),
            Duration::from_millis(call),
        ))
    }

    async fn compare(accounts: usize, start: Duration, call: Duration) -> Result<(), Failure> {
        let machine = Machine::new(accounts, start, call).await?;
        println!(
            "PowerShell takes {start:?} until it is signed in and {call:?} for each password\n"
        );
        println!("| | at once | accounts | processes | accounts/s |");
        println!("| --- | --- | --- | --- | --- |");
        let alone = (accounts / 20).max(2);
        for at_once in [1, 4] {
            let took = machine.one_process_each(alone, at_once).await?;
            row("one process for each account", at_once, alone, alone, took);
        }
        for workers in [1, 2, 4, 8, 16] {
            let took = machine.pool(accounts, workers).await?;
            row("workers, bare", workers, accounts, workers, took);
        }
        for workers in [4, 16] {
            let took = machine.engine(accounts, workers).await?;
            row("workers, engine", workers, accounts, workers, took);
        }
        Ok(())
    }

    fn row(name: &str, at_once: usize, accounts: usize, processes: usize, took: Duration) {
        let rate = f64::from(u32::try_from(accounts).unwrap_or(u32::MAX)) / took.as_secs_f64();
        println!("| {name} | {at_once} | {accounts} | {processes} | {rate:.2} |");
    }

    impl Machine {
        async fn new(accounts: usize, start: Duration, call: Duration) -> Result<Self, Failure> {
            let tenant = entra_sim::Tenant::demo(accounts + 100);
            let tenant = tenant.first_app(App::rotation().secret("a client secret"));
            let server = Server::start(Config::default().tenant(tenant)).await?;
            let folder = tempfile::tempdir()?;
            let tenant = server.tenant();
            let ordinary = tenant
                .iter_users()
                .filter(|user| user.is_ordinary() && user.enabled);
            let accounts = ordinary
                .map(|user| AccountId::new(&user.id.to_string()))
                .take(accounts);
            let machine = Self {
                accounts: accounts.collect(),
                server,
                folder,
                start,
                call,
            };
            machine.install()?;
            Ok(machine)
        }

        /// Puts the fake there.
        fn install(&self) -> Result<(), Failure> {
            let tenant = self.server.tenant();
            let settings = json!({
                "graph": self.server.base_url(), "tenant": tenant.id(),
                "powershell": "7.4.6", "edition": "Core", "logging": [],
                "modules": {"Microsoft.Graph.Users": ["2.25.0"]},
                "start_ms": u64::try_from(self.start.as_millis())?,
                "delay_ms": u64::try_from(self.call.as_millis())?,
            });
            fs::write(self.folder.path().join("pwsh.json"), settings.to_string())?;
            let pwsh = self.folder.path().join("pwsh");
            std::os::unix::fs::symlink(std::env::current_exe()?, pwsh)?;
            Ok(())
        }

        fn backend(&self, workers: usize) -> Result<PowerShellBackend, Failure> {
            let sign_in = SignInWith::ClientSecret {
                client_id: self.server.tenant().client_id().to_string(),
                secret: "a client secret".into(),
            };
            let tenant = Tenant::new("contoso.onmicrosoft.com", sign_in);
            let config = PowerShellConfig::new(Directory::Tenant(tenant))
                .with_dialect(Dialect::MicrosoftGraph)
                .with_program(self.folder.path().join("pwsh"))
                .with_workers(workers);
            Ok(PowerShellBackend::new(config)?)
        }

        async fn one_process_each(
            &self,
            accounts: usize,
            at_once: usize,
        ) -> Result<Duration, Failure> {
            let began = Instant::now();
            let mut done = futures::stream::iter(self.accounts.iter().take(accounts))
                .map(async |account| set(&self.backend(1)?, account).await)
                .buffer_unordered(at_once);
            while let Some(done) = done.next().await {
                done?;
            }
            Ok(began.elapsed())
        }

        async fn pool(&self, accounts: usize, workers: usize) -> Result<Duration, Failure> {
            let backend = self.backend(workers)?;
            let began = Instant::now();
            let mut done = futures::stream::iter(self.accounts.iter().take(accounts))
                .map(async |account| set(&backend, account).await)
                .buffer_unordered(workers);
            while let Some(done) = done.next().await {
                done?;
            }
            Ok(began.elapsed())
        }

        /// Listing, planning, generating and staging included.
        async fn engine(&self, accounts: usize, workers: usize) -> Result<Duration, Failure> {
            let policy = Policy {
                unknown_age: Treatment::Rotate,
                max_age: rotation_core::Age::default(),
                canary: 0,
                ..Policy::default()
            };
            let options = EngineOptions {
                concurrency: workers,
                ..EngineOptions::default()
            };
            let backend = Arc::new(self.backend(workers)?);
            let engine = Engine::new(backend, Arc::new(MemoryStore::new()), policy)?;
            let engine = engine.with_options(options);
            let names = self.accounts.iter().take(accounts);
            let query = AccountQuery::Named(names.map(ToString::to_string).collect());
            let began = Instant::now();
            let report = engine.run(engine.plan(query).await?).finish().await;
            if report.rotated != u64::try_from(accounts)? {
                return Err(format!("not all were rotated: {report:?}").into());
            }
            Ok(began.elapsed())
        }
    }

    async fn set(backend: &PowerShellBackend, account: &AccountId) -> Result<(), Failure> {
        let password = Password::new("Correct-Horse-7-Battery".to_owned().into());
        let request = SetPassword::new(account.clone(), Arc::new(password));
        match backend.set_password(&request).await {
            Outcome::Applied { .. } => Ok(()),
            other => Err(format!("found {other:?}, expected applied").into()),
        }
    }
}
