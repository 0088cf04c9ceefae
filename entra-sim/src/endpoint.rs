//! Which endpoint a request is for, from its path alone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A kind of endpoint, to address faults and to read records by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Endpoint {
    /// `/tenantRelationships/delegatedAdminRelationships/{id}/accessAssignments`
    AccessAssignments,
    /// `/{tenant}/adminconsent` of the authority
    AdminConsent,
    /// `/directory/administrativeUnits/{id}/members`
    AdministrativeUnitMembers,
    /// `/directory/administrativeUnits`, with or without id
    AdministrativeUnits,
    /// `/servicePrincipals/{id}/appRoleAssignments`, with or without the id of one
    AppRoleAssignments,
    /// `/$batch`
    Batch,
    /// `/contracts`
    Contracts,
    /// `/tenantRelationships/delegatedAdminCustomers`
    DelegatedAdminCustomers,
    /// `/tenantRelationships/delegatedAdminRelationships`
    DelegatedAdminRelationships,
    /// The device code endpoint
    DeviceCode,
    /// `OpenID` configuration, instance discovery and the like
    Discovery,
    /// `/domains`
    Domains,
    /// `/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances`
    GroupEligibility,
    /// `/groups/{id}/members`, its `$ref`, and `/groups/{id}/members/{id}/$ref`
    GroupMembers,
    /// `/groups/{id}/members/microsoft.graph.servicePrincipal`
    GroupMemberApps,
    /// `/groups/{id}/owners`
    GroupOwners,
    /// `/groups`, with or without id
    Groups,
    /// `/organization`
    Organization,
    /// `/roleManagement/directory/roleAssignmentScheduleInstances`
    RoleAssignmentSchedules,
    /// `/roleManagement/directory/roleAssignmentScheduleRequests`
    RoleAssignmentRequests,
    /// `/roleManagement/directory/roleAssignments`, with or without id
    RoleAssignments,
    /// `/roleManagement/directory/roleDefinitions`
    RoleDefinitions,
    /// `/roleManagement/directory/roleEligibilityScheduleInstances`
    RoleEligibility,
    /// `/servicePrincipals`, with or without id
    ServicePrincipals,
    /// The token endpoint
    Token,
    /// Anything that is not served
    Unknown,
    /// `/users/{id or UPN}`
    User,
    /// `/users`
    Users,
    /// `/users/$count`
    UsersCount,
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) endpoint: Endpoint,
    /// The decoded id, UPN, tenant or `appId='…'` in the path; empty if there is none.
    pub(crate) key: Cow<'a, str>,
    /// What is named below it: the decoded id of an assignment or member, or `$ref`; empty if there is nothing.
    pub(crate) item: Cow<'a, str>,
}

impl<'a> Route<'a> {
    fn new(endpoint: Endpoint, key: &str) -> Self {
        Self {
            endpoint,
            key: Cow::Owned(key.to_owned()),
            item: Cow::Borrowed(""),
        }
    }

    fn with_item(self, item: &str) -> Self {
        Self {
            item: Cow::Owned(item.to_owned()),
            ..self
        }
    }

    /// The route of a path below the version, e.g. `/users/{id}`.
    pub(crate) fn graph(path: &'a str) -> Self {
        // Hardly any request is for anything else, and nothing in such a path needs decoding.
        if let Some(key) = path.strip_prefix("/users/")
            && !key.is_empty()
            && !key.contains(['/', '%', '(', '$'])
        {
            return Self {
                endpoint: Endpoint::User,
                key: Cow::Borrowed(key),
                item: Cow::Borrowed(""),
            };
        }
        let decoded: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .flat_map(key_as_segment)
            .collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (endpoint, key) = match segments.as_slice() {
            ["$batch"] => (Endpoint::Batch, ""),
            ["users"] => (Endpoint::Users, ""),
            ["users", "$count"] => (Endpoint::UsersCount, ""),
            ["users", key] => (Endpoint::User, *key),
            ["domains"] => (Endpoint::Domains, ""),
            ["organization"] => (Endpoint::Organization, ""),
            ["groups"] => (Endpoint::Groups, ""),
            ["groups", key] => (Endpoint::Groups, *key),
            ["groups", key, "members"] => (Endpoint::GroupMembers, *key),
            ["groups", key, "members", "microsoft.graph.servicePrincipal"] => {
                (Endpoint::GroupMemberApps, *key)
            }
            ["groups", key, "members", item @ "$ref"]
            | ["groups", key, "members", item, "$ref"] => {
                return Self::new(Endpoint::GroupMembers, key).with_item(item);
            }
            ["groups", key, "owners"] => (Endpoint::GroupOwners, *key),
            ["servicePrincipals"] => (Endpoint::ServicePrincipals, ""),
            ["servicePrincipals", key] => (Endpoint::ServicePrincipals, *key),
            ["servicePrincipals", key, "appRoleAssignments"] => {
                (Endpoint::AppRoleAssignments, *key)
            }
            ["servicePrincipals", key, "appRoleAssignments", item] => {
                return Self::new(Endpoint::AppRoleAssignments, key).with_item(item);
            }
            ["directory", "administrativeUnits"] => (Endpoint::AdministrativeUnits, ""),
            ["directory", "administrativeUnits", key] => (Endpoint::AdministrativeUnits, *key),
            ["directory", "administrativeUnits", key, "members"] => {
                (Endpoint::AdministrativeUnitMembers, *key)
            }
            ["contracts"] => (Endpoint::Contracts, ""),
            ["tenantRelationships", "delegatedAdminCustomers"] => {
                (Endpoint::DelegatedAdminCustomers, "")
            }
            ["tenantRelationships", "delegatedAdminRelationships"] => {
                (Endpoint::DelegatedAdminRelationships, "")
            }
            [
                "tenantRelationships",
                "delegatedAdminRelationships",
                key,
                "accessAssignments",
            ] => (Endpoint::AccessAssignments, *key),
            ["roleManagement", "directory", collection] => (role_collection(collection), ""),
            ["roleManagement", "directory", "roleAssignments", key] => {
                (Endpoint::RoleAssignments, *key)
            }
            [
                "identityGovernance",
                "privilegedAccess",
                "group",
                "eligibilityScheduleInstances",
            ] => (Endpoint::GroupEligibility, ""),
            _ => (Endpoint::Unknown, ""),
        };
        Self::new(endpoint, key)
    }

    /// The route of a path of the authority, e.g. `/{tenant}/oauth2/v2.0/token`.
    pub(crate) fn authority(path: &'a str) -> Self {
        let decoded: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [tenant, "adminconsent"] => Self::new(Endpoint::AdminConsent, tenant),
            [tenant, "oauth2", "v2.0", "token"] => Self::new(Endpoint::Token, tenant),
            [tenant, "oauth2", "v2.0", "devicecode"] => Self::new(Endpoint::DeviceCode, tenant),
            [_, "discovery", "instance"]
            | [_, "discovery", "v2.0", "keys"]
            | [_, "userrealm", _]
            | [_, "v2.0", ".well-known", "openid-configuration"] => {
                Self::new(Endpoint::Discovery, path)
            }
            _ => Self::new(Endpoint::Unknown, ""),
        }
    }
}

fn role_collection(name: &str) -> Endpoint {
    match name {
        "roleAssignments" => Endpoint::RoleAssignments,
        "roleAssignmentScheduleInstances" => Endpoint::RoleAssignmentSchedules,
        "roleAssignmentScheduleRequests" => Endpoint::RoleAssignmentRequests,
        "roleDefinitions" => Endpoint::RoleDefinitions,
        "roleEligibilityScheduleInstances" => Endpoint::RoleEligibility,
        _ => Endpoint::Unknown,
    }
}

/// `users('x')` means `users/x`; quotes inside the key are doubled.
fn key_as_segment(segment: &str) -> Vec<String> {
    let segment = decode(segment);
    let parts = segment
        .strip_suffix(')')
        .and_then(|open| open.split_once('('))
        .filter(|(collection, _)| !collection.is_empty());
    match parts {
        Some((collection, key)) => {
            let key = key
                .strip_prefix('\'')
                .and_then(|key| key.strip_suffix('\''))
                .map_or_else(|| key.to_owned(), |key| key.replace("''", "'"));
            vec![collection.to_owned(), key]
        }
        None => vec![segment],
    }
}

/// Percent-decoding; what is not valid stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        let mut ahead = bytes.clone();
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_paths_name_their_endpoint_and_key() {
        for (path, endpoint, key) in [
            ("/users", Endpoint::Users, ""),
            ("/users/$count", Endpoint::UsersCount, ""),
            ("/users/a%23b%40c.d", Endpoint::User, "a#b@c.d"),
            ("/users/o'brien@c.d", Endpoint::User, "o'brien@c.d"),
            ("/users('o''brien%40c.d')", Endpoint::User, "o'brien@c.d"),
            ("/users(%27$x@c.d%27)", Endpoint::User, "$x@c.d"),
            ("/users/100%", Endpoint::User, "100%"),
            ("/groups/1/owners", Endpoint::GroupOwners, "1"),
            (
                "/servicePrincipals(appId='7')",
                Endpoint::ServicePrincipals,
                "appId='7'",
            ),
            (
                "/servicePrincipals(appId='7')/appRoleAssignments",
                Endpoint::AppRoleAssignments,
                "appId='7'",
            ),
            (
                "/roleManagement/directory/roleAssignments",
                Endpoint::RoleAssignments,
                "",
            ),
            (
                "/roleManagement/directory/roleAssignments/a-b",
                Endpoint::RoleAssignments,
                "a-b",
            ),
            ("/me", Endpoint::Unknown, ""),
            ("/users/1/messages", Endpoint::Unknown, ""),
        ] {
            assert_eq!(Route::graph(path), Route::new(endpoint, key), "{path}");
        }
    }

    #[test]
    fn what_is_named_below_a_key_is_found_too() {
        for (path, endpoint, item) in [
            ("/groups/1/members/$ref", Endpoint::GroupMembers, "$ref"),
            ("/groups/1/members/2/$ref", Endpoint::GroupMembers, "2"),
            (
                "/servicePrincipals/1/appRoleAssignments/a%2Db",
                Endpoint::AppRoleAssignments,
                "a-b",
            ),
        ] {
            let route = Route::new(endpoint, "1").with_item(item);
            assert_eq!(Route::graph(path), route, "{path}");
        }
    }

    #[test]
    fn authority_paths_name_their_tenant() {
        let route = Route::authority("/contoso.example/oauth2/v2.0/token");
        assert_eq!(route, Route::new(Endpoint::Token, "contoso.example"));
        assert_eq!(
            Route::authority("/x/oauth2/token").endpoint,
            Endpoint::Unknown
        );
    }
}
