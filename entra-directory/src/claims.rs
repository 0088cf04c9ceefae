use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rotation_core::CallerKind;
use serde::Deserialize;
use uuid::Uuid;

/// What an access token says of its holder
/// (<https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>). Formally a token for Graph is
/// opaque; this is a diagnosis, and what Graph answers decides.
///
/// `wids`, the roles, is left out on purpose: it lacks roles scoped to a unit, keeps roles taken away since, and names
/// one id that is no role. The roles come from the directory.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The tenant.
    pub tid: Uuid,
    /// The object id of the service principal or user.
    pub oid: Uuid,
    #[serde(default)]
    roles: Vec<String>,
    scp: Option<String>,
    idtyp: Option<String>,
}

impl Claims {
    /// Those of an access token; `None` if it shows no tenant and holder.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        Self::parse(token.split('.').nth(1)?)
    }

    /// Those in the second part of an access token alone, which opens nothing.
    #[must_use]
    pub fn parse(payload: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('='));
        serde_json::from_slice(&payload.ok()?).ok()
    }

    /// Whether they are of another tenant than the one that is `configured`, by GUID or by domain.
    #[must_use]
    pub fn are_of_another(&self, configured: &str) -> bool {
        let configured = configured.parse::<Uuid>();
        configured.is_ok_and(|tenant| tenant != self.tid)
    }

    /// Of whom they are: only a token for a user has `scp`.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        match (self.idtyp.as_deref(), &self.scp) {
            (Some("app"), _) | (_, None) => CallerKind::AppOnly,
            (_, Some(_)) => CallerKind::Delegated,
        }
    }

    /// The permissions for Graph. The `roles` of a user token are the user's roles in the app, which are none.
    #[must_use]
    pub fn permissions(&self) -> BTreeSet<String> {
        match self.kind() {
            CallerKind::AppOnly => self.roles.iter().cloned().collect(),
            CallerKind::Delegated => {
                let scopes = self.scp.as_deref().unwrap_or_default();
                scopes.split_whitespace().map(str::to_owned).collect()
            }
        }
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
            let parsed = Claims::of_token(&token(&claims)).unwrap();
            assert_eq!(parsed.kind(), kind, "{claims}");
            let found: Vec<String> = parsed.permissions().into_iter().collect();
            assert_eq!(found, permissions, "{claims}");
        }
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "opaque", "a.b.c", "e30.e30.", "e30.!!!.", ".."] {
            assert!(Claims::of_token(text).is_none(), "{text}");
        }
    }
}
