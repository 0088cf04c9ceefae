//! How a user looks in JSON.

use std::collections::HashSet;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::GraphError;
use crate::clock::graph_time;
use crate::directory::{Access, Account, security_id};
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
        let mut names = select.to_vec();
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(Self(names))
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
    pub(crate) fn render<'a>(
        &'a self,
        account: &'a Account,
        access: &'a Access,
        now: Timestamp,
    ) -> impl Serialize + 'a {
        Shown {
            names: &self.0,
            account,
            access,
            now,
        }
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

/// One property as Graph shows it. Nothing is copied that a page of a million accounts would copy a million times.
pub(crate) enum Property<'a> {
    Id(Uuid),
    Other(Value),
    Text(&'a str),
    Time(Timestamp),
}

impl Property<'_> {
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Id(id) => json!(id),
            Self::Other(value) => value,
            Self::Text(text) => text.into(),
            Self::Time(time) => graph_time(time).into(),
        }
    }
}

impl Serialize for Property<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.serialize_str(&graph_time(*time)),
        }
    }
}

impl From<Value> for Property<'_> {
    fn from(value: Value) -> Self {
        Self::Other(value)
    }
}

impl<'a> From<Option<&'a str>> for Property<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Other(Value::Null), Self::Text)
    }
}

impl From<Option<Timestamp>> for Property<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Other(Value::Null), Self::Time)
    }
}

/// Some properties of an account.
struct Shown<'a> {
    names: &'a [String],
    account: &'a Account,
    access: &'a Access,
    now: Timestamp,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |name| property(self.account, self.access, name, self.now);
        serializer.collect_map(self.names.iter().map(|name| (name, value(name))))
    }
}

/// One property; null for those that the tenant leaves empty.
pub(crate) fn property<'a>(
    account: &'a Account,
    access: &Access,
    name: &str,
    now: Timestamp,
) -> Property<'a> {
    let synced = account.origin == Origin::Synced;
    let guest = account.origin == Origin::Guest;
    let upn = &*account.user_principal_name;
    let alias = || upn.split('@').next().unwrap_or_default();
    let if_synced = |text| synced.then_some(text).into();
    match name {
        "accountEnabled" => Value::from(account.state().enabled).into(),
        "createdDateTime" => Some(account.created).into(),
        "displayName" => Some(&*account.display_name).into(),
        "externalUserState" => guest.then_some("Accepted").into(),
        "givenName" => account.given_name.as_deref().into(),
        "id" => Property::Id(account.id),
        "identities" => identities(account).into(),
        "isManagementRestricted" => {
            let held = access.holdings(account.id);
            let restricted = held.is_some_and(|held| !held.restricted_units.is_empty());
            Value::from(restricted).into()
        }
        "isResourceAccount" => Value::Bool(false).into(),
        "lastPasswordChangeDateTime" | "signInSessionsValidFromDateTime" => {
            account.state().password_changed(now).into()
        }
        "mail" | "userPrincipalName" => Some(upn).into(),
        "mailNickname" => Some(alias()).into(),
        "onPremisesDistinguishedName" => {
            let name = || format!("CN={},OU=Staff,DC=corp,DC=example", account.display_name);
            Value::from(synced.then(name)).into()
        }
        "onPremisesDomainName" => if_synced("corp.example"),
        "onPremisesImmutableId" => {
            Value::from(synced.then(|| account.id.simple().to_string())).into()
        }
        "onPremisesLastSyncDateTime" => synced.then_some(account.created).into(),
        "onPremisesSamAccountName" => if_synced(alias()),
        "onPremisesSecurityIdentifier" => Value::from(synced.then(|| security_id(account))).into(),
        "onPremisesSyncEnabled" => Value::from(synced.then_some(true)).into(),
        "onPremisesUserPrincipalName" => if_synced(upn),
        "passwordPolicies" => account.password_policies.as_deref().into(),
        "passwordProfile" => json!({
            "password": null,
            "forceChangePasswordNextSignIn": account.state().must_change,
            "forceChangePasswordNextSignInWithMfa": false,
        })
        .into(),
        "surname" => account.surname.as_deref().into(),
        "userType" => Some(if guest { "Guest" } else { "Member" }).into(),
        name if EMPTY_LISTS.contains(&name) => json!([]).into(),
        _ => Value::Null.into(),
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
