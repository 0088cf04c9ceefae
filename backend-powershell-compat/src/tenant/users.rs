use std::fmt::Write as _;

use jiff::Timestamp;
use rotation_core::{AccountId, AccountKind, BackendError};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::get::{Graph, Need};

/// Everything that a plan looks at: without `$select` Graph leaves most of it out.
const SELECT: &str = "$select=id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled,\
    createdDateTime,lastPasswordChangeDateTime,isManagementRestricted";

/// The longest page that Graph gives (<https://learn.microsoft.com/graph/api/user-list>).
const PAGE: &str = "&$top=999";

/// Marks the user name that a tenant gives to a guest
/// (<https://learn.microsoft.com/entra/external-id/user-properties>).
const GUEST_MARK: &str = "#EXT#";

pub(crate) const READ_USERS: Need = Need {
    to: "read the accounts",
    permission: "User.Read.All",
};

/// A user as Graph describes it (<https://learn.microsoft.com/graph/api/resources/user>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) user_principal_name: String,
    pub(crate) display_name: Option<String>,
    /// Null if our permissions show no more than the basic profile.
    pub(crate) account_enabled: Option<bool>,
    user_type: Option<String>,
    on_premises_sync_enabled: Option<bool>,
    pub(crate) created_date_time: Option<Timestamp>,
    pub(crate) last_password_change_date_time: Option<Timestamp>,
    /// `None` if absent, in a cloud that does not know it yet; null means false.
    #[serde(default, deserialize_with = "present")]
    is_management_restricted: Option<Option<bool>>,
}

impl User {
    /// Where the password lives. `federated` tells whether a domain is.
    pub(crate) fn kind(&self, federated: impl Fn(&str) -> bool) -> AccountKind {
        let guest = self
            .user_type
            .as_deref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("guest"));
        let name = &self.user_principal_name;
        let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain);
        if guest || name.to_ascii_uppercase().contains(GUEST_MARK) {
            AccountKind::Guest
        } else if self.on_premises_sync_enabled == Some(true) {
            AccountKind::Synced
        } else if federated(domain) {
            AccountKind::Federated
        } else {
            AccountKind::Cloud
        }
    }

    /// Whether only roles scoped to its administrative unit may manage it; `None` if the answer does not tell.
    pub(crate) fn management_restricted(&self) -> Option<bool> {
        self.account_enabled?;
        Some(self.is_management_restricted?.unwrap_or(false))
    }
}

/// Tells a null from nothing at all.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<bool>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Where the first page of all users is.
pub(crate) fn all() -> String {
    format!("users?{SELECT}{PAGE}")
}

/// The user with this object id or user name; `None` if there is none.
pub(crate) async fn named(graph: Graph<'_>, reference: &str) -> Result<Option<User>, BackendError> {
    if reference.is_empty() {
        return Ok(None);
    }
    let path = format!("{}?{SELECT}", user(reference));
    graph.find(&path, &READ_USERS).await
}

/// When the password of `account` was last changed.
pub(crate) async fn password_changed(
    graph: Graph<'_>,
    account: &AccountId,
) -> Result<Option<Timestamp>, BackendError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Changed {
        last_password_change_date_time: Option<Timestamp>,
    }

    const READ_CHANGE: Need = Need {
        to: "read when a password was changed",
        permission: "User.Read.All",
    };
    let path = format!(
        "{}?$select=lastPasswordChangeDateTime",
        user(account.as_str())
    );
    let changed: Option<Changed> = graph.find(&path, &READ_CHANGE).await?;
    Ok(changed.and_then(|changed| changed.last_password_change_date_time))
}

/// A user by object id or user name
/// (<https://learn.microsoft.com/graph/api/user-get>, "User principal names that begin with $").
fn user(reference: &str) -> String {
    let misread = reference.starts_with('$') || reference.chars().all(|c| c == '.');
    if misread {
        format!("users('{}')", encoded(&reference.replace('\'', "''")))
    } else {
        format!("users/{}", encoded(reference))
    }
}

/// Percent-encoded, but for what needs no encoding anywhere (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // A String takes everything.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_name_stays_one_segment_whatever_is_in_it() {
        for (reference, path) in [
            ("ada@contoso.com", "users/ada%40contoso.com"),
            ("a_b#EXT#@c.d", "users/a_b%23EXT%23%40c.d"),
            (
                "O'Brien\"`$(calc);\n@é",
                "users/O%27Brien%22%60%24%28calc%29%3B%0A%40%C3%A9",
            ),
            ("../organization?x", "users/..%2Forganization%3Fx"),
            ("$it's", "users('%24it%27%27s')"),
            ("..", "users('..')"),
        ] {
            assert_eq!(user(reference), path);
        }
    }

    #[test]
    fn the_kind_is_where_the_password_lives_and_restriction_is_unknown_unless_told() {
        let user = |name: &str, kind: Option<&str>, synced: Option<bool>| -> User {
            serde_json::from_value(json!({
                "id": "00000000-0000-0000-0000-000000000001", "userPrincipalName": name,
                "accountEnabled": true, "userType": kind, "onPremisesSyncEnabled": synced,
            }))
            .unwrap()
        };
        let kind = |user: User| user.kind(|domain| domain == "adfs.c.d");
        assert_eq!(kind(user("a@c.d", None, None)), AccountKind::Cloud);
        assert_eq!(kind(user("a@c.d", Some("Guest"), None)), AccountKind::Guest);
        assert_eq!(kind(user("a#ext#@c.d", None, None)), AccountKind::Guest);
        assert_eq!(
            kind(user("a@adfs.c.d", None, Some(true))),
            AccountKind::Synced
        );
        assert_eq!(
            kind(user("a@adfs.c.d", None, Some(false))),
            AccountKind::Federated
        );
        assert_eq!(user("a@c.d", None, None).management_restricted(), None);
    }
}
