use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rotation_core::{Clock, RateControl, RoleId, SystemClock};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{ClientCertificate, Cloud, ConfigError, DeviceCode, FederatedToken};

/// How long a request may take, unless told otherwise. Graph answers within seconds; a gateway that does not is
/// better left, since the engine repeats with the same password.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The most items that Graph takes in one batch (<https://learn.microsoft.com/graph/json-batching>).
const LARGEST_BATCH: usize = 20;

/// Names that stand for "whatever tenant", which an application on its own cannot sign in to
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
const NOT_A_TENANT: [&str; 3] = ["common", "consumers", "organizations"];

/// One tenant, and how to sign in to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GraphConfig {
    /// The tenant: its GUID or one of its verified domains.
    pub tenant: String,
    /// The application (client) id: a GUID.
    pub client_id: String,
    /// What proves that we are this application.
    pub credential: Credential,
    /// The cloud that the tenant lives in.
    pub cloud: Cloud,
    /// Whether the tenant has Privileged Identity Management (Entra ID P2 or Governance). If true, eligible roles
    /// are read, and reading accounts fails when they cannot be. If false, nobody is taken to be eligible.
    pub pim: bool,
    /// Roles that the person who signs in has in the tenant as a customer's of that person's own
    /// ([`Customer::roles`](crate::Customer::roles)): the tenant lists them under a group that is not its own.
    ///
    /// Without it, the tenant is none of a partner's customers. With it, nobody is asked to sign in to this tenant, only to
    /// the partner's.
    pub partner_roles: Option<BTreeSet<RoleId>>,
    /// How long one request may take, connecting and reading the whole answer included.
    pub timeout: Duration,
    /// How many passwords go into one request, 1 to 20; with 1, nothing is batched.
    pub max_batch: usize,
    /// Knows how fast to go. Its clones are one: give it to every tenant of a process, since some quotas span tenants. Name a
    /// tenant in one way only, for it goes by that name.
    pub rate_control: RateControl,
}

impl GraphConfig {
    /// A tenant of the worldwide cloud, with PIM, 30 s for a request, batches of 20, and a rate control of its own.
    #[must_use]
    pub fn new(
        tenant: impl Into<String>,
        client_id: impl Into<String>,
        credential: Credential,
    ) -> Self {
        Self {
            tenant: tenant.into(),
            client_id: client_id.into(),
            credential,
            cloud: Cloud::Global,
            pim: true,
            partner_roles: None,
            timeout: DEFAULT_TIMEOUT,
            max_batch: LARGEST_BATCH,
            rate_control: RateControl::new(),
        }
    }

    /// The same in another cloud.
    #[must_use]
    pub fn with_cloud(self, cloud: Cloud) -> Self {
        Self { cloud, ..self }
    }

    /// The same with or without Privileged Identity Management.
    #[must_use]
    pub fn with_pim(self, pim: bool) -> Self {
        Self { pim, ..self }
    }

    /// The same for a person who has these roles in the tenant by a relationship of the own tenant, a partner's, with it.
    #[must_use]
    pub fn with_partner_roles(self, partner_roles: BTreeSet<RoleId>) -> Self {
        Self {
            partner_roles: Some(partner_roles),
            ..self
        }
    }

    /// The same with another time limit per request.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same with at most so many passwords in one request, 1 to 20.
    #[must_use]
    pub fn with_max_batch(self, max_batch: usize) -> Self {
        Self { max_batch, ..self }
    }

    /// The same under a rate control that other tenants share.
    #[must_use]
    pub fn with_rate_control(self, rate_control: RateControl) -> Self {
        Self {
            rate_control,
            ..self
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let named = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
        let tenant_is_named = self.tenant.contains(['.', '-'])
            && self.tenant.chars().all(named)
            && !NOT_A_TENANT.contains(&self.tenant.as_str());
        if !tenant_is_named {
            return Err(ConfigError::field(
                "tenant",
                format!("`{}`", self.tenant),
                "the tenant's GUID or a verified domain",
            ));
        }
        if self.client_id.parse::<Uuid>().is_err() {
            return Err(ConfigError::field(
                "client_id",
                format!("`{}`", self.client_id),
                "the GUID that the portal calls Application (client) ID",
            ));
        }
        if self.timeout.is_zero() {
            return Err(ConfigError::field("timeout", "no time", "more than zero"));
        }
        if !(1..=LARGEST_BATCH).contains(&self.max_batch) {
            let found = self.max_batch.to_string();
            return Err(ConfigError::field("max_batch", found, "1 to 20"));
        }
        self.credential.check()
    }
}

/// What proves that we are the application, or who signs in to it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credential {
    /// Whoever signed in to the Azure CLI, with `az login`, on this machine
    /// (<https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>). The app is that of the CLI.
    AzureCli,
    /// A certificate with its private key.
    Certificate(ClientCertificate),
    /// A client secret: its value, not its id.
    ClientSecret(SecretString),
    /// A person who signs in with a browser.
    DeviceCode(DeviceCode),
    /// A token of another issuer that the app trusts.
    Federated(FederatedToken),
    /// The identity that Azure gives the machine we run on.
    ManagedIdentity {
        /// Which one, if it is user-assigned.
        client_id: Option<String>,
    },
}

impl Credential {
    /// The app that stands for such a credential if none is configured: the Azure CLI itself, or for a person Microsoft Graph Command Line Tools, which
    /// every tenant has or can consent to
    /// (<https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in>).
    #[must_use]
    pub fn default_client_id(&self) -> Option<&'static str> {
        match self {
            Self::AzureCli => Some("04b07795-8ddb-461a-bbee-02f9e1bf7b46"),
            Self::DeviceCode(_) => Some("14d82eec-204b-4c2f-b7e8-296a70dab67e"),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |found: String, expected| ConfigError::field("credential", found, expected);
        match self {
            Self::Certificate(certificate) => certificate
                .check(SystemClock.now())
                .map_err(|error| wrong(error.to_string(), "one that is valid now")),
            Self::ClientSecret(secret) if secret.expose_secret().trim().is_empty() => Err(wrong(
                "an empty client secret".to_owned(),
                "the secret's value",
            )),
            Self::ManagedIdentity {
                client_id: Some(id),
            } if id.parse::<Uuid>().is_err() => Err(wrong(
                format!("`{id}` as the client_id of a managed identity"),
                "the GUID that the portal calls Client ID",
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AzureCli => f.write_str("AzureCli"),
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::ClientSecret(_) => f.debug_struct("ClientSecret").finish_non_exhaustive(),
            Self::DeviceCode(person) => person.fmt(f),
            Self::Federated(token) => token.fmt(f),
            Self::ManagedIdentity { client_id } => f
                .debug_struct("ManagedIdentity")
                .field("client_id", client_id)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

    fn config(tenant: &str, client_id: &str, secret: &str) -> GraphConfig {
        GraphConfig::new(tenant, client_id, Credential::ClientSecret(secret.into()))
    }

    #[test]
    fn a_wrong_field_is_named_with_what_was_found() {
        for (config, message) in [
            (config("contoso", CLIENT, "s"), "tenant: found `contoso`"),
            (config("common", CLIENT, "s"), "tenant: found `common`"),
            (config("", CLIENT, "s"), "tenant: found ``"),
            (config("a.com/x", CLIENT, "s"), "tenant: found `a.com/x`"),
            (config("a.com", "my app", "s"), "client_id: found `my app`"),
            (config("a.com", CLIENT, " "), "credential: found an empty"),
            (
                config("a.com", CLIENT, "s").with_timeout(Duration::ZERO),
                "timeout: found no time",
            ),
            (
                config("a.com", CLIENT, "s").with_max_batch(0),
                "max_batch: found 0, expected 1 to 20",
            ),
            (
                config("a.com", CLIENT, "s").with_max_batch(21),
                "max_batch: found 21, expected 1 to 20",
            ),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn a_guid_and_a_domain_name_a_tenant() {
        for tenant in [CLIENT, "contoso.onmicrosoft.com"] {
            assert_eq!(config(tenant, CLIENT, "s").check(), Ok(()), "{tenant}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let shown = format!("{:?}", config("a.com", CLIENT, "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
