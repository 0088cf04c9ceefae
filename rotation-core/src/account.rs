use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AccountId, RoleAssignment, UnitId};

/// A user object of a tenant, as far as rotation is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The object id.
    pub id: AccountId,
    /// The user principal name.
    pub user_name: String,
    /// The name shown to people; empty if there is none.
    pub display_name: String,
    /// Where its password lives.
    pub kind: AccountKind,
    /// Whether it can sign in.
    pub enabled: bool,
    /// When it was created, if the directory says so.
    pub created: Option<Timestamp>,
    /// When its password was last changed or, if never changed, created. `None` if the directory does not say.
    pub password_changed: Option<Timestamp>,
    /// What it holds that decides who may rotate it. `None` if that could not be established: such an account is denied.
    pub holdings: Option<Holdings>,
}

impl Account {
    /// An enabled cloud account of unknown age. What it holds is not known, so it is denied until [`holding`](Self::holding)
    /// says.
    #[must_use]
    pub fn new(id: AccountId, user_name: impl Into<String>) -> Self {
        Self {
            id,
            user_name: user_name.into(),
            display_name: String::new(),
            kind: AccountKind::Cloud,
            enabled: true,
            created: None,
            password_changed: None,
            holdings: None,
        }
    }

    /// The same account, known to hold `holdings` and nothing else.
    #[must_use]
    pub fn holding(self, holdings: Holdings) -> Self {
        Self {
            holdings: Some(holdings),
            ..self
        }
    }
}

/// Where the password of an account lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccountKind {
    /// In this directory.
    Cloud,
    /// At another identity provider, to which the account's domain is federated.
    Federated,
    /// In another tenant or at another provider: a B2B guest.
    Guest,
    /// In an on-premises directory, from which the account is synced.
    Synced,
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cloud => "cloud",
            Self::Federated => "federated",
            Self::Guest => "guest",
            Self::Synced => "synced",
        })
    }
}

/// What an account holds that decides who may rotate it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holdings {
    /// Its roles: direct and through groups, active and eligible, whatever their scope.
    pub roles: Vec<RoleAssignment>,
    /// Whether it is a member, possibly only eligible, of a role-assignable group.
    pub member_of_role_assignable_group: bool,
    /// Whether it is an owner, possibly only eligible, of a role-assignable group.
    pub owner_of_role_assignable_group: bool,
    /// Whether it is a member of a restricted management administrative unit (`isManagementRestricted`).
    pub management_restricted: bool,
    /// The administrative units it is a member of, at least those that the caller's roles are scoped to.
    pub units: Vec<UnitId>,
}
