//! The worker, run by a real PowerShell on stubs that ask the simulator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_powershell_compat::{
    Dialect, Directory, Domain, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
};
use entra_sim::{App, Config, Server};
use rotation_core::testkit::{BackendHarness, backend_suite};
use rotation_core::{AccountId, Outcome, Password, RefusalReason, RotationBackend, SetPassword};
use tempfile::TempDir;

use crate::stubs::{DOMAIN, ENTRA, GRAPH, install, pwsh};

/// A real PowerShell takes seconds to start.
const PATIENT: Duration = Duration::from_secs(120);
const SECRET: &str = "client-secret-6b1f";

const CALLER: &str = "cccccccc-0000-0000-0000-000000000001";
const ADMINS: &str = "S-1-5-21-1-2-3-512";
const OPERATORS: &str = "S-1-5-32-548";

/// A simulated tenant, and a `pwsh` that finds stubs alone.
struct Machine {
    pwsh: PathBuf,
    server: Server,
    folder: TempDir,
}

impl Machine {
    async fn new(pwsh: &Path) -> Self {
        let tenant = entra_sim::Tenant::demo(0).first_app(App::rotation().secret(SECRET));
        let machine = Self {
            pwsh: pwsh.to_owned(),
            server: Server::start(Config::default().tenant(tenant))
                .await
                .unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let modules = machine.folder.path().join("modules");
        for (name, version, stubs) in [
            ("Microsoft.Graph.Users", "2.25.0", GRAPH),
            ("Microsoft.Entra.Users", "1.0.12", ENTRA),
            ("ActiveDirectory", "1.0.1.0", DOMAIN),
        ] {
            install(&modules, name, version, &stubs.module());
        }
        machine.domain(CALLER, ADMINS, "");
        machine
    }

    /// Who asks the domain, in which group, and whom it protects.
    fn domain(&self, caller: &str, group: &str, protected: &str) {
        let folder = self.folder.path().display();
        let script = format!(
            "#!/bin/sh\nPSModulePath='{folder}/modules' STUB_GRAPH='{}' STUB_TENANT='{}' STUB_CALLER='{caller}' \
             STUB_GROUP='{group}' STUB_PROTECTED='{protected}' HOME='{folder}' exec '{}' \"$@\"\n",
            self.server.base_url(),
            self.server.tenant().id(),
            self.pwsh.display(),
        );
        let program = self.program();
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("pwsh")
    }

    fn backend(&self, dialect: Dialect) -> PowerShellBackend {
        let client_id = self.server.tenant().client_id().to_string();
        let secret = SECRET.into();
        let directory = if dialect == Dialect::ActiveDirectory {
            Directory::Domain(Domain::new("dc1.contoso.com").with_login(client_id, secret))
        } else {
            let sign_in = SignInWith::ClientSecret { client_id, secret };
            Directory::Tenant(Tenant::new("contoso.com", sign_in))
        };
        let config = PowerShellConfig::new(directory)
            .with_dialect(dialect)
            .with_program(self.program())
            .with_start_timeout(PATIENT)
            .with_request_timeout(PATIENT)
            .with_read_timeout(PATIENT);
        PowerShellBackend::new(config).unwrap()
    }

    fn accounts(&self) -> Vec<AccountId> {
        let users = self.server.tenant().users().into_iter();
        let ordinary = users.filter(|user| user.is_ordinary() && user.enabled);
        let ids = ordinary.map(|user| AccountId::new(&user.id.to_string()));
        ids.take(4).collect()
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
        self.machine.accounts()
    }

    async fn signs_in(&self, account: &AccountId, password: &str) -> bool {
        let id = account.as_str().parse().unwrap();
        let tenant = self.machine.server.tenant();
        tenant.current_password_is(id, password)
    }

    async fn printed(&self) -> Vec<u8> {
        let diagnosis = self.backend.diagnose().await;
        format!("{:?} {diagnosis:?}", self.backend).into_bytes()
    }
}

const DIALECTS: [Dialect; 4] = [
    Dialect::MicrosoftGraph,
    Dialect::MicrosoftEntra,
    Dialect::MicrosoftEntraAlias,
    Dialect::ActiveDirectory,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_promise_of_a_backend_in_a_real_powershell() {
    let Some(pwsh) = pwsh() else { return };
    for dialect in DIALECTS {
        let machine = Machine::new(&pwsh).await;
        let backend = machine.backend(dialect);
        let harness = Harness { machine, backend };
        assert_eq!(backend_suite(&harness).await, [], "{dialect}");
    }
    println!(
        "{} dialects were spoken by a real PowerShell",
        DIALECTS.len()
    );
}

async fn refusal(machine: &Machine, dialect: Dialect, password: &str) -> Option<RefusalReason> {
    let password = Arc::new(Password::new(password.to_owned().into()));
    let request = SetPassword::new(machine.accounts().swap_remove(0), password);
    match machine.backend(dialect).set_password(&request).await {
        Outcome::Applied { .. } => None,
        Outcome::Refused(refusal) => Some(refusal.reason),
        outcome => panic!("{dialect}: {outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_a_real_powershell_is_a_refusal_with_its_reason() {
    let Some(pwsh) = pwsh() else { return };
    let machine = Machine::new(&pwsh).await;
    for dialect in DIALECTS {
        let reason = refusal(&machine, dialect, "short").await;
        assert_eq!(reason, Some(RefusalReason::Password), "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_in_a_real_powershell_refuses_whom_it_protects_and_who_asks() {
    let Some(pwsh) = pwsh() else { return };
    let machine = Machine::new(&pwsh).await;
    let account = machine.accounts().swap_remove(0);
    let account = account.as_str();
    let refused = Some(RefusalReason::NotAllowed);
    for (caller, group, protected, expected) in [
        (CALLER, OPERATORS, "", None),
        (CALLER, OPERATORS, account, refused),
        (CALLER, ADMINS, account, None),
        (account, ADMINS, "", refused),
    ] {
        machine.domain(caller, group, protected);
        let reason = refusal(
            &machine,
            Dialect::ActiveDirectory,
            &format!("Tr0ub4dor&3-{group}"),
        )
        .await;
        assert_eq!(
            reason, expected,
            "{caller} in {group}, {protected} protected"
        );
    }
}
