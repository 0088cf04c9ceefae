//! The worker, run by a real PowerShell on stubs that ask the simulator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use backend_powershell_compat::{
    Dialect, Directory, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
};
use entra_sim::{App, Config, Server};
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, RotationBackend};
use tempfile::TempDir;

use crate::stubs::{ENTRA, GRAPH, install, pwsh};

/// A real PowerShell takes seconds to start.
const PATIENT: Duration = Duration::from_secs(120);
const SECRET: &str = "client-secret-6b1f";

struct Harness {
    server: Server,
    backend: PowerShellBackend,
}

#[async_trait]
impl BackendHarness for Harness {
    fn backend(&self) -> &dyn RotationBackend {
        &self.backend
    }

    fn accounts(&self) -> Vec<AccountId> {
        let users = self.server.tenant().users().into_iter();
        let ordinary = users.filter(|user| user.is_ordinary() && user.enabled);
        let ids = ordinary.map(|user| AccountId::new(&user.id.to_string()));
        ids.take(4).collect()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let id = account.as_str().parse().unwrap();
        self.server.tenant().current_password_is(id, password)
    }

    async fn printed(&self) -> Vec<u8> {
        let diagnosis = self.backend.diagnose().await;
        format!("{:?} {diagnosis:?}", self.backend).into_bytes()
    }
}

/// A program that is `pwsh` but for where it finds modules.
fn with_stubs(pwsh: &Path, folder: &Path, server: &Server) -> PathBuf {
    let modules = folder.join("modules");
    install(&modules, "Microsoft.Graph.Users", "2.25.0", &GRAPH.module());
    install(&modules, "Microsoft.Entra.Users", "1.0.8", &ENTRA.module());
    let program = folder.join("pwsh");
    let script = format!(
        "#!/bin/sh\nPSModulePath='{}' STUB_GRAPH='{}' HOME='{}' exec '{}' \"$@\"\n",
        modules.display(),
        server.base_url(),
        folder.display(),
        pwsh.display(),
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise_of_a_backend_in_a_real_powershell() {
    let Some(pwsh) = pwsh() else { return };
    let dialects = [
        Dialect::MicrosoftGraph,
        Dialect::MicrosoftEntra,
        Dialect::MicrosoftEntraAlias,
    ];
    for dialect in dialects {
        let tenant = entra_sim::Tenant::demo(0).first_app(App::rotation().secret(SECRET));
        let server = Server::start(Config::default().tenant(tenant))
            .await
            .unwrap();
        let folder: TempDir = tempfile::tempdir().unwrap();
        let sign_in = SignInWith::ClientSecret {
            client_id: server.tenant().client_id().to_string(),
            secret: SECRET.into(),
        };
        let directory = Directory::Tenant(Tenant::new("contoso.com", sign_in));
        let config = PowerShellConfig::new(directory)
            .with_dialect(dialect)
            .with_program(with_stubs(&pwsh, folder.path(), &server))
            .with_start_timeout(PATIENT)
            .with_request_timeout(PATIENT)
            .with_read_timeout(PATIENT);
        let backend = PowerShellBackend::new(config).unwrap();
        let harness = Harness { server, backend };
        assert_eq!(backend_suite(&harness).await, [], "{dialect}");
    }
    println!(
        "{} dialects were spoken by a real PowerShell",
        dialects.len()
    );
}
