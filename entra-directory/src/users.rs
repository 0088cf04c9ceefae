use std::sync::Arc;

use jiff::Timestamp;
use rotation_core::{AccountId, AccountKind, BackendError};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::need::{READ_CHANGE, READ_SYNCED, READ_USERS};
use crate::path::user_path;
use crate::reader::{GraphReader, ReadError};

/// Everything that a plan looks at: without `$select` Graph leaves most of it out.
const SELECT: &str = "$select=id,userPrincipalName,displayName,accountEnabled,userType,\
    onPremisesSyncEnabled,createdDateTime,lastPasswordChangeDateTime,isManagementRestricted";

/// The longest page that Graph gives (<https://learn.microsoft.com/graph/api/user-list>).
const PAGE: &str = "&$top=999";

/// Marks the user name that a tenant gives to a guest
/// (<https://learn.microsoft.com/entra/external-id/user-properties>).
const GUEST_MARK: &str = "#EXT#";

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

    /// Whether only roles scoped to its administrative unit may manage it; `None` if the answer does not tell,
    /// because the cloud does not know the property or our permissions do not show it.
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
pub(crate) async fn named<G: GraphReader>(
    graph: &Arc<G>,
    reference: &str,
) -> Result<Option<User>, BackendError> {
    if reference.is_empty() {
        return Ok(None);
    }
    let path = format!("{}?{SELECT}", user_path(reference));
    match graph.read(&graph.at(&path), &READ_USERS).await {
        Err(ReadError::Missing(_)) => Ok(None),
        read => Ok(Some(read?)),
    }
}

/// When the password of `account` was last changed, if Graph tells; nothing is told of an account that is missing.
///
/// # Errors
/// [`BackendError`] if it cannot be read, for which User.Read.All is needed.
pub async fn password_changed<G: GraphReader>(
    graph: &Arc<G>,
    account: &AccountId,
) -> Result<Option<Timestamp>, BackendError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Changed {
        last_password_change_date_time: Option<Timestamp>,
    }

    let user = user_path(account.as_str());
    let address = graph.at(&format!("{user}?$select=lastPasswordChangeDateTime"));
    match graph.read::<Changed>(&address, &READ_CHANGE).await {
        Err(ReadError::Missing(_)) => Ok(None),
        read => Ok(read?.last_password_change_date_time),
    }
}

/// The security id that a synced account has in its on-premises domain; `None` if it is synced from none.
///
/// # Errors
/// [`BackendError`] if it cannot be read, for which User.Read.All is needed.
pub async fn on_premises_security_id<G: GraphReader>(
    graph: &Arc<G>,
    account: &AccountId,
) -> Result<Option<String>, BackendError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Synced {
        on_premises_security_identifier: Option<String>,
    }

    let user = user_path(account.as_str());
    let address = graph.at(&format!("{user}?$select=onPremisesSecurityIdentifier"));
    let synced: Synced = graph.read(&address, &READ_SYNCED).await?;
    Ok(synced.on_premises_security_identifier)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(properties: serde_json::Value) -> User {
        let mut user = json!({
            "id": "00000000-0000-0000-0000-000000000001",
            "userPrincipalName": "adele@contoso.com",
            "accountEnabled": true,
            "isManagementRestricted": null,
        });
        for (name, value) in properties.as_object().unwrap() {
            user[name] = value.clone();
        }
        serde_json::from_value(user).unwrap()
    }

    #[test]
    fn the_kind_is_where_the_password_lives() {
        for (properties, kind) in [
            (json!({}), AccountKind::Cloud),
            (json!({"userType": "Member"}), AccountKind::Cloud),
            (json!({"userType": "Guest"}), AccountKind::Guest),
            (
                json!({"userPrincipalName": "a_b.com#ext#@contoso.com"}),
                AccountKind::Guest,
            ),
            (json!({"onPremisesSyncEnabled": true}), AccountKind::Synced),
            (json!({"onPremisesSyncEnabled": false}), AccountKind::Cloud),
            (
                json!({"userPrincipalName": "adele@adfs.contoso.com"}),
                AccountKind::Federated,
            ),
            (
                json!({"userPrincipalName": "a@adfs.contoso.com", "onPremisesSyncEnabled": true}),
                AccountKind::Synced,
            ),
        ] {
            let found = user(properties.clone()).kind(|domain| domain == "adfs.contoso.com");
            assert_eq!(found, kind, "{properties}");
        }
    }

    #[test]
    fn restriction_is_unknown_unless_the_answer_tells() {
        assert_eq!(user(json!({})).management_restricted(), Some(false));
        let restricted = user(json!({"isManagementRestricted": true}));
        assert_eq!(restricted.management_restricted(), Some(true));
        let basic_profile = user(json!({"accountEnabled": null}));
        assert_eq!(basic_profile.management_restricted(), None);

        let older_cloud = json!({
            "id": "00000000-0000-0000-0000-000000000001",
            "userPrincipalName": "a@b.c",
            "accountEnabled": true,
        });
        let older_cloud: User = serde_json::from_value(older_cloud).unwrap();
        assert_eq!(older_cloud.management_restricted(), None);
    }
}
