use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rotation_core::{Account, AccountId, BackendError, Holdings, RoleTable, Scope, UnitId};
use uuid::Uuid;

use crate::domains;
use crate::reader::GraphReader;
use crate::roles;
use crate::units;
use crate::users::User;

/// What must be known of a tenant before the first of its accounts can be described.
pub(crate) struct Directory {
    roles: RoleTable,
    federated: HashSet<String>,
    units: HashMap<Uuid, Vec<UnitId>>,
}

impl Directory {
    pub(crate) async fn read<G: GraphReader>(
        graph: &Arc<G>,
        pim: bool,
    ) -> Result<Self, BackendError> {
        let claims = graph.claims().await?;
        let (roles, federated) =
            futures::try_join!(roles::read(graph, pim), domains::federated(graph))?;
        let units = units_of_caller(graph, &roles, claims.oid).await?;
        Ok(Self {
            roles,
            federated,
            units,
        })
    }

    /// Describes `user`. What it holds stays unknown if its answer does not tell whether it is under restricted
    /// management.
    pub(crate) fn account(&self, user: User) -> Account {
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
async fn units_of_caller<G: GraphReader>(
    graph: &Arc<G>,
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
