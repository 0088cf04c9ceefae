//! The worker's script in a real `pwsh`, with stub modules that have the parameters of the real ones and talk to the
//! simulator. Skipped, aloud, where there is no `pwsh`; with `ROTATION_REQUIRE_PWSH=1` that is a failure.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

use std::env;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use backend_powershell_compat::{
    Dialect, Directory, Domain, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
};
use entra_sim::{App, Config, Server};
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, Outcome, Password, RefusalReason, RotationBackend, SetPassword};
use tempfile::TempDir;

const SECRET: &str = "client-secret-6b1f";

struct Machine {
    server: Server,
    folder: TempDir,
}

fn pwsh() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join("pwsh"))
        .find(|program| program.is_file());
    if found.is_none() {
        let required = env::var_os("ROTATION_REQUIRE_PWSH");
        assert!(
            required.is_none_or(|value| value != "1"),
            "pwsh is required"
        );
        // past the harness, which keeps what a test that passes says to itself
        let said = b"skipped: there is no pwsh, so the worker's script was not run\n";
        std::io::stderr().write_all(said).ok();
    }
    found
}

impl Machine {
    async fn new() -> Option<Self> {
        let pwsh = pwsh()?;
        let tenant = entra_sim::Tenant::demo(0).first_app(App::rotation().secret(SECRET));
        let server = Server::start(Config::default().tenant(tenant))
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/modules");
        let script = format!(
            "#!/bin/sh\nexport PSModulePath='{modules}' ROTATION_STUB_GRAPH='{}' ROTATION_STUB_TENANT='{}'\nexec '{}' \"$@\"\n",
            server.base_url(),
            server.tenant().id(),
            pwsh.display()
        );
        let program = folder.path().join("pwsh");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Some(Self { server, folder })
    }

    fn backend(&self, dialect: Dialect) -> PowerShellBackend {
        let tenant = self.server.tenant();
        let client_id = tenant.client_id().to_string();
        let directory = if dialect == Dialect::ActiveDirectory {
            Directory::Domain(Domain::new("dc1.contoso.com").with_login(client_id, SECRET.into()))
        } else {
            let secret = SECRET.into();
            let sign_in = SignInWith::ClientSecret { client_id, secret };
            Directory::Tenant(Tenant::new(tenant.domain(), sign_in))
        };
        let config = PowerShellConfig::new(directory)
            .with_dialect(dialect)
            .with_program(self.folder.path().join("pwsh"));
        PowerShellBackend::new(config).unwrap()
    }
}

struct Harness {
    machine: Machine,
    backend: PowerShellBackend,
}

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.backend
    }

    fn accounts(&self) -> Vec<AccountId> {
        let users = self.machine.server.tenant().users().into_iter();
        let ordinary = users.filter(|user| user.is_ordinary() && user.enabled);
        let ids = ordinary.map(|user| AccountId::new(&user.id.to_string()));
        ids.take(2).collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let id = account.as_str().parse().unwrap();
        self.machine
            .server
            .tenant()
            .current_password_is(id, password)
    }

    async fn printed(&self) -> Vec<u8> {
        let diagnosis = self.backend.diagnose().await;
        format!("{:?} {diagnosis:?}", self.backend).into_bytes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_keeps_every_promise_in_a_real_powershell() {
    for dialect in [
        Dialect::MicrosoftGraph,
        Dialect::MicrosoftEntra,
        Dialect::MicrosoftEntraAlias,
        Dialect::ActiveDirectory,
    ] {
        let Some(machine) = Machine::new().await else {
            return;
        };
        let backend = machine.backend(dialect);
        let diagnosis = backend.diagnose().await.unwrap();
        assert_eq!(diagnosis.dialect, dialect);
        let harness = Harness { machine, backend };
        assert_eq!(backend_suite(&harness).await, [], "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_a_real_powershell_is_a_refusal_with_its_reason() {
    let Some(machine) = Machine::new().await else {
        return;
    };
    for dialect in [
        Dialect::MicrosoftGraph,
        Dialect::MicrosoftEntra,
        Dialect::ActiveDirectory,
    ] {
        let backend = machine.backend(dialect);
        let mut users = machine.server.tenant().users().into_iter();
        let user = users.rfind(|user| user.is_ordinary()).unwrap();
        let password = Arc::new(Password::new("short".to_owned().into()));
        let request = SetPassword::new(AccountId::new(&user.id.to_string()), password);
        let outcome = backend.set_password(&request).await;
        let Outcome::Refused(refusal) = &outcome else {
            panic!("{dialect}: {outcome:?}");
        };
        assert_eq!(refusal.reason, RefusalReason::Password, "{dialect}");
    }
}
