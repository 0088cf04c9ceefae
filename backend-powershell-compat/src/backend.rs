use std::fmt;
use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Outcome, Problem, Refusal,
    RefusalReason, RotationBackend, SetPassword,
};
use uuid::Uuid;

use crate::config::{Directory, PowerShellConfig};
use crate::diagnosis::Diagnosis;
use crate::failure::{Failure, HttpAnswer};
use crate::graph::Graph;
use crate::pool::Pool;
use crate::protocol::Ask;
use crate::secret::Secret;
use crate::worker::Reply;
use crate::{ConfigError, azuread, domain, outcome};

/// One tenant or domain, through PowerShell. Clones share their workers.
///
/// A few long-lived processes ([`PowerShellConfig::workers`]) do one request each at a time; they are started when they are
/// needed, ended when they idle, and replaced when they die, hang or write what is no answer. The request such a process
/// was at is then unknown, unless it certainly heard nothing of it. The workers of a backend that is dropped end by
/// themselves.
///
/// A password is on the way inside this process and on the standard input of a worker, and nowhere else: it is no
/// argument, no environment variable and no file, and no text that PowerShell runs. What PowerShell's own logging could
/// still record, [`diagnose`](Self::diagnose) tells.
///
/// # What is sent how often
/// A password is handed to a module once per call. The modules for Graph are told not to repeat requests by themselves.
/// Reads are repeated up to three times when Graph is busy or out of order.
#[derive(Clone)]
pub struct PowerShellBackend {
    pool: Arc<Pool>,
}

impl PowerShellBackend {
    /// Prepares to act on the directory of `config`. Nothing is started yet.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a field that cannot work, named with what was found and expected.
    pub fn new(config: PowerShellConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            pool: Arc::new(Pool::new(config)),
        })
    }

    /// Starts a worker and signs in, unless that was done before, and says what it runs on and what to be warned of.
    ///
    /// # Errors
    /// - [`BackendError::NotAuthorized`] if a person must act: no PowerShell, a version too old, a module that is missing or
    ///   of another major version, an execution policy, a sign-in that is refused;
    /// - [`BackendError::Unavailable`] if it may pass by itself.
    pub async fn diagnose(&self) -> Result<Diagnosis, BackendError> {
        self.pool.diagnosis().await
    }

    fn config(&self) -> &PowerShellConfig {
        self.pool.config()
    }

    fn is_domain(&self) -> bool {
        matches!(self.config().directory, Directory::Domain(_))
    }

    /// What answers in this directory.
    async fn source(&self) -> Result<Source<'_>, BackendError> {
        Ok(match &self.config().directory {
            Directory::Domain(domain) => Source::Domain(domain),
            Directory::Tenant(tenant) if self.pool.dialect().await?.reads_graph() => {
                Source::Graph(Arc::new(Graph::new(&self.pool, tenant)), tenant.pim)
            }
            Directory::Tenant(_) => Source::AzureAd,
        })
    }
}

/// Whether `text` is the security id of an account of a domain, in whatever case
/// (<https://learn.microsoft.com/windows-server/identity/ad-ds/manage/understand-security-identifiers>).
fn is_sid(text: &str) -> bool {
    let numbers = text
        .get(..9)
        .filter(|begin| begin.eq_ignore_ascii_case("S-1-5-21-"));
    numbers.is_some() && text.chars().skip(9).all(|c| c.is_ascii_digit() || c == '-')
}

enum Source<'a> {
    AzureAd,
    Domain(&'a crate::Domain),
    /// And whether the tenant has Privileged Identity Management.
    Graph(Arc<Graph>, bool),
}

#[async_trait]
impl RotationBackend for PowerShellBackend {
    fn name(&self) -> &'static str {
        "powershell"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        match self.source().await? {
            Source::AzureAd => azuread::caller(&self.pool).await,
            Source::Domain(domain) => domain::caller(&self.pool, domain).await,
            Source::Graph(graph, pim) => entra_directory::caller(&graph, pim).await,
        }
    }

    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        let accounts = async move {
            Ok::<_, BackendError>(match self.source().await? {
                Source::AzureAd => azuread::accounts(&self.pool, query),
                Source::Domain(_) => domain::accounts(&self.pool, query),
                Source::Graph(graph, pim) => entra_directory::accounts(graph, pim, query).boxed(),
            })
        };
        until_error(stream::once(accounts).try_flatten().boxed())
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let account = request.account.as_str();
        let place = format!("setting the password of {account}");
        // A user name would be taken by some cmdlets, and mean another account tomorrow.
        if account.parse::<Uuid>().is_err() && !(self.is_domain() && is_sid(account)) {
            let problem = Problem::new(format!("{place}: found no object id, expected a GUID"));
            let problem = problem.with_fix("plan again");
            return Outcome::Refused(Refusal::new(RefusalReason::AccountMissing, problem));
        }
        let ask = Ask::Set {
            account: account.to_owned(),
            force_change: request.force_change,
        };
        let secret = Secret::Password(Arc::clone(&request.password));
        match self.pool.ask(ask, Some(secret)).await {
            Ok(Reply::Done { ok, .. }) => match serde_json::from_value::<HttpAnswer>(ok) {
                Ok(answer) => outcome::done(&answer, &place),
                Err(_) => Outcome::Unknown(Problem::new(format!(
                    "{place}: the worker does not say what became of it"
                ))),
            },
            Ok(Reply::Failed(record)) => outcome::failed(&Failure::from(record), &place),
            Err(no_reply) => no_reply.into(),
        }
    }

    /// What waits for a worker counts as under way.
    fn max_requests(&self) -> Option<usize> {
        Some(self.config().workers)
    }

    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        match self.source().await? {
            Source::AzureAd => azuread::password_changed(&self.pool, account).await,
            Source::Domain(_) => domain::password_changed(&self.pool, account).await,
            Source::Graph(graph, _) => entra_directory::password_changed(&graph, account).await,
        }
    }
}

impl fmt::Debug for PowerShellBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerShellBackend")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

fn until_error<'a, T: Send + 'a>(
    items: BoxStream<'a, Result<T, BackendError>>,
) -> BoxStream<'a, Result<T, BackendError>> {
    let until = items.scan(false, |failed, item| {
        let item = (!*failed).then_some(item);
        *failed |= matches!(item, Some(Err(_)));
        ready(item)
    });
    until.boxed()
}
