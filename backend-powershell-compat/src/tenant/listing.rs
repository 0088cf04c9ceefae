use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Holdings, Problem, RoleTable, Scope, UnitId,
};
use serde::Deserialize;
use uuid::Uuid;

use super::claims::Claims;
use super::get::{Graph, Need, Pages};
use super::roles;
use super::units;
use super::users::{self, READ_USERS, User};

const READ_DOMAINS: Need = Need {
    to: "read the tenant's domains",
    permission: "Domain.Read.All",
};

/// How many of the pages given last are remembered: an account that the directory moves while it is listed comes again a
/// page or two later.
const REMEMBERED: usize = 50_000;

/// <https://learn.microsoft.com/graph/api/resources/domain>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TenantDomain {
    id: String,
    authentication_type: String,
}

/// What must be known of a tenant before the first of its accounts can be described.
struct Surroundings {
    roles: RoleTable,
    federated: HashSet<String>,
    units: HashMap<Uuid, Vec<UnitId>>,
}

/// The accounts that `query` names, each once.
pub(crate) fn accounts(
    graph: Graph<'_>,
    query: AccountQuery,
) -> BoxStream<'_, Result<Account, BackendError>> {
    let described = async move {
        let surroundings = Arc::new(Surroundings::read(graph).await?);
        let users = match query {
            AccountQuery::All => all(graph),
            AccountQuery::Named(references) => named(graph, references),
            // Newer than this crate: neither more nor fewer accounts than asked for would be right.
            other => {
                let problem = Problem::new(format!("cannot read accounts by {other:?}"));
                stream::once(ready(Err(BackendError::Unexpected(problem)))).boxed()
            }
        };
        Ok::<_, BackendError>(users.map_ok(move |user| surroundings.account(user)))
    };
    stream::once(described).try_flatten().boxed()
}

fn named(graph: Graph<'_>, references: Vec<String>) -> BoxStream<'_, Result<User, BackendError>> {
    let mut seen = HashSet::new();
    stream::iter(references)
        .map(move |reference| async move { users::named(graph, &reference).await.transpose() })
        .buffered(8)
        .filter_map(ready)
        // An account may be named twice, by id and by user name.
        .try_filter(move |user| ready(seen.insert(user.id)))
        .boxed()
}

fn all(graph: Graph<'_>) -> BoxStream<'_, Result<User, BackendError>> {
    let mut seen = Seen::default();
    let pages = Pages::<User>::new(graph, users::all(), &READ_USERS);
    stream::try_unfold(pages, |mut pages| async move {
        let users = pages.next().await?;
        Ok::<_, BackendError>(users.map(|users| (stream::iter(users).map(Ok), pages)))
    })
    .try_flatten()
    .try_filter(move |user: &User| ready(seen.is_new(user.id)))
    .boxed()
}

/// The ids given last, so many at least and twice as many at most.
#[derive(Default)]
struct Seen {
    recent: HashSet<Uuid>,
    older: HashSet<Uuid>,
}

impl Seen {
    fn is_new(&mut self, id: Uuid) -> bool {
        if self.recent.len() == REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
        }
        !self.older.contains(&id) && self.recent.insert(id)
    }
}

impl Surroundings {
    async fn read(graph: Graph<'_>) -> Result<Self, BackendError> {
        let claims = Claims::read(graph).await?;
        let roles = roles::read(graph).await?;
        let domains = "domains?$select=id,authenticationType";
        let domains: Vec<TenantDomain> = graph.all(domains, &READ_DOMAINS).await?;
        let federated = domains.into_iter().filter_map(|domain| {
            let is_federated = domain.authentication_type.eq_ignore_ascii_case("federated");
            is_federated.then(|| domain.id.to_ascii_lowercase())
        });
        Ok(Self {
            federated: federated.collect(),
            units: units_of(graph, &roles, claims.oid).await?,
            roles,
        })
    }

    /// Describes `user`. What it holds stays unknown if its answer does not tell whether it is under restricted
    /// management.
    fn account(&self, user: User) -> Account {
        let federated = |domain: &str| self.federated.contains(&domain.to_ascii_lowercase());
        let kind = user.kind(federated);
        let holdings = self.holdings(&user);
        let id = AccountId::new(&user.id.to_string());
        let mut account = Account::new(id, user.user_principal_name);
        account.display_name = user.display_name.unwrap_or_default();
        account.kind = kind;
        account.enabled = user.account_enabled.unwrap_or(true);
        account.created = user.created_date_time;
        account.password_changed = user.last_password_change_date_time;
        account.holdings = holdings;
        account
    }

    fn holdings(&self, user: &User) -> Option<Holdings> {
        let restricted = user.management_restricted()?;
        let mut holdings = self.roles.holdings(user.id);
        holdings.management_restricted = restricted;
        holdings.units = self.units.get(&user.id).cloned().unwrap_or_default();
        Some(holdings)
    }
}

/// Who is in the administrative units that the caller's roles are scoped to: to a caller without such roles, units do
/// not matter.
async fn units_of(
    graph: Graph<'_>,
    roles: &RoleTable,
    caller: Uuid,
) -> Result<HashMap<Uuid, Vec<UnitId>>, BackendError> {
    let scopes = roles.of(caller).iter().map(|held| &held.scope);
    let units: HashSet<Uuid> = scopes
        .filter_map(|scope| match scope {
            Scope::Unit { id, .. } => id.as_str().parse().ok(),
            _ => None,
        })
        .collect();
    let mut of = HashMap::<Uuid, Vec<UnitId>>::new();
    for unit in units {
        let id = UnitId::new(&unit.to_string());
        for member in units::members(graph, unit).await? {
            of.entry(member).or_default().push(id.clone());
        }
    }
    Ok(of)
}
