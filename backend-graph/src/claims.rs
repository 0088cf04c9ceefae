use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rotation_core::{BackendError, CallerKind, Problem};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;

/// What an access token says of its holder
/// (<https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>). Formally a token for Graph is
/// opaque; this is a diagnosis, and what Graph answers decides.
///
/// `wids`, the roles, is left out on purpose: it lacks roles scoped to a unit, keeps roles taken away since, and names
/// one id that is no role. The roles come from the directory.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The tenant.
    pub(crate) tid: Uuid,
    /// The object id of the service principal or user.
    pub(crate) oid: Uuid,
    #[serde(default)]
    roles: Vec<String>,
    scp: Option<String>,
    idtyp: Option<String>,
}

impl Claims {
    fn parse(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = payload.trim_end_matches('=');
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// Only a token for a user has `scp`.
    pub(crate) fn kind(&self) -> CallerKind {
        match (self.idtyp.as_deref(), &self.scp) {
            (Some("app"), _) | (_, None) => CallerKind::AppOnly,
            (_, Some(_)) => CallerKind::Delegated,
        }
    }

    /// The permissions for Graph. The `roles` of a user token are the user's roles in the app, which are none.
    pub(crate) fn permissions(&self) -> BTreeSet<String> {
        match self.kind() {
            CallerKind::AppOnly => self.roles.iter().cloned().collect(),
            CallerKind::Delegated => {
                let scopes = self.scp.as_deref().unwrap_or_default();
                scopes.split_whitespace().map(str::to_owned).collect()
            }
        }
    }
}

/// The claims of our own token.
///
/// # Errors
/// - [`BackendError::Unexpected`] if the token shows no tenant and holder;
/// - [`BackendError::NotAuthorized`] if it is for another tenant than the GUID configured;
/// - those of signing in.
pub(crate) async fn read(client: &Client) -> Result<Claims, BackendError> {
    let token = client.token().await?;
    let claims = Claims::parse(token.expose()).ok_or_else(|| {
        let problem = Problem::new(
            "the access token is opaque: expected a JWT whose claims `tid` and `oid` say who we are",
        );
        BackendError::Unexpected(problem.with_fix("check `cloud`: its authority must be Microsoft Entra ID"))
    })?;
    let configured = client.consent.tenant();
    match configured.parse::<Uuid>() {
        Ok(tenant) if tenant != claims.tid => {
            let problem = Problem::new(format!(
                "the access token is for tenant {}, but tenant {configured} is configured",
                claims.tid
            ));
            Err(BackendError::NotAuthorized(
                problem.with_fix("check `tenant` and `client_id`"),
            ))
        }
        _ => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &serde_json::Value) -> String {
        let mut claims = claims.clone();
        claims["tid"] = json!("00000000-0000-0000-0000-000000000001");
        claims["oid"] = json!("00000000-0000-0000-0000-000000000002");
        format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn permissions_are_the_roles_of_an_app_and_the_scopes_of_a_user() {
        for (claims, kind, permissions) in [
            (
                json!({"idtyp": "app", "roles": ["A", "B"], "wids": ["0997a1d0"]}),
                CallerKind::AppOnly,
                vec!["A", "B"],
            ),
            (json!({"roles": ["A"]}), CallerKind::AppOnly, vec!["A"]),
            (json!({}), CallerKind::AppOnly, vec![]),
            (
                json!({"scp": "A B", "roles": ["C"]}),
                CallerKind::Delegated,
                vec!["A", "B"],
            ),
        ] {
            let parsed = Claims::parse(&token(&claims)).unwrap();
            assert_eq!(parsed.kind(), kind, "{claims}");
            let found: Vec<String> = parsed.permissions().into_iter().collect();
            assert_eq!(found, permissions, "{claims}");
        }
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "opaque", "a.b.c", "e30.e30.", "e30.!!!.", ".."] {
            assert!(Claims::parse(text).is_none(), "{text}");
        }
    }
}
