//! An app's service principal and its credentials.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::{AppCertificate, Federation};

/// A client secret; without `expires` it never does.
#[derive(Clone)]
pub(crate) struct ClientSecret {
    pub(crate) value: String,
    pub(crate) expires: Option<Timestamp>,
}

/// What a presented secret turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretCheck {
    Expired,
    Valid,
    Wrong,
}

/// A service principal.
#[derive(Clone)]
pub(crate) struct ServicePrincipal {
    /// The object id.
    pub(crate) id: Uuid,
    pub(crate) client_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) secrets: Vec<ClientSecret>,
    pub(crate) certificates: Vec<AppCertificate>,
    /// Issuers whose tokens stand for this app.
    pub(crate) federations: Vec<Federation>,
    /// Application permissions of Microsoft Graph.
    pub(crate) permissions: Vec<String>,
    /// Those of them that tokens show only from some time on.
    pub(crate) fresh: Vec<(String, Timestamp)>,
    /// Those that its registration asks for.
    pub(crate) required: Vec<String>,
    /// People sign in to it, and it keeps no credential.
    pub(crate) public_client: bool,
    /// Delegated permissions consented to for all users.
    pub(crate) delegated: Vec<String>,
}

impl fmt::Debug for ServicePrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServicePrincipal")
            .field("id", &self.id)
            .field("client_id", &self.client_id)
            .field("display_name", &self.display_name)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

impl ServicePrincipal {
    /// The application permissions that a token shows which is issued at `now`.
    pub(crate) fn permissions_at(&self, now: Timestamp) -> Vec<String> {
        let is_too_fresh = |name: &String| {
            let mut fresh = self.fresh.iter();
            fresh.any(|(fresh, from)| fresh == name && now < *from)
        };
        let permissions = self.permissions.iter().filter(|name| !is_too_fresh(name));
        permissions.cloned().collect()
    }

    pub(crate) fn check_secret(&self, presented: &str, now: Timestamp) -> SecretCheck {
        let Some(known) = self.secrets.iter().find(|known| known.value == presented) else {
            return SecretCheck::Wrong;
        };
        match known.expires {
            Some(expires) if expires <= now => SecretCheck::Expired,
            _ => SecretCheck::Valid,
        }
    }
}
