//! How a user looks in JSON.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::GraphError;
use crate::clock::graph_time;
use crate::directory::{Access, Account};
use crate::seed::Origin;

/// What comes without `$select`.
const DEFAULT: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];
/// What a caller sees who may read the basic profile only.
const BASIC: &[&str] = &[
    "displayName",
    "givenName",
    "id",
    "mail",
    "photo",
    "securityIdentifier",
    "surname",
    "userPrincipalName",
];
/// Known properties that this tenant leaves empty.
const EMPTY: &[&str] = &[
    "ageGroup",
    "city",
    "companyName",
    "consentProvidedForMinor",
    "country",
    "creationType",
    "deletedDateTime",
    "department",
    "employeeHireDate",
    "employeeId",
    "employeeLeaveDateTime",
    "employeeOrgData",
    "employeeType",
    "externalUserStateChangeDateTime",
    "faxNumber",
    "jobTitle",
    "legalAgeGroupClassification",
    "mobilePhone",
    "officeLocation",
    "onPremisesExtensionAttributes",
    "postalCode",
    "preferredDataLocation",
    "preferredLanguage",
    "securityIdentifier",
    "showInAddressList",
    "signInActivity",
    "state",
    "streetAddress",
    "usageLocation",
];
/// Known collections that this tenant leaves empty.
const EMPTY_LISTS: &[&str] = &[
    "assignedLicenses",
    "assignedPlans",
    "businessPhones",
    "imAddresses",
    "licenseAssignmentStates",
    "onPremisesProvisioningErrors",
    "otherMails",
    "provisionedPlans",
    "proxyAddresses",
    "serviceProvisioningErrors",
];
/// Properties that a single user has and a collection cannot return.
const SINGLE_ONLY: &[&str] = &[
    "aboutMe",
    "birthday",
    "hireDate",
    "interests",
    "mailboxSettings",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
];

/// Which properties an answer shows.
#[derive(Clone, Debug)]
pub(crate) struct Selection(Vec<String>);

impl Selection {
    /// Checks `$select` for a single user or a collection, by a caller who sees everything or
    /// the basic profile only.
    pub(crate) fn new(
        select: Option<&[String]>,
        collection: bool,
        basic_only: bool,
    ) -> Result<Self, GraphError> {
        let Some(select) = select else {
            let shown = DEFAULT
                .iter()
                .filter(|name| !basic_only || BASIC.contains(name));
            return Ok(Self(shown.map(|name| (*name).to_owned()).collect()));
        };
        for name in select {
            let name = name.as_str();
            if SINGLE_ONLY.contains(&name) {
                if collection {
                    return Err(GraphError::new(
                        StatusCode::NOT_IMPLEMENTED,
                        "NotImplemented",
                        format!("The property '{name}' cannot be returned for a collection."),
                    ));
                }
            } else if !is_known(name) {
                return Err(GraphError::malformed(format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.user'."
                )));
            }
            if basic_only && !BASIC.contains(&name) {
                return Err(GraphError::denied());
            }
        }
        Ok(Self(select.to_vec()))
    }

    /// The names, as they stand in `@odata.context`.
    pub(crate) fn names(&self) -> String {
        self.0.join(",")
    }

    /// The names one by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The selected properties of an account.
    pub(crate) fn render(&self, account: &Account, access: &Access, now: Timestamp) -> Value {
        let members: Map<String, Value> = self
            .0
            .iter()
            .map(|name| (name.clone(), property(account, access, name, now)))
            .collect();
        Value::Object(members)
    }
}

fn is_known(name: &str) -> bool {
    MODELLED.contains(&name) || EMPTY.contains(&name) || EMPTY_LISTS.contains(&name)
}

/// The properties that [`property`] knows to fill.
const MODELLED: &[&str] = &[
    "accountEnabled",
    "createdDateTime",
    "displayName",
    "externalUserState",
    "givenName",
    "id",
    "identities",
    "isManagementRestricted",
    "isResourceAccount",
    "lastPasswordChangeDateTime",
    "mail",
    "mailNickname",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesImmutableId",
    "onPremisesLastSyncDateTime",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "passwordPolicies",
    "passwordProfile",
    "signInSessionsValidFromDateTime",
    "surname",
    "userPrincipalName",
    "userType",
];

/// One property as Graph shows it; null for those that the tenant leaves empty.
pub(crate) fn property(account: &Account, access: &Access, name: &str, now: Timestamp) -> Value {
    let synced = account.origin == Origin::Synced;
    let guest = account.origin == Origin::Guest;
    let alias = || {
        account
            .user_principal_name
            .split('@')
            .next()
            .unwrap_or_default()
    };
    let changed = || account.state().password_changed(now).map(graph_time);
    match name {
        "accountEnabled" => account.state().enabled.into(),
        "createdDateTime" => graph_time(account.created).into(),
        "displayName" => json!(*account.display_name),
        "externalUserState" => guest.then_some("Accepted").into(),
        "givenName" => json!(account.given_name),
        "id" => json!(account.id),
        "identities" => identities(account),
        "isManagementRestricted" => access
            .holdings(account.id)
            .is_some_and(|held| !held.restricted_units.is_empty())
            .into(),
        "isResourceAccount" => Value::Bool(false),
        "lastPasswordChangeDateTime" | "signInSessionsValidFromDateTime" => changed().into(),
        "mail" | "userPrincipalName" => json!(*account.user_principal_name),
        "mailNickname" => alias().into(),
        "onPremisesDistinguishedName" => synced
            .then(|| format!("CN={},OU=Staff,DC=corp,DC=example", account.display_name))
            .into(),
        "onPremisesDomainName" => synced.then_some("corp.example").into(),
        "onPremisesImmutableId" => synced.then(|| account.id.simple().to_string()).into(),
        "onPremisesLastSyncDateTime" => synced.then(|| graph_time(account.created)).into(),
        "onPremisesSamAccountName" => synced.then(alias).into(),
        "onPremisesSecurityIdentifier" => synced
            .then(|| format!("S-1-5-21-1-2-3-{}", account.id.as_fields().0))
            .into(),
        "onPremisesSyncEnabled" => synced.then_some(true).into(),
        "onPremisesUserPrincipalName" => synced
            .then(|| account.user_principal_name.to_string())
            .into(),
        "passwordPolicies" => json!(account.password_policies),
        "passwordProfile" => json!({
            "password": null,
            "forceChangePasswordNextSignIn": account.state().must_change,
            "forceChangePasswordNextSignInWithMfa": false,
        }),
        "surname" => json!(account.surname),
        "userType" => if guest { "Guest" } else { "Member" }.into(),
        name if EMPTY_LISTS.contains(&name) => json!([]),
        _ => Value::Null,
    }
}

fn identities(account: &Account) -> Value {
    let upn = &*account.user_principal_name;
    let domain = upn.rsplit_once('@').map_or("", |(_, domain)| domain);
    if account.origin == Origin::Guest {
        json!([{"signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": null}])
    } else {
        json!([{"signInType": "userPrincipalName", "issuer": domain, "issuerAssignedId": upn}])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_property_is_known() {
        assert!(DEFAULT.iter().all(|name| is_known(name)));
    }
}
