use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use entra_directory::PasswordExpiry;
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, CallerKind, Clock, Outcome, Password,
    Problem, RateController, RoleAssignment, RoleId, RotationBackend, SetPassword, SignIn,
    SystemClock, TenantId,
};

use crate::batch;
use crate::body::password_body;
use crate::client::{Call, Client};
use crate::config::{Credential, GraphConfig};
use crate::customers::{self, Customer, CustomersFrom};
use crate::discovery;
use crate::discovery::at_authority;
use crate::error::ConfigError;
use crate::outcome::outcome;
use crate::password_flow::PasswordFlow;
use crate::permission::Permissions;
use crate::role_ends::{self, RoleEnd};
use crate::traffic::Traffic;

/// One tenant, over Microsoft Graph v1.0. Clones share token, connections and counters.
///
/// # Permissions
/// Application permissions, each the least that Microsoft documents:
/// - to set passwords, `User-PasswordProfile.ReadWrite.All` and a directory role;
/// - to read accounts and their roles, `User.Read.All`, `Domain.Read.All`, `RoleManagement.Read.Directory` and
///   `GroupMember.Read.All`;
/// - with [`GraphConfig::pim`], `PrivilegedEligibilitySchedule.Read.AzureADGroup`;
/// - where roles are assigned in administrative units, `AdministrativeUnit.Read.All`;
/// - to verify by signing in, the delegated permission `openid` with admin consent.
///
/// # What is sent how often
/// A password is sent once per call, and once more only where Graph has certainly done nothing: after a 401, and alone
/// after a batch that was turned away as a whole. Reads are repeated up to four times, as `Retry-After` says, on 429, on
/// 5xx and when no answer came. A sign-in is tried once per call, since wrong passwords lock an account: ten by default
/// (<https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout>).
#[derive(Clone, Debug)]
pub struct GraphBackend {
    client: Arc<Client>,
    password_flow: Arc<PasswordFlow>,
    certificate_expires: Option<Timestamp>,
    pim: bool,
    /// What a person may do here by way of a partner, which the directory lists under a group of another tenant.
    partner_roles: BTreeSet<RoleId>,
    max_batch: usize,
}

impl GraphBackend {
    /// Prepares to act on the tenant of `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// - [`ConfigError::Field`] for a field that cannot work, named with what was found and expected;
    /// - [`ConfigError::Setup`] if this machine's TLS cannot be set up.
    pub fn new(config: GraphConfig) -> Result<Self, ConfigError> {
        let authority = config.cloud.endpoints()?.authority;
        let client = Client::new(&config)?;
        Ok(Self {
            password_flow: Arc::new(PasswordFlow::new(&config, &authority, &client.http)?),
            client: Arc::new(client),
            certificate_expires: match &config.credential {
                Credential::Certificate(certificate) => Some(certificate.until()),
                _ => None,
            },
            pim: config.pim,
            partner_roles: config.partner_roles.unwrap_or_default(),
            max_batch: config.max_batch,
        })
    }

    /// What was asked of Graph so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.client.traffic.read()
    }

    /// Which permissions the caller's token has, lacks, and has in vain. Asks the token endpoint alone.
    ///
    /// # Errors
    /// Those of signing in, and those of [`caller`](RotationBackend::caller) for a token that shows nobody.
    pub async fn permissions(&self) -> Result<Permissions, BackendError> {
        Permissions::read(&self.client, self.pim).await
    }

    /// The GUID of this tenant, however it is named in the configuration, or `None` if the cloud has no such tenant. Anybody
    /// may ask, so nobody signs in.
    ///
    /// # Errors
    /// [`BackendError`] if the authority cannot be asked, or does not answer as it is documented.
    pub async fn tenant_id(&self) -> Result<Option<TenantId>, BackendError> {
        discovery::tenant_id(&self.client, self.password_flow.url()).await
    }

    /// The customers of the partner whose tenant this is, as one of its lists has them.
    ///
    /// # Errors
    /// [`BackendError`] if the list cannot be read to its end, for which it takes what [`CustomersFrom`] says.
    pub async fn customers(&self, from: CustomersFrom) -> Result<Vec<Customer>, BackendError> {
        customers::read(&self.client, from).await
    }

    /// The domains of the tenant whose passwords live in it and expire.
    ///
    /// # Errors
    /// [`BackendError`] if they cannot be read, for which Domain.Read.All is needed.
    pub async fn expiring_passwords(&self) -> Result<Vec<PasswordExpiry>, BackendError> {
        entra_directory::password_expiry(&self.client).await
    }

    /// How far this machine's clock is ahead of the authority's, to the second, which tells the time to anybody; `None` if it
    /// does not answer. What a certificate signs is good for ten minutes by both clocks.
    pub async fn clock_ahead(&self) -> Option<SignedDuration> {
        let there = at_authority(&self.client, self.password_flow.url()).await?;
        Some(SystemClock.now().duration_since(there))
    }

    /// The last moment at which the certificate is good, if it is one that signs in.
    #[must_use]
    pub fn certificate_expires(&self) -> Option<Timestamp> {
        self.certificate_expires
    }

    /// The security id that a synced account has in its on-premises domain; `None` if it is synced from none.
    ///
    /// # Errors
    /// [`BackendError`] if it cannot be read, for which User.Read.All is needed.
    pub async fn on_premises_security_id(
        &self,
        account: &AccountId,
    ) -> Result<Option<String>, BackendError> {
        entra_directory::on_premises_security_id(&self.client, account).await
    }

    /// When the caller's own roles end, of those that Privileged Identity Management lets end; none without it.
    ///
    /// # Errors
    /// [`BackendError`] if it cannot be read, for which RoleManagement.Read.Directory is needed.
    pub async fn role_ends(&self) -> Result<Vec<RoleEnd>, BackendError> {
        if self.pim {
            role_ends::read(&self.client).await
        } else {
            Ok(Vec::new())
        }
    }

    /// Forgets the token: permissions that were granted since show in a new one only.
    pub fn sign_in_anew(&self) {
        self.client.forget_token();
    }

    /// Sets the passwords of one batch. What the directory turned away with the others, it is asked alone.
    async fn set_together(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        if let [request] = batch {
            return vec![self.set_password(request).await];
        }
        let outcomes = batch::set_passwords(&self.client, batch).await;
        let settled = batch
            .iter()
            .zip(outcomes)
            .map(async |(request, outcome)| match outcome {
                Some(outcome) => outcome,
                None => self.set_password(request).await,
            });
        join_all(settled).await
    }
}

#[async_trait]
impl RotationBackend for GraphBackend {
    fn name(&self) -> &'static str {
        "graph"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        let mut caller = entra_directory::caller(&self.client, self.pim).await?;
        if caller.kind == CallerKind::Delegated {
            let by_partner = self.partner_roles.iter().copied();
            caller.roles.extend(by_partner.map(RoleAssignment::active));
        }
        Ok(caller)
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        entra_directory::accounts(Arc::clone(&self.client), self.pim, query).boxed()
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let Ok(body) = password_body(request) else {
            return Outcome::NotSent(Problem::new("the password cannot be written as JSON"));
        };
        let url = self.client.graph.user(request.account.as_str());
        match self.client.send(&Call::patch(url, body)).await {
            Ok(answer) => outcome(&answer, &self.client.consent),
            Err(error) => error.into(),
        }
    }

    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        let batches = batch.chunks(self.max_batch);
        let outcomes = join_all(batches.map(|batch| self.set_together(batch)));
        outcomes.await.concat()
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn rate(&self) -> Option<&RateController> {
        Some(&self.client.rate)
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        entra_directory::password_changed(&self.client, account).await
    }

    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        self.password_flow
            .signs_in(&self.client, account, password)
            .await
    }
}
