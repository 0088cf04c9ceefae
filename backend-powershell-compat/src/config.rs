use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{ConfigError, Dialect, Environment};

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

/// A tenant, and how to sign in to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tenant {
    /// The tenant: its GUID or one of its verified domains.
    pub id: String,
    /// How to sign in.
    pub sign_in: SignInWith,
    /// The cloud that the tenant lives in.
    pub environment: Environment,
    /// Whether the tenant has Privileged Identity Management (Entra ID P2 or Governance). If true, eligible roles are
    /// read, and reading accounts fails when they cannot be. If false, nobody is taken to be eligible.
    pub pim: bool,
}

/// How to sign in to a tenant.
#[derive(Clone)]
#[non_exhaustive]
pub enum SignInWith {
    /// An access token for Microsoft Graph, used until it lapses.
    AccessToken(SecretString),
    /// An application with a certificate of this machine's or user's certificate store.
    Certificate {
        /// The application (client) id: a GUID.
        client_id: String,
        /// The certificate's thumbprint.
        thumbprint: String,
    },
    /// An application with a client secret.
    ClientSecret {
        /// The application (client) id: a GUID.
        client_id: String,
        /// The secret's value, not its id.
        secret: SecretString,
    },
    /// A person, in a browser on this machine.
    Interactive,
    /// The identity that Azure gives the machine we run on.
    ManagedIdentity {
        /// Which one, if it is user-assigned.
        client_id: Option<String>,
    },
}

/// A domain of Active Directory, and by whom it is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Domain {
    /// The domain controller that everything is asked of: what one has changed, another sees only later.
    pub server: String,
    /// The distinguished name below which accounts are looked for; `None` is the whole domain.
    pub search_base: Option<String>,
    /// Who asks; `None` is the account that we run as.
    pub login: Option<DomainLogin>,
    /// Whether the caller was delegated the right *Reset password* over the accounts. Nobody can be asked that, so it is
    /// to be said; without it only members of the domain's administrative groups and Account Operators may rotate.
    pub delegated: bool,
}

/// An account of a domain, with its password.
#[derive(Clone)]
#[non_exhaustive]
pub struct DomainLogin {
    /// `DOMAIN\name` or `name@domain`.
    pub user: String,
    /// Its password.
    pub password: SecretString,
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
            Directory::Domain(domain) => self.check_domain(domain),
            Directory::Tenant(tenant) => self.check_tenant(tenant),
        }
    }

    fn check_domain(&self, domain: &Domain) -> Result<(), ConfigError> {
        if let Some(dialect) = self.dialect
            && dialect != Dialect::ActiveDirectory
        {
            let found = format!("{dialect} for a domain");
            return Err(ConfigError::field("dialect", found, "active-directory"));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if domain.server.is_empty() || !domain.server.chars().all(named) {
            let found = format!("`{}`", domain.server);
            let expected = "the name of one domain controller";
            return Err(ConfigError::field("server", found, expected));
        }
        match &domain.login {
            Some(login) if login.user.trim().is_empty() => {
                Err(ConfigError::field("login", "no user", "DOMAIN\\name"))
            }
            _ => Ok(()),
        }
    }

    fn check_tenant(&self, tenant: &Tenant) -> Result<(), ConfigError> {
        if self.dialect == Some(Dialect::ActiveDirectory) {
            let found = "active-directory for a tenant";
            let expected = "microsoft.graph or microsoft.entra";
            return Err(ConfigError::field("dialect", found, expected));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if !tenant.id.contains(['.', '-']) || !tenant.id.chars().all(named) {
            let found = format!("`{}`", tenant.id);
            let expected = "the tenant's GUID or a verified domain";
            return Err(ConfigError::field("tenant", found, expected));
        }
        tenant.sign_in.check()?;
        let is_known = matches!(
            tenant.sign_in,
            SignInWith::Certificate { .. } | SignInWith::Interactive
        );
        if self.dialect == Some(Dialect::AzureAd) && !is_known {
            return Err(ConfigError::field(
                "sign_in",
                "another way than the AzureAD module has",
                "a certificate or a person",
            ));
        }
        Ok(())
    }
}

impl Tenant {
    /// A tenant of the worldwide cloud, with PIM.
    #[must_use]
    pub fn new(id: impl Into<String>, sign_in: SignInWith) -> Self {
        Self {
            id: id.into(),
            sign_in,
            environment: Environment::Global,
            pim: true,
        }
    }

    /// The same in another cloud.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// The same with or without Privileged Identity Management.
    #[must_use]
    pub fn with_pim(self, pim: bool) -> Self {
        Self { pim, ..self }
    }
}

impl Domain {
    /// The whole domain of the domain controller `server`, asked by the account that we run as.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            search_base: None,
            login: None,
            delegated: false,
        }
    }

    /// The same below one distinguished name.
    #[must_use]
    pub fn with_search_base(self, search_base: impl Into<String>) -> Self {
        Self {
            search_base: Some(search_base.into()),
            ..self
        }
    }

    /// The same asked by another account.
    #[must_use]
    pub fn with_login(self, user: impl Into<String>, password: SecretString) -> Self {
        let user = user.into();
        Self {
            login: Some(DomainLogin { user, password }),
            ..self
        }
    }

    /// The same with or without a delegated right to reset passwords.
    #[must_use]
    pub fn with_delegated(self, delegated: bool) -> Self {
        Self { delegated, ..self }
    }
}

impl SignInWith {
    fn check(&self) -> Result<(), ConfigError> {
        let guid = |id: &str| match id.parse::<Uuid>() {
            Ok(_) => Ok(()),
            Err(_) => Err(ConfigError::field(
                "client_id",
                format!("`{id}`"),
                "the GUID that the portal calls Application (client) ID",
            )),
        };
        let told = |secret: &SecretString, found: &str| match secret.expose_secret().trim() {
            "" => Err(ConfigError::field("sign_in", found, "its value")),
            _ => Ok(()),
        };
        match self {
            Self::AccessToken(token) => told(token, "an empty access token"),
            Self::Certificate {
                client_id,
                thumbprint,
            } => {
                guid(client_id)?;
                let is_one =
                    thumbprint.len() == 40 && thumbprint.chars().all(|c| c.is_ascii_hexdigit());
                if is_one {
                    return Ok(());
                }
                let found = format!("`{thumbprint}`");
                let expected = "the 40 hexadecimal digits of a certificate's thumbprint";
                Err(ConfigError::field("thumbprint", found, expected))
            }
            Self::ClientSecret { client_id, secret } => {
                guid(client_id)?;
                told(secret, "an empty client secret")
            }
            Self::ManagedIdentity {
                client_id: Some(id),
            } => guid(id),
            Self::Interactive | Self::ManagedIdentity { client_id: None } => Ok(()),
        }
    }
}

impl fmt::Debug for SignInWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessToken(_) => f.debug_struct("AccessToken").finish_non_exhaustive(),
            Self::Certificate {
                client_id,
                thumbprint,
            } => f
                .debug_struct("Certificate")
                .field("client_id", client_id)
                .field("thumbprint", thumbprint)
                .finish(),
            Self::ClientSecret { client_id, .. } => f
                .debug_struct("ClientSecret")
                .field("client_id", client_id)
                .finish_non_exhaustive(),
            Self::Interactive => f.write_str("Interactive"),
            Self::ManagedIdentity { client_id } => f
                .debug_struct("ManagedIdentity")
                .field("client_id", client_id)
                .finish(),
        }
    }
}

impl fmt::Debug for DomainLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainLogin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

    fn tenant(id: &str, sign_in: SignInWith) -> PowerShellConfig {
        PowerShellConfig::new(Directory::Tenant(Tenant::new(id, sign_in)))
    }

    fn domain(server: &str) -> PowerShellConfig {
        PowerShellConfig::new(Directory::Domain(Domain::new(server)))
    }

    fn secret(client_id: &str, secret: &str) -> SignInWith {
        SignInWith::ClientSecret {
            client_id: client_id.to_owned(),
            secret: secret.into(),
        }
    }

    fn certificate(thumbprint: &str) -> SignInWith {
        SignInWith::Certificate {
            client_id: CLIENT.to_owned(),
            thumbprint: thumbprint.to_owned(),
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_what_was_found() {
        let sound = || tenant("contoso.com", secret(CLIENT, "s"));
        for (config, message) in [
            (
                tenant("contoso", SignInWith::Interactive),
                "tenant: found `contoso`",
            ),
            (
                tenant("a.b;calc", SignInWith::Interactive),
                "tenant: found `a.b;calc`",
            ),
            (tenant("a.b", secret("x", "s")), "client_id: found `x`"),
            (
                tenant("a.b", secret(CLIENT, " ")),
                "sign_in: found an empty client secret",
            ),
            (tenant("a.b", certificate("abc")), "thumbprint: found `abc`"),
            (domain(""), "server: found ``"),
            (domain("dc1;x"), "server: found `dc1;x`"),
            (sound().with_workers(0), "workers: found 0"),
            (sound().with_workers(17), "workers: found 17"),
            (
                sound().with_request_timeout(Duration::ZERO),
                "request_timeout: found 0ns",
            ),
            (
                sound().with_dialect(Dialect::ActiveDirectory),
                "dialect: found active-directory",
            ),
            (
                sound().with_dialect(Dialect::AzureAd),
                "sign_in: found another way",
            ),
            (
                domain("dc1").with_dialect(Dialect::AzureAd),
                "dialect: found azuread",
            ),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(sound().check(), Ok(()));
        assert_eq!(domain("dc1.contoso.com").check(), Ok(()));
        assert_eq!(tenant("a.b", certificate(&"Ab".repeat(20))).check(), Ok(()));
    }

    #[test]
    fn no_secret_is_shown() {
        let login = Domain::new("dc1").with_login("C\\admin", "hunter2".into());
        for config in [
            tenant("a.b", secret(CLIENT, "hunter2")),
            tenant("a.b", SignInWith::AccessToken("hunter2".into())),
            PowerShellConfig::new(Directory::Domain(login)),
        ] {
            assert!(!format!("{config:?}").contains("hunter2"));
        }
    }
}
