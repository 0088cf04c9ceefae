use jiff::Timestamp;
use rotation_core::{AccountId, AccountKind, BackendError};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::address::{GraphRoot, GraphUrl};
use crate::answer::Need;
use crate::client::Client;

/// Everything that a plan looks at: without `$select` Graph leaves most of it out.
const SELECT: &str = "$select=id,userPrincipalName,displayName,accountEnabled,userType,\
    onPremisesSyncEnabled,createdDateTime,lastPasswordChangeDateTime,isManagementRestricted";

/// The longest page that Graph gives (<https://learn.microsoft.com/graph/api/user-list>).
const PAGE: &str = "&$top=999";

/// Marks the user name that a tenant gives to a guest
/// (<https://learn.microsoft.com/entra/external-id/user-properties>).
const GUEST_MARK: &str = "#EXT#";

pub(crate) const READ_USERS: Need = Need {
    to: "read the accounts",
    permission: "User.Read.All",
    pim: false,
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

/// The first page of all users.
pub(crate) fn all(graph: &GraphRoot) -> GraphUrl {
    graph.url(&["users"], &format!("{SELECT}{PAGE}"))
}

/// The user with this object id or user name; `None` if there is none.
pub(crate) async fn named(client: &Client, reference: &str) -> Result<Option<User>, BackendError> {
    let answer = client.read(client.graph.user(reference, SELECT)).await?;
    if answer.is_missing() {
        return Ok(None);
    }
    answer.json(&READ_USERS, &client.consent).map(Some)
}

/// When the password of `account` was last changed.
pub(crate) async fn password_changed(
    client: &Client,
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
        pim: false,
    };
    let query = "$select=lastPasswordChangeDateTime";
    let url = client.graph.user(account.as_str(), query);
    let changed: Changed = client.read_json(url, &READ_CHANGE).await?;
    Ok(changed.last_password_change_date_time)
}

/// Which account of an on-premises domain `account` is synced from.
pub(crate) async fn security_id(
    client: &Client,
    account: &AccountId,
) -> Result<Option<String>, BackendError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Synced {
        on_premises_security_identifier: Option<String>,
    }

    const READ_SYNCED: Need = Need {
        to: "read where an account is synced from",
        permission: "User.Read.All",
        pim: false,
    };
    let query = "$select=onPremisesSecurityIdentifier";
    let url = client.graph.user(account.as_str(), query);
    let synced: Synced = client.read_json(url, &READ_SYNCED).await?;
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
