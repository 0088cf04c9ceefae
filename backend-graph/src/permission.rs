use std::collections::BTreeSet;

use entra_directory::need::{
    READ_ASSIGNMENTS, READ_DOMAINS, READ_ELIGIBILITIES, READ_ELIGIBLE, READ_GROUPS, READ_UNITS,
    READ_USERS,
};
use entra_directory::{GraphReader as _, Need};
use rotation_core::{BackendError, Caller, CallerKind};

use crate::client::Client;

/// What the permissions of the caller's token come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// What this backend needs a permission for, one by one.
    pub checks: Vec<PermissionCheck>,
    /// Permissions that nothing here needs: whoever steals the credential has them too.
    pub unneeded: Vec<String>,
}

/// Whether the caller holds a permission for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionCheck {
    /// The purpose, which completes "cannot …".
    pub to: &'static str,
    /// The least permission that Microsoft documents for it, or one that is needed anyway.
    pub least: &'static str,
    /// The one that the caller holds for it, the least of those it holds.
    pub held: Option<String>,
    /// Whether it is needed only where roles are assigned in administrative units.
    pub units_only: bool,
    /// What to do if there is none.
    pub fix: String,
}

/// More than the least also does: what the page of each request lists, such as
/// <https://learn.microsoft.com/graph/api/user-list#permissions>.
const READS: [(Need, &[&str]); 7] = [
    (
        READ_USERS,
        &["User.ReadWrite.All", DIRECTORY, DIRECTORY_TOO],
    ),
    (
        READ_DOMAINS,
        &["Domain.ReadWrite.All", DIRECTORY, DIRECTORY_TOO],
    ),
    (
        READ_ASSIGNMENTS,
        &[
            "RoleManagement.Read.All",
            ROLES_TOO,
            DIRECTORY,
            DIRECTORY_TOO,
        ],
    ),
    (
        READ_GROUPS,
        &[
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            DIRECTORY,
            DIRECTORY_TOO,
        ],
    ),
    (
        READ_ELIGIBILITIES,
        &[
            "RoleEligibilitySchedule.Read.Directory",
            "RoleManagement.Read.All",
            "RoleEligibilitySchedule.ReadWrite.Directory",
            ROLES_TOO,
        ],
    ),
    (
        READ_ELIGIBLE,
        &[
            "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
            "PrivilegedAccess.Read.AzureADGroup",
            "PrivilegedAccess.ReadWrite.AzureADGroup",
        ],
    ),
    (
        READ_UNITS,
        &["AdministrativeUnit.ReadWrite.All", DIRECTORY, DIRECTORY_TOO],
    ),
];

const DIRECTORY: &str = "Directory.Read.All";
const DIRECTORY_TOO: &str = "Directory.ReadWrite.All";
const ROLES_TOO: &str = "RoleManagement.ReadWrite.Directory";

/// Scopes for signing in, which open nothing in Graph.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

impl Permissions {
    /// Those of the token that is in use.
    pub(crate) async fn read(client: &Client, pim: bool) -> Result<Self, BackendError> {
        let claims = client.claims().await?;
        let fix = |least: &str| client.consent.permission(least);
        Ok(Self::of(&claims.permissions(), claims.kind(), pim, fix))
    }

    /// The least application permissions for everything that this backend does, by name; with Privileged Identity Management, what
    /// reading that takes, too.
    #[must_use]
    pub fn least(pim: bool) -> Vec<String> {
        Self::missing_from(&BTreeSet::new(), pim)
    }

    /// The least application permissions that are lacking besides `granted`, by name.
    pub(crate) fn missing_from(granted: &BTreeSet<String>, pim: bool) -> Vec<String> {
        let checks = Self::of(granted, CallerKind::AppOnly, pim, |_| String::new()).checks;
        let missing = checks.into_iter().filter(|check| check.held.is_none());
        let mut names: Vec<String> = Vec::new();
        for check in missing {
            if !names.iter().any(|name| name == check.least) {
                names.push(check.least.to_owned());
            }
        }
        names
    }

    fn of(
        granted: &BTreeSet<String>,
        kind: CallerKind,
        pim: bool,
        fix: impl Fn(&str) -> String,
    ) -> Self {
        let check = |to, least, others: &[&str], units_only| PermissionCheck {
            to,
            least,
            held: std::iter::once(&least)
                .chain(others)
                .find(|name| granted.contains(**name))
                .map(|name| (*name).to_owned()),
            units_only,
            fix: fix(least),
        };
        let mut checks: Vec<PermissionCheck> = Vec::new();
        if let Some((least, others)) = Caller::password_permissions(kind).split_first() {
            checks.push(check("set passwords", least, others, false));
        }
        let reads = READS.iter().filter(|(need, _)| pim || !need.pim);
        for (need, others) in reads {
            let units_only = need.permission == READ_UNITS.permission;
            checks.push(check(need.to, need.permission, others, units_only));
        }
        let is_needed = |name: &String| {
            checks.iter().any(|check| check.held.as_ref() == Some(name))
                || checks.iter().any(|check| check.least == *name)
                || OPENID.contains(&name.as_str())
        };
        let unneeded = granted
            .iter()
            .filter(|name| !is_needed(name))
            .cloned()
            .collect();
        Self { checks, unneeded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(granted: &[&str], pim: bool) -> Permissions {
        let granted = granted.iter().map(|name| (*name).to_owned()).collect();
        Permissions::of(&granted, CallerKind::AppOnly, pim, str::to_owned)
    }

    fn missing(permissions: &Permissions) -> Vec<&str> {
        let checks = permissions.checks.iter();
        let missing = checks.filter(|check| check.held.is_none());
        missing.map(|check| check.least).collect()
    }

    #[test]
    fn the_least_of_each_is_all_that_is_needed() {
        let none = of(&[], true);
        let least: Vec<_> = none.checks.iter().map(|check| check.least).collect();
        assert_eq!(missing(&none), least);
        let again = least
            .iter()
            .filter(|name| **name == READ_ASSIGNMENTS.permission);
        assert_eq!(again.count(), 2, "it mends two: {least:?}");
        let all = of(&least, true);
        assert_eq!(missing(&all), Vec::<&str>::new());
        assert_eq!(all.unneeded, Vec::<String>::new());
        for one in &least {
            let others: Vec<_> = least.iter().copied().filter(|name| name != one).collect();
            let without = of(&others, true);
            let mut missing = missing(&without);
            missing.dedup();
            assert!(missing.iter().all(|name| name == one), "{missing:?}");
            assert!(!missing.is_empty(), "{one}");
        }
    }

    #[test]
    fn more_than_the_least_does_too_and_what_nothing_needs_is_named() {
        let broad = of(
            &["Directory.ReadWrite.All", "User.Read.All", "Mail.Read"],
            false,
        );
        assert_eq!(missing(&broad), Vec::<&str>::new());
        assert_eq!(broad.unneeded, ["Mail.Read"]);
        let set = broad.checks.first().unwrap();
        assert_eq!(set.held.as_deref(), Some("Directory.ReadWrite.All"));
    }

    #[test]
    fn without_pim_nothing_is_needed_for_it() {
        let without = of(&[], false);
        let all = of(&[], true);
        assert_eq!(without.checks.len() + 2, all.checks.len());
    }
}
