mod domain;
mod tenant;

use std::path::PathBuf;
use std::time::Duration;

use crate::{ConfigError, Dialect};

pub use domain::{Domain, DomainLogin};
pub use tenant::{SignInWith, Tenant};

/// The most processes for one directory: a module takes some hundred MiB.
const MOST_WORKERS: usize = 16;

/// Nobody waits for longer, and adding it to a time does not overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// One directory that PowerShell reaches, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PowerShellConfig {
    /// What is rotated.
    pub directory: Directory,
    /// The module to use. `None`: for a tenant `Microsoft.Graph` if it is installed, else `Microsoft.Entra`; for a domain
    /// `ActiveDirectory`.
    pub dialect: Option<Dialect>,
    /// `pwsh` or `powershell.exe`. `None`: the first of them in `PATH` that can load the module.
    pub program: Option<PathBuf>,
    /// How many processes at once, 1 to 16. Each has one password under way.
    pub workers: usize,
    /// How long a process may take to load the module, and to sign in.
    pub start_timeout: Duration,
    /// How long it may take to set one password. Then it is killed.
    pub request_timeout: Duration,
    /// How long it may take for one read, or for the next part of a listing. Then it is killed.
    pub read_timeout: Duration,
    /// After how long without a request a process is ended; the next request starts another. One that a person signed in
    /// to is never ended so.
    pub idle_timeout: Duration,
    /// Variables of our environment that the processes do not inherit: those that hold secrets.
    pub hidden_variables: Vec<String>,
}

/// What is rotated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Directory {
    /// An on-premises domain of Active Directory.
    Domain(Domain),
    /// A tenant of Entra ID.
    Tenant(Tenant),
}

impl PowerShellConfig {
    /// `directory`, with the module and the program that are there, two workers, two minutes to start and for a read, half a
    /// minute to set a password, which is as long as the engine waits for it, and ten minutes idle.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self {
            directory,
            dialect: None,
            program: None,
            workers: 2,
            start_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(600),
            hidden_variables: Vec::new(),
        }
    }

    /// The same by the cmdlets of one module.
    #[must_use]
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self {
            dialect: Some(dialect),
            ..self
        }
    }

    /// The same with this `pwsh` or `powershell.exe`.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self {
            program: Some(program.into()),
            ..self
        }
    }

    /// The same with so many processes, 1 to 16.
    #[must_use]
    pub fn with_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The same with another time limit to start and sign in.
    #[must_use]
    pub fn with_start_timeout(self, start_timeout: Duration) -> Self {
        Self {
            start_timeout,
            ..self
        }
    }

    /// The same with another time limit to set a password.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self {
            request_timeout,
            ..self
        }
    }

    /// The same with another time limit to read.
    #[must_use]
    pub fn with_read_timeout(self, read_timeout: Duration) -> Self {
        Self {
            read_timeout,
            ..self
        }
    }

    /// The same with workers that idle so long.
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            ..self
        }
    }

    /// The same with processes that do not inherit these variables.
    #[must_use]
    pub fn hiding(self, variables: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            hidden_variables: variables.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The dialects to try, in their order.
    pub(crate) fn dialects(&self) -> Vec<Dialect> {
        match (self.dialect, &self.directory) {
            (Some(dialect), _) => vec![dialect],
            (None, Directory::Domain(_)) => vec![Dialect::ActiveDirectory],
            (None, Directory::Tenant(_)) => Dialect::OF_A_TENANT.to_vec(),
        }
    }

    /// Whether a person signs in.
    pub(crate) fn is_interactive(&self) -> bool {
        matches!(&self.directory, Directory::Tenant(tenant) if matches!(tenant.sign_in, SignInWith::Interactive))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=MOST_WORKERS).contains(&self.workers) {
            let found = self.workers.to_string();
            return Err(ConfigError::field("workers", found, "1 to 16"));
        }
        for (field, timeout) in [
            ("start_timeout", self.start_timeout),
            ("request_timeout", self.request_timeout),
            ("read_timeout", self.read_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
                let found = format!("{timeout:?}");
                return Err(ConfigError::field(
                    field,
                    found,
                    "more than zero, a day at most",
                ));
            }
        }
        match &self.directory {
            Directory::Domain(domain) => domain.check(self.dialect),
            Directory::Tenant(tenant) => tenant.check(self.dialect),
        }
    }
}

#[cfg(test)]
mod tests;
