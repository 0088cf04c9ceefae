use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{ConfigError, Dialect, Environment};

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

    /// Whether it can work, by `dialect` if one is named.
    pub(super) fn check(&self, dialect: Option<Dialect>) -> Result<(), ConfigError> {
        if dialect == Some(Dialect::ActiveDirectory) {
            let found = "active-directory for a tenant";
            let expected = "microsoft.graph or microsoft.entra";
            return Err(ConfigError::field("dialect", found, expected));
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if !self.id.contains(['.', '-']) || !self.id.chars().all(named) {
            let found = format!("`{}`", self.id);
            let expected = "the tenant's GUID or a verified domain";
            return Err(ConfigError::field("tenant", found, expected));
        }
        self.sign_in.check()?;
        let is_known = matches!(
            self.sign_in,
            SignInWith::Certificate { .. } | SignInWith::Interactive
        );
        if dialect == Some(Dialect::AzureAd) && !is_known {
            return Err(ConfigError::field(
                "sign_in",
                "another way than the AzureAD module has",
                "a certificate or a person",
            ));
        }
        Ok(())
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
