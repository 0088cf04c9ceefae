//! What a tenant says of itself through the retired module `AzureAD`.
//!
//! It cannot say who is eligible for a role, nor who is under restricted management, so what its accounts hold stays
//! unknown, and the engine denies them all: passwords are set for whoever calls the backend directly.

use std::collections::HashSet;
use std::future::ready;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use rotation_core::{
    Account, AccountId, AccountKind, AccountQuery, BackendError, Caller, CallerKind, Problem,
    RoleAssignment, RoleId, TenantId,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::pool::Pool;
use crate::protocol::Ask;
use crate::streamed::{gathered, streamed, unread};
use crate::worker::Reply;

/// A user (<https://learn.microsoft.com/powershell/module/azuread/get-azureaduser>).
#[derive(Debug, Deserialize)]
struct User {
    id: Uuid,
    user_principal_name: String,
    display_name: Option<String>,
    enabled: Option<bool>,
    user_type: Option<String>,
    synced: Option<bool>,
    /// When older refresh tokens stopped to be good for anything: whenever the password was changed.
    password_changed: Option<Timestamp>,
}

/// Who a worker is signed in as.
#[derive(Debug, Deserialize)]
struct Identity {
    tenant: Uuid,
    id: Uuid,
    is_person: bool,
    /// The template ids of its roles.
    roles: Vec<Uuid>,
}

impl User {
    fn account(self) -> Account {
        let is_guest = self
            .user_type
            .is_some_and(|kind| kind.eq_ignore_ascii_case("guest"))
            || self
                .user_principal_name
                .to_ascii_uppercase()
                .contains("#EXT#");
        let mut account = Account::new(
            AccountId::new(&self.id.to_string()),
            self.user_principal_name,
        );
        account.display_name = self.display_name.unwrap_or_default();
        account.kind = match (is_guest, self.synced) {
            (true, _) => AccountKind::Guest,
            (false, Some(true)) => AccountKind::Synced,
            (false, _) => AccountKind::Cloud,
        };
        account.enabled = self.enabled.unwrap_or(true);
        account.password_changed = self.password_changed;
        account
    }
}

/// The accounts that `query` names, each once.
pub(crate) fn accounts(
    pool: &Pool,
    query: AccountQuery,
) -> BoxStream<'_, Result<Account, BackendError>> {
    let users = match query {
        AccountQuery::All => streamed::<User>(pool, Vec::new()),
        AccountQuery::Named(references) => {
            let mut seen = HashSet::new();
            stream::once(async move { gathered::<User>(pool, references).await })
                .map_ok(|users| stream::iter(users).map(Ok))
                .try_flatten()
                .try_filter(move |user| ready(seen.insert(user.id)))
                .boxed()
        }
        other => {
            let problem = Problem::new(format!("cannot read accounts by {other:?}"));
            stream::once(ready(Err(BackendError::Unexpected(problem)))).boxed()
        }
    };
    users.map_ok(User::account).boxed()
}

/// When the password of `account` was last changed.
pub(crate) async fn password_changed(
    pool: &Pool,
    account: &AccountId,
) -> Result<Option<Timestamp>, BackendError> {
    let users: Vec<User> = gathered(pool, vec![account.to_string()]).await?;
    Ok(users.first().and_then(|user| user.password_changed))
}

/// Who is signed in. The session of a person may do in the directory what the person may.
pub(crate) async fn caller(pool: &Pool) -> Result<Caller, BackendError> {
    let identity: Identity = match pool.read(Ask::Caller).await? {
        Reply::Done { ok, .. } => serde_json::from_value(ok).map_err(|_| {
            BackendError::Unexpected(Problem::new("the worker does not say who is signed in"))
        })?,
        Reply::Failed(record) => return Err(unread(record)),
    };
    let tenant = TenantId::new(&identity.tenant.to_string());
    let mut caller = Caller::app_only(tenant, AccountId::new(&identity.id.to_string()));
    if identity.is_person {
        caller.kind = CallerKind::Delegated;
        let session = "Directory.AccessAsUser.All".to_owned();
        caller.permissions.insert(session);
    }
    let roles = identity.roles.into_iter();
    caller.roles = roles
        .map(|role| RoleAssignment::active(RoleId::new(role)))
        .collect();
    Ok(caller)
}
