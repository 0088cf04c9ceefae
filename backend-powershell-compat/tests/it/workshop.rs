//! A simulated tenant, a fake `pwsh` in a folder of its own, and faults for it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backend_powershell_compat::{
    Dialect, Directory, Domain, HybridBackend, PowerShellBackend, PowerShellConfig, SignInWith,
    SyncedFrom, Tenant,
};
use entra_sim::{App, Config, Server, TenantHandle, User, UserView};
use rotation_core::{AccountId, BackendError, Outcome, Password, RotationBackend, SetPassword};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) const PASSWORD: &str = "Tr0ub4dor&3-\"quoted\"";

/// Long enough for whatever answers at all; whoever tests that something hangs waits for it.
pub(crate) const BRIEF: Duration = Duration::from_secs(5);

/// All dialects that go to a tenant, and the one that goes to a domain.
pub(crate) const DIALECTS: [Dialect; 5] = [
    Dialect::MicrosoftGraph,
    Dialect::MicrosoftEntra,
    Dialect::MicrosoftEntraAlias,
    Dialect::AzureAd,
    Dialect::ActiveDirectory,
];

pub(crate) struct Workshop {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
    faults: AtomicU32,
}

impl Workshop {
    pub(crate) async fn new() -> Self {
        Self::with_accounts(0).await
    }

    /// With so many accounts in all; there are always some dozens.
    pub(crate) async fn with_accounts(count: usize) -> Self {
        let tenant = entra_sim::Tenant::demo(count).first_app(App::rotation().secret(SECRET));
        Self::serve(tenant).await
    }

    /// With so many accounts that are synced from the domain, every third of them no longer.
    pub(crate) async fn with_synced(count: usize) -> Self {
        let tenant = entra_sim::Tenant::demo(0).first_app(App::rotation().secret(SECRET));
        let user = |number| {
            let user = User::new(format!("staff{number}@contoso.onmicrosoft.com"));
            if number % 3 == 0 { user } else { user.synced() }
        };
        Self::serve((0..count).map(user).fold(tenant, entra_sim::Tenant::user)).await
    }

    pub(crate) async fn serve(tenant: entra_sim::Tenant) -> Self {
        let server = Server::start(Config::default().tenant(tenant))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["faults", "witness"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let fake = env!("CARGO_BIN_EXE_fake-pwsh");
        std::os::unix::fs::symlink(fake, folder.path().join("pwsh")).unwrap();
        let workshop = Self {
            server,
            folder,
            faults: AtomicU32::new(0),
        };
        workshop.set(&json!({}));
        workshop
    }

    /// What PowerShell is like on this machine, but for what `changes` says.
    pub(crate) fn set(&self, changes: &Value) {
        let tenant = self.tenant();
        let path = |name| self.folder.path().join(name);
        let mut settings = json!({
            "graph": self.server.base_url(),
            "tenant": tenant.id(),
            "client_id": tenant.client_id(),
            "client_secret": tenant.client_secret(),
            "control_token": self.server.control_token(),
            "powershell": "7.4.6",
            "edition": "Core",
            "logging": [],
            "modules": {
                "Microsoft.Graph.Users": ["2.25.0"],
                "Microsoft.Entra.Users": ["1.0.12"],
                "AzureAD": ["2.0.2.182"],
                "ActiveDirectory": ["1.0.1.0"],
            },
            "groups": ["S-1-5-21-1-2-3-512"],
            "protected": [],
            "faults": path("faults"),
            "witness": path("witness"),
        });
        for (name, value) in changes.as_object().unwrap() {
            settings[name] = value.clone();
        }
        fs::write(path("pwsh.json"), settings.to_string()).unwrap();
    }

    /// Lets the next process that gets to `op` misbehave; with `-stays` at its end, every one.
    pub(crate) fn fault(&self, op: &str, what: &str) {
        let number = self.faults.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number:03}-{op}-{what}");
        fs::write(self.folder.path().join("faults").join(name), "").unwrap();
    }

    /// Takes away the faults that nobody has met.
    pub(crate) fn heal(&self) {
        for entry in fs::read_dir(self.folder.path().join("faults")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// How many faults nobody has met.
    pub(crate) fn faults_left(&self) -> usize {
        fs::read_dir(self.folder.path().join("faults"))
            .unwrap()
            .count()
    }

    /// What each process that was started had for others to see; the name of the file is its id.
    pub(crate) fn processes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("witness")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The ids of all processes that were started.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let processes = self.processes().into_iter();
        let pid = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        processes.map(pid).collect()
    }

    pub(crate) fn tenant(&self) -> TenantHandle {
        self.server.tenant()
    }

    pub(crate) fn sign_in(&self) -> SignInWith {
        SignInWith::ClientSecret {
            client_id: self.tenant().client_id().to_string(),
            secret: SECRET.into(),
        }
    }

    pub(crate) fn config(&self, dialect: Dialect) -> PowerShellConfig {
        let directory = match dialect {
            Dialect::ActiveDirectory => Directory::Domain(Domain::new("dc1.contoso.com")),
            Dialect::AzureAd => {
                self.set(&json!({"powershell": "5.1.19041.4522", "edition": "Desktop"}));
                Directory::Tenant(Tenant::new("contoso.com", SignInWith::Interactive))
            }
            _ => Directory::Tenant(Tenant::new("contoso.com", self.sign_in())),
        };
        PowerShellConfig::new(directory)
            .with_dialect(dialect)
            .with_program(self.folder.path().join("pwsh"))
            .with_start_timeout(BRIEF)
            .with_request_timeout(BRIEF)
            .with_read_timeout(BRIEF)
    }

    pub(crate) fn backend(&self, dialect: Dialect) -> PowerShellBackend {
        PowerShellBackend::new(self.config(dialect)).unwrap()
    }

    /// The accounts that the app may rotate.
    pub(crate) fn ordinary(&self) -> Vec<UserView> {
        let users = self.tenant().users().into_iter();
        users
            .filter(|user| user.is_ordinary() && user.enabled)
            .collect()
    }

    /// What [`Self::with_synced`] has.
    pub(crate) fn synced(&self) -> Vec<UserView> {
        let users = self.tenant().users().into_iter();
        users
            .filter(|user| user.user_principal_name.starts_with("staff"))
            .collect()
    }

    /// The tenant, and the domain for its synced accounts.
    pub(crate) fn hybrid(&self) -> HybridBackend {
        HybridBackend::new(
            Arc::new(self.backend(Dialect::MicrosoftGraph)),
            Arc::new(self.backend(Dialect::ActiveDirectory)),
            Arc::new(SyncedFromIds),
        )
    }

    pub(crate) fn first(&self) -> UserView {
        self.ordinary().swap_remove(0)
    }

    /// Sets [`PASSWORD`] for the first ordinary account.
    pub(crate) async fn set_password(&self, backend: &PowerShellBackend) -> Outcome {
        backend
            .set_password(&request(&self.first(), PASSWORD))
            .await
    }
}

/// What the simulator makes of the id of an account: the security id in the domain.
pub(crate) fn security_id(id: Uuid) -> String {
    format!("S-1-5-21-1-2-3-{}", id.as_fields().0)
}

struct SyncedFromIds;

#[async_trait]
impl SyncedFrom for SyncedFromIds {
    async fn security_id(&self, account: &AccountId) -> Result<Option<String>, BackendError> {
        Ok(account.as_str().parse().ok().map(security_id))
    }
}

pub(crate) const SECRET: &str = "client-secret-6b1f";

pub(crate) fn id(user: &UserView) -> AccountId {
    AccountId::new(&user.id.to_string())
}

pub(crate) fn request(user: &UserView, password: &str) -> SetPassword {
    let password = Password::new(Zeroizing::new(password.to_owned()));
    SetPassword::new(id(user), Arc::new(password))
}

pub(crate) fn told(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied { .. } => "applied",
        Outcome::NotSent(_) => "not sent",
        Outcome::Refused(_) => "refused",
        Outcome::Throttled { .. } => "throttled",
        Outcome::Unknown(_) => "unknown",
        _ => "another",
    }
}

/// Waits until a process has ended and somebody took note of it.
pub(crate) async fn gone(pid: i32) {
    while fs::exists(format!("/proc/{pid}")).unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
