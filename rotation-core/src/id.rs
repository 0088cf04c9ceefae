use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Directories compare these names without regard to case, so they are kept in lower case.
macro_rules! lower_case_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name in any case.
            #[must_use]
            pub fn new(name: &str) -> Self {
                Self(name.trim().to_lowercase().into())
            }

            /// The name in lower case.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                (*name.0).to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

lower_case_name! {
    /// One directory. In a [`Caller`](crate::Caller), a plan and a store always the tenant's GUID, so that the same
    /// tenant named by a domain is the same tenant; in configuration a GUID or a verified domain.
    TenantId
}

lower_case_name! {
    /// An account's object id: unlike its user name it never changes.
    AccountId
}

lower_case_name! {
    /// An administrative unit's object id.
    UnitId
}

/// One account of one tenant: the key under which a store keeps versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a pair by nature")]
pub struct AccountKey {
    /// The tenant's GUID.
    pub tenant: TenantId,
    /// The account's object id.
    pub account: AccountId,
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.account)
    }
}

/// One execution of a plan. Ordered by the time of its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

/// One password version of an account. Ordered by the time of its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(Uuid);

macro_rules! time_ordered_id {
    ($name:ident) => {
        impl $name {
            /// A fresh id, greater than every earlier one of this process.
            #[must_use]
            #[allow(
                clippy::new_without_default,
                reason = "two calls differ, which a default should not"
            )]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as sixteen bytes, for a store.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that [`as_bytes`](Self::as_bytes) gave.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

time_ordered_id!(RunId);
time_ordered_id!(VersionId);
