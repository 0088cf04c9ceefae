//! A simulated tenant, and a directory from which `rotation` is run against it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use entra_sim::{Server, Tenant, TenantHandle};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// The variable that the configuration names.
pub(crate) const SECRET_VARIABLE: &str = "ROTATION_TEST_SECRET";

/// The configuration of whoever reads a store for which the run's does not do.
const READER: &str = "reader.toml";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) tenant: TenantHandle,
    pub(crate) directory: TempDir,
}

/// What a process said when it was done.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A version as `rotation reveal` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Revealed {
    pub(crate) account: String,
    pub(crate) upn: String,
    pub(crate) state: String,
    pub(crate) version: String,
    pub(crate) password: String,
}

impl World {
    /// A demo tenant with so many accounts.
    pub(crate) fn new(accounts: usize) -> Self {
        let config = entra_sim::Config::default().tenant(Tenant::demo(accounts));
        Self::of(Server::start_blocking(config).unwrap())
    }

    /// The first tenant of `server`.
    pub(crate) fn of(server: Server) -> Self {
        let world = Self {
            tenant: server.tenant(),
            server,
            directory: tempfile::tempdir().unwrap(),
        };
        let made = world.run(&["keygen", "--out", "key.txt"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        world.write("rotation.toml", &world.config(made.stdout.trim()));
        world.write("client-secret.txt", world.tenant.client_secret());
        world
    }

    /// All of these tenants, in this order.
    pub(crate) fn with(tenants: impl IntoIterator<Item = Tenant>) -> Self {
        let config = entra_sim::Config::default().tenants(tenants);
        let world = Self::of(Server::start_blocking(config).unwrap());
        let url = world.server.base_url().to_owned();
        let mut text = world.read("rotation.toml");
        for (index, tenant) in world.server.tenants().iter().enumerate().skip(1) {
            world.write(&format!("secret-{index}.txt"), tenant.client_secret());
            text.push_str(&format!(
                "[[tenant]]\nid = \"{}\"\nclient_id = \"{}\"\n\
                 credential = {{ kind = \"client-secret\", file = \"secret-{index}.txt\" }}\n\
                 cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n",
                tenant.domain(),
                tenant.client_id()
            ));
        }
        world.write("rotation.toml", &text);
        world
    }

    fn config(&self, recipient: &str) -> String {
        let (domain, client_id) = (self.tenant.domain(), self.tenant.client_id());
        let url = self.server.base_url();
        format!(
            "[policy]\n\
             max_age = \"90d\"\n\
             break_glass = [\"breakglass@{domain}\"]\n\
             [store]\n\
             kind = \"sqlite\"\n\
             path = \"rotation.db\"\n\
             recipients = [\"{recipient}\"]\n\
             [[tenant]]\n\
             id = \"{domain}\"\n\
             backend = \"graph\"\n\
             client_id = \"{client_id}\"\n\
             credential = {{ kind = \"client-secret\", env = \"{SECRET_VARIABLE}\" }}\n\
             cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n"
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Rewrites the configuration.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.read("rotation.toml");
        assert!(text.contains(from), "{from} is not in {text}");
        self.write("rotation.toml", &text.replace(from, to));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotation"));
        command
            .args(args)
            .current_dir(self.directory.path())
            .env_remove("RUST_LOG")
            .env(SECRET_VARIABLE, self.tenant.client_secret());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        output(self.command(args))
    }

    /// Starts `rotation`, and leaves it to itself.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The one object that a command prints.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Keeps passwords in another store: `run` are its keys for whoever rotates, `reader` for whoever reads.
    pub(crate) fn use_store(&self, run: &str, reader: &str) {
        let text = self.read("rotation.toml");
        let store = text.find("[store]").unwrap()..text.find("[[tenant]]").unwrap();
        let with = |keys: &str| text.replace(&text[store.clone()], &format!("[store]\n{keys}\n"));
        self.write("rotation.toml", &with(run));
        self.write(READER, &with(reader));
    }

    /// What the store holds, read with the private key.
    pub(crate) fn reveal(&self, extra: &[&str]) -> Vec<Revealed> {
        let config = match self.path(READER).exists() {
            true => READER,
            false if self.path("rotation.db").exists() => "rotation.toml",
            false => return Vec::new(),
        };
        let args = [
            "-c",
            config,
            "reveal",
            "--identity",
            "key.txt",
            "--format",
            "json",
        ];
        let output = self.run(&[&args, extra].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    }

    /// How many passwords the directories were given, over all tenants and accounts.
    pub(crate) fn sets(&self) -> u64 {
        let tenants = self.server.tenants();
        let sets = |tenant: &TenantHandle| {
            tenant
                .iter_users()
                .map(|user| user.password_sets)
                .sum::<u64>()
        };
        tenants.iter().map(sets).sum()
    }

    /// Waits until the directory was given so many passwords.
    pub(crate) fn wait_for_sets(&self, sets: u64) {
        let begun = Instant::now();
        while self.sets() < sets {
            assert!(begun.elapsed() < PATIENCE, "{} of {sets}", self.sets());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Promise 2: of every account that was ever given a password, the live one is among the store's current and pending.
    pub(crate) fn assert_no_password_is_lost(&self) {
        let mut known: HashMap<String, Vec<String>> = HashMap::new();
        for version in self.reveal(&[]) {
            known
                .entry(version.account)
                .or_default()
                .push(version.password);
        }
        for tenant in self.server.tenants() {
            for user in tenant.users().iter().filter(|user| user.password_sets > 0) {
                let versions = known.get(&user.id.to_string()).cloned().unwrap_or_default();
                let live = versions
                    .iter()
                    .any(|password| tenant.current_password_is(user.id, password));
                assert!(live, "the password of {} is lost", user.user_principal_name);
            }
        }
    }
}

pub(crate) fn output(command: Command) -> Output {
    let output = assert_cmd::Command::from_std(command).output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for a child to end.
pub(crate) fn wait(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
