use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rotation_core::{AccountId, BackendError, Caller, CallerKind, Problem, TenantId};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::get::Graph;
use super::roles;
use crate::failure::Failure;
use crate::protocol::Ask;
use crate::worker::Reply;

/// What the session's access token says of its holder
/// (<https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>). The worker hands over this part
/// alone, without the signature that makes it a token.
///
/// `wids`, the roles, is left out on purpose: it lacks roles scoped to a unit, and keeps roles taken away since. The
/// roles come from the directory.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The tenant.
    tid: Uuid,
    /// The object id of the service principal or user.
    pub(crate) oid: Uuid,
    #[serde(default)]
    roles: Vec<String>,
    scp: Option<String>,
    idtyp: Option<String>,
}

impl Claims {
    pub(crate) async fn read(graph: Graph<'_>) -> Result<Self, BackendError> {
        let claims = match graph.ask(Ask::Claims).await? {
            Reply::Done { ok, .. } => Self::parse(&ok),
            Reply::Failed(record) => {
                let problem = Failure::from(record).problem("cannot see who is signed in");
                return Err(BackendError::Unavailable(problem));
            }
        };
        let claims = claims.ok_or_else(|| {
            let message = "the session's access token is opaque: expected a JWT whose claims `tid` and `oid` say who we are";
            BackendError::Unexpected(Problem::new(message).with_fix("check `environment`"))
        })?;
        match graph.tenant.parse::<Uuid>() {
            Ok(tenant) if tenant != claims.tid => {
                let message = format!(
                    "the session is in tenant {}, but tenant {tenant} is configured",
                    claims.tid
                );
                let problem = Problem::new(message).with_fix("check the tenant and how to sign in");
                Err(BackendError::NotAuthorized(problem))
            }
            _ => Ok(claims),
        }
    }

    fn parse(answer: &Value) -> Option<Self> {
        let claims = answer.get("claims")?.as_str()?.trim_end_matches('=');
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Only a token for a user has `scp`.
    fn kind(&self) -> CallerKind {
        match (self.idtyp.as_deref(), &self.scp) {
            (Some("app"), _) | (_, None) => CallerKind::AppOnly,
            (_, Some(_)) => CallerKind::Delegated,
        }
    }

    /// The permissions for Graph. The `roles` of a user token are the user's roles in the app, which are none.
    fn permissions(&self) -> BTreeSet<String> {
        match self.kind() {
            CallerKind::AppOnly => self.roles.iter().cloned().collect(),
            CallerKind::Delegated => {
                let scopes = self.scp.as_deref().unwrap_or_default();
                scopes.split_whitespace().map(str::to_owned).collect()
            }
        }
    }
}

/// Who is signed in: tenant, identity and permissions from the session, roles from the directory.
pub(crate) async fn caller(graph: Graph<'_>) -> Result<Caller, BackendError> {
    let claims = Claims::read(graph).await?;
    let roles = roles::read(graph).await?;
    let tenant = TenantId::new(&claims.tid.to_string());
    let mut caller = Caller::app_only(tenant, AccountId::new(&claims.oid.to_string()));
    caller.kind = claims.kind();
    caller.permissions = claims.permissions();
    caller.roles = roles.of(claims.oid).to_vec();
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(claims: &Value) -> Option<Claims> {
        let encoded = URL_SAFE_NO_PAD.encode(claims.to_string());
        Claims::parse(&json!({"claims": encoded}))
    }

    #[test]
    fn permissions_are_the_roles_of_an_app_and_the_scopes_of_a_user() {
        let id = "00000000-0000-0000-0000-000000000001";
        let app =
            claims(&json!({"tid": id, "oid": id, "idtyp": "app", "roles": ["A", "B"]})).unwrap();
        assert_eq!(app.kind(), CallerKind::AppOnly);
        assert_eq!(app.permissions().len(), 2);
        let user = claims(&json!({"tid": id, "oid": id, "scp": "A B C", "roles": ["D"]})).unwrap();
        assert_eq!(user.kind(), CallerKind::Delegated);
        assert!(!user.permissions().contains("D"));
        assert_eq!(user.permissions().len(), 3);
        assert!(claims(&json!({"tid": id})).is_none());
        assert!(Claims::parse(&json!({"claims": "!"})).is_none());
        assert!(Claims::parse(&json!({})).is_none());
    }
}
