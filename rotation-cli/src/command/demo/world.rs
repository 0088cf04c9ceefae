//! What the demo needs: a simulated tenant, and a directory with configuration, key pair and store.

use std::io;
use std::path::{Path, PathBuf};

use entra_sim::{Server, Tenant, TenantHandle, UserView};
use secret_stores::{Identities, keygen};
use tempfile::TempDir;

use crate::command::keygen::write_private;
use crate::exit::Failure;
use crate::file;

const CONFIG: &str = "rotation.toml";
const KEY: &str = "key.txt";
const SECRET: &str = "client-secret.txt";

/// The simulated tenant and our side of it. Both are gone when this is dropped, unless they are to be kept.
pub(super) struct World {
    server: Server,
    tenant: TenantHandle,
    directory: Directory,
}

enum Directory {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl World {
    /// Starts a tenant with `accounts` accounts, and writes down how to reach it.
    pub(super) async fn start(accounts: u32, keep: Option<&Path>) -> Result<Self, Failure> {
        let accounts = usize::try_from(accounts).unwrap_or(usize::MAX);
        let config = entra_sim::Config::default().tenant(Tenant::demo(accounts));
        let server = Server::start(config)
            .await
            .map_err(|error| failed("start the simulated tenant", &error))?;
        let world = Self {
            tenant: server.tenant(),
            server,
            directory: Directory::new(keep).map_err(|error| failed("make a directory", &error))?,
        };
        world.write()?;
        Ok(world)
    }

    pub(super) fn base_url(&self) -> &str {
        self.server.base_url()
    }

    pub(super) fn domain(&self) -> &str {
        self.tenant.domain()
    }

    pub(super) fn tenant(&self) -> &TenantHandle {
        &self.tenant
    }

    pub(super) fn users(&self) -> Vec<UserView> {
        self.tenant.users()
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.directory.path().join(CONFIG)
    }

    /// The private key, which only the demo has beside the store.
    pub(super) fn identities(&self) -> Result<Identities, Failure> {
        Identities::from_file(self.directory.path().join(KEY))
            .map_err(|error| Failure::usage(miette::miette!("{error}")))
    }

    /// The directory that stays, if one does.
    pub(super) fn kept(&self) -> Option<&Path> {
        match &self.directory {
            Directory::Kept(path) => Some(path),
            Directory::Temporary(_) => None,
        }
    }

    fn write(&self) -> Result<(), Failure> {
        let directory = self.directory.path();
        let pair = keygen();
        write_private(&pair, &directory.join(KEY))?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            file::create(&path, text.as_bytes())
                .map_err(|error| failed(&format!("write {}", path.display()), &error))
        };
        write(SECRET, self.tenant.client_secret())?;
        write(CONFIG, &self.config(&pair.public))
    }

    fn config(&self, recipient: &str) -> String {
        let (domain, client_id, url) = (self.domain(), self.tenant.client_id(), self.base_url());
        format!(
            "# Written by `rotation demo`. The simulated tenant is gone once the demo ends.\n\
             [policy]\n\
             max_age = \"90d\"\n\
             break_glass = [\"breakglass@{domain}\"]\n\n\
             [store]\n\
             kind = \"sqlite\"\n\
             path = \"rotation.db\"\n\
             recipients = [\"{recipient}\"]\n\n\
             [[tenant]]\n\
             id = \"{domain}\"\n\
             backend = \"graph\"\n\
             client_id = \"{client_id}\"\n\
             credential = {{ kind = \"client-secret\", file = \"{SECRET}\" }}\n\
             cloud = {{ authority = \"{url}\", graph = \"{url}\" }}\n"
        )
    }
}

impl Directory {
    fn new(keep: Option<&Path>) -> io::Result<Self> {
        match keep {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                Ok(Self::Kept(path.to_owned()))
            }
            None => Ok(Self::Temporary(tempfile::tempdir()?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::usage(miette::miette!("cannot {what}: {error}"))
}
