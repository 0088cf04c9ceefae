use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::BoxStream;
use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountKind, AccountQuery, BackendError, Caller, Outcome, Password,
    Problem, RateController, Refusal, RefusalReason, RotationBackend, SetPassword, SignIn,
};

/// So many accounts may wait for one request to the domain, which takes a quarter of a second.
const WAITING: usize = 16;

/// Tells which account of an on-premises domain an account of the tenant is synced from.
#[async_trait]
pub trait SyncedFrom: Send + Sync {
    /// The security id there, `onPremisesSecurityIdentifier` of the user
    /// (<https://learn.microsoft.com/graph/api/resources/user#properties>); `None` if it is synced from none.
    ///
    /// # Errors
    /// [`BackendError`] if it cannot be read.
    async fn security_id(&self, account: &AccountId) -> Result<Option<String>, BackendError>;
}

/// A tenant some of whose accounts are synced from an on-premises domain: their passwords are set there, since a sync
/// overwrites whatever is set in the tenant
/// (<https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-password-hash-synchronization>). Everything else,
/// and who is who, is the tenant's.
///
/// A password that the domain took is known to the tenant after the next sync, within minutes. So verify by timestamp: the
/// change time is the tenant's, also of synced accounts; and give it more than the two minutes of a cycle
/// (`EngineOptions::verify_timeout`).
///
/// The policy decides whether synced accounts are rotated at all, and the tenant's roles decide who may. They say nothing of
/// the domain, so the worker there refuses the caller's own account, `krbtgt`, and whoever the domain protects unless its
/// caller administers the domain; and the domain controller may refuse more.
#[derive(Clone)]
pub struct HybridBackend {
    tenant: Arc<dyn RotationBackend>,
    domain: Arc<dyn RotationBackend>,
    synced_from: Arc<dyn SyncedFrom>,
}

impl HybridBackend {
    /// `tenant`, but for the passwords of its synced accounts, which are set in `domain`: a backend for Active Directory that
    /// takes security ids for accounts.
    pub fn new(
        tenant: Arc<dyn RotationBackend>,
        domain: Arc<dyn RotationBackend>,
        synced_from: Arc<dyn SyncedFrom>,
    ) -> Self {
        Self {
            tenant,
            domain,
            synced_from,
        }
    }

    async fn set_in_domain(&self, request: &SetPassword) -> Outcome {
        let account = &request.account;
        let id = match self.synced_from.security_id(account).await {
            Ok(Some(id)) => id,
            Ok(None) => {
                let problem = Problem::new(format!(
                    "{account} is synced, and the tenant does not say from which account of the domain"
                ));
                let problem = problem.with_fix(
                    "look at its onPremisesSecurityIdentifier; an account that is no longer synced is planned anew as one of the tenant",
                );
                return Outcome::Refused(Refusal::new(RefusalReason::Other, problem));
            }
            Err(error) => return Outcome::NotSent(error.problem().clone()),
        };
        let mut there = SetPassword::new(AccountId::new(&id), Arc::clone(&request.password));
        there.force_change = request.force_change;
        there.kind = request.kind;
        match self.domain.set_password(&there).await {
            // by the domain controller's clock, with which the tenant's change times cannot be compared
            Outcome::Applied { request_id, .. } => Outcome::Applied {
                request_id,
                answered_at: None,
            },
            outcome => outcome,
        }
    }
}

#[async_trait]
impl RotationBackend for HybridBackend {
    fn name(&self) -> &'static str {
        "hybrid"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        self.tenant.caller().await
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        self.tenant.accounts(query)
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        match request.kind {
            AccountKind::Synced => self.set_in_domain(request).await,
            _ => self.tenant.set_password(request).await,
        }
    }

    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        let is_synced = |request: &&SetPassword| request.kind == AccountKind::Synced;
        let elsewhere = batch.iter().filter(is_synced);
        let here: Vec<_> = batch
            .iter()
            .filter(|one| !is_synced(one))
            .cloned()
            .collect();
        let in_tenant = async {
            match here.as_slice() {
                [] => Vec::new(),
                [one] => vec![self.tenant.set_password(one).await],
                many => self.tenant.set_passwords(many).await,
            }
        };
        let in_domain = join_all(elsewhere.map(|request| self.set_in_domain(request)));
        let (in_tenant, in_domain) = futures::join!(in_tenant, in_domain);
        let (mut in_tenant, mut in_domain) = (in_tenant.into_iter(), in_domain.into_iter());
        let missing = || Outcome::Unknown(Problem::new("the answer leaves this account out"));
        batch
            .iter()
            .map(|request| {
                let outcomes = if is_synced(&request) {
                    &mut in_domain
                } else {
                    &mut in_tenant
                };
                outcomes.next().unwrap_or_else(missing)
            })
            .collect()
    }

    fn max_batch(&self) -> usize {
        self.tenant.max_batch()
    }

    /// Some may wait for the domain, as the tenant takes more at once: few enough to have their turn in time.
    fn max_requests(&self) -> Option<usize> {
        let domain = self.domain.max_requests()?.saturating_mul(WAITING);
        Some(domain.min(self.tenant.max_requests().unwrap_or(usize::MAX)))
    }

    fn rate(&self) -> Option<&RateController> {
        self.tenant.rate()
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        self.tenant.password_changed(account).await
    }

    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        self.tenant.signs_in(account, password).await
    }
}

impl fmt::Debug for HybridBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridBackend").finish_non_exhaustive()
    }
}
