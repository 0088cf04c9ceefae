use rotation_core::{
    AccountId, BackendError, Caller, CallerKind, Problem, RoleAssignment, RoleId, TenantId,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::config::Domain;
use crate::pool::Pool;
use crate::protocol::Ask;
use crate::streamed::unread;
use crate::worker::Reply;

/// The relative ids of Domain Admins and Enterprise Admins
/// (<https://learn.microsoft.com/windows-server/identity/ad-ds/manage/understand-security-identifiers>).
const ADMINS: [&str; 2] = ["-512", "-519"];

const BUILT_IN_ADMINISTRATORS: &str = "S-1-5-32-544";
const ACCOUNT_OPERATORS: &str = "S-1-5-32-548";

/// Who a worker runs as.
#[derive(Debug, Deserialize)]
struct Identity {
    /// The domain's object id.
    domain: Uuid,
    /// The caller's.
    id: Uuid,
    /// The security ids of all groups it is in, directly or not.
    groups: Vec<String>,
}

/// Who asks, in the words of the engine.
pub(crate) async fn caller(pool: &Pool, domain: &Domain) -> Result<Caller, BackendError> {
    match pool.read(Ask::Caller).await? {
        Reply::Done { ok, .. } => {
            let identity: Identity = serde_json::from_value(ok).map_err(|_| {
                BackendError::Unexpected(Problem::new("the worker does not say who it runs as"))
            })?;
            Ok(identity.caller(domain.delegated))
        }
        Reply::Failed(record) => Err(unread(record)),
    }
}

impl Identity {
    fn caller(&self, delegated: bool) -> Caller {
        let tenant = TenantId::new(&self.domain.to_string());
        let mut caller = Caller::app_only(tenant, AccountId::new(&self.id.to_string()));
        caller.kind = CallerKind::Delegated;
        if let Some(role) = self.role(delegated) {
            caller.roles = vec![RoleAssignment::active(role)];
            let least = Caller::password_permissions(caller.kind).first();
            caller.permissions.extend(least.map(ToString::to_string));
        }
        caller
    }

    fn role(&self, delegated: bool) -> Option<RoleId> {
        let is_in = |group: &str| self.groups.iter().any(|sid| sid == group);
        // Of a domain: the id of a group of another forest ends so, too, but is none of ours to be in.
        let is_admin = |sid: &String| {
            sid.starts_with("S-1-5-21-") && ADMINS.iter().any(|rid| sid.ends_with(rid))
        };
        if is_in(BUILT_IN_ADMINISTRATORS) || self.groups.iter().any(is_admin) {
            Some(RoleId::GLOBAL_ADMINISTRATOR)
        } else if delegated || is_in(ACCOUNT_OPERATORS) {
            Some(RoleId::USER_ADMINISTRATOR)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_the_role_that_its_groups_or_a_delegation_give_it() {
        let role = |groups: &[&str], delegated| {
            let identity = Identity {
                domain: Uuid::nil(),
                id: Uuid::nil(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            };
            let caller = identity.caller(delegated);
            assert_eq!(caller.may_set_passwords(), !caller.roles.is_empty());
            caller.roles.first().map(|held| held.role)
        };
        let users = "S-1-5-21-1-2-3-513";
        assert_eq!(role(&[users, "S-1-5-32-545"], false), None);
        assert_eq!(role(&[users], true), Some(RoleId::USER_ADMINISTRATOR));
        assert_eq!(
            role(&[ACCOUNT_OPERATORS], false),
            Some(RoleId::USER_ADMINISTRATOR)
        );
        for admin in [
            "S-1-5-21-1-2-3-512",
            "S-1-5-21-1-2-3-519",
            BUILT_IN_ADMINISTRATORS,
        ] {
            assert_eq!(
                role(&[users, admin], false),
                Some(RoleId::GLOBAL_ADMINISTRATOR)
            );
        }
        assert_eq!(role(&["S-1-5-21-1-2-3-1512", "S-1-5-32-512"], false), None);
    }
}
