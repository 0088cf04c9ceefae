use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::{
    Account, AccountId, AccountKind, BackendError, Caller, Outcome, Password, Problem,
    RateController,
};

/// Reads the accounts of one tenant and sets their passwords.
///
/// # Contract
/// - [`Outcome::Applied`] and [`Outcome::Refused`] are promises: whoever is not certain answers [`Outcome::Unknown`].
///   A backend may repeat a request by itself only if the directory certainly did not act on it.
/// - Setting the same password twice is harmless; the engine does it whenever an answer was lost.
/// - An account whose roles cannot be established has `holdings: None`; it is never reported as holding nothing.
/// - Dropping a future returned here is allowed at any time; a request under way is then unknown to the engine.
/// - No password may reach a log, an error, a `Debug` output or a temporary file.
///
/// The conformance suite `testkit::backend_suite` checks an implementation.
#[async_trait]
pub trait RotationBackend: Send + Sync {
    /// What kind of backend this is, in a word: it goes into the history of every version.
    fn name(&self) -> &'static str;

    /// The identity we act as, with its permissions and roles, as the directory sees it now.
    async fn caller(&self) -> Result<Caller, BackendError>;

    /// The accounts that `query` names, each once. Ends after the first error; an account named by `query` that does
    /// not exist is left out.
    fn accounts(&self, query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>>;

    /// Sets one password, once.
    async fn set_password(&self, request: &SetPassword) -> Outcome;

    /// Sets up to [`max_batch`](Self::max_batch) passwords of different accounts, and gives the outcome of each in the
    /// order asked. What is missing in the answer counts as unknown.
    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        futures::future::join_all(batch.iter().map(|request| self.set_password(request))).await
    }

    /// How many passwords one call of [`set_passwords`](Self::set_passwords) takes; at least 1.
    fn max_batch(&self) -> usize {
        1
    }

    /// How many requests may be under way here at once, if few: what waits inside the backend uses up the time of its attempt.
    fn max_requests(&self) -> Option<usize> {
        None
    }

    /// The controller of everything that is sent to this tenant, if the backend takes turns from it for its own reads and
    /// tells it what the directory answers, to changes too. The engine then takes a turn from it for every password;
    /// otherwise it keeps a controller of its own, for passwords and change times, and tells it the outcomes.
    fn rate(&self) -> Option<&RateController> {
        None
    }

    /// When the directory last changed the password of `account`, by the directory's own clock; `None` if it does
    /// not say. May lag behind a change just made.
    async fn password_changed(
        &self,
        account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError>;

    /// Whether `password` signs `account` in, asked of the directory by signing in. By default nobody can tell.
    async fn signs_in(&self, account: &Account, password: &Password) -> SignIn {
        let (_, _) = (account, password);
        SignIn::CannotTell(Problem::new("this backend cannot sign in as an account"))
    }
}

/// What an attempt to sign in as an account said about a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "yes, no, or neither")]
pub enum SignIn {
    /// It is the right one, even if something else, like a second factor, was missing.
    Right,
    /// It is not the right one, or not yet everywhere.
    Wrong,
    /// The directory does not let us find out this way.
    CannotTell(Problem),
}

/// Which accounts to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountQuery {
    /// Every account of the tenant.
    All,
    /// The accounts with these object ids or user names.
    Named(Vec<String>),
}

impl AccountQuery {
    /// Whether it names `account`: for backends that look through all they have.
    #[must_use]
    pub fn names(&self, account: &Account) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| {
                AccountId::new(name) == account.id || account.user_name.eq_ignore_ascii_case(name)
            }),
        }
    }
}

/// One password to set. Clones share the password's one buffer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SetPassword {
    /// Whose password.
    pub account: AccountId,
    /// The new password.
    pub password: Arc<Password>,
    /// Whether its user must choose another one at the next sign-in.
    pub force_change: bool,
    /// Where its password lived when it was planned, for backends that reach several directories.
    pub kind: AccountKind,
}

impl SetPassword {
    /// Sets `password`, with no change forced.
    #[must_use]
    pub fn new(account: AccountId, password: Arc<Password>) -> Self {
        Self {
            account,
            password,
            force_change: false,
            kind: AccountKind::Cloud,
        }
    }
}
