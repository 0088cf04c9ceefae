//! An app registration with its service principal.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use super::ScopedRole;
use crate::role::Role;

/// A client secret; `None` never expires.
pub(crate) type SeedSecret = (String, Option<Duration>);

/// A federated identity credential.
#[derive(Clone)]
pub(crate) struct SeedFederation {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    pub(crate) public_key_pem: String,
}

/// An app with its service principal in the tenant.
///
/// Client id and secret are made up unless given; give them to use one app in many tenants.
#[derive(Clone)]
pub struct App {
    pub(crate) display_name: String,
    pub(crate) client_id: Option<Uuid>,
    pub(crate) secrets: Vec<SeedSecret>,
    pub(crate) certificates: Vec<String>,
    pub(crate) federations: Vec<SeedFederation>,
    pub(crate) permissions: Vec<String>,
    pub(crate) required: Vec<String>,
    pub(crate) delegated: Vec<String>,
    pub(crate) roles: Vec<ScopedRole>,
    pub(crate) public_client: bool,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("display_name", &self.display_name)
            .field("client_id", &self.client_id)
            .field("permissions", &self.permissions)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl App {
    /// An app that may do nothing yet.
    pub fn new(display_name: impl Into<String>) -> Self {
        Self {
            display_name: display_name.into(),
            client_id: None,
            secrets: Vec::new(),
            certificates: Vec::new(),
            federations: Vec::new(),
            permissions: Vec::new(),
            required: Vec::new(),
            delegated: Vec::new(),
            roles: Vec::new(),
            public_client: false,
        }
    }

    /// The app of a password rotation: it may list accounts, roles, groups, units and domains,
    /// set passwords, and is User Administrator.
    pub fn rotation() -> Self {
        [
            "User-PasswordProfile.ReadWrite.All",
            "User.Read.All",
            "RoleManagement.Read.Directory",
            "GroupMember.Read.All",
            "AdministrativeUnit.Read.All",
            "Domain.Read.All",
            "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        ]
        .into_iter()
        .fold(Self::new("Password rotation"), Self::permission)
        .role(Role::USER_ADMINISTRATOR)
    }

    /// Sets the client id.
    #[must_use]
    pub fn client_id(mut self, id: Uuid) -> Self {
        self.client_id = Some(id);
        self
    }

    /// Adds a client secret that does not expire.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push((secret.into(), None));
        self
    }

    /// Adds a client secret that expires `after` the start of the server; zero: expired already.
    #[must_use]
    pub fn expiring_secret(mut self, secret: impl Into<String>, after: Duration) -> Self {
        self.secrets.push((secret.into(), Some(after)));
        self
    }

    /// Allows public client flows: people sign in to it, and it has no credential.
    #[must_use]
    pub fn public_client(mut self) -> Self {
        self.public_client = true;
        self
    }

    /// Uploads a certificate, in PEM form, with an RSA key; the server does not start with one that is none.
    ///
    /// <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>
    #[must_use]
    pub fn with_certificate(mut self, pem: impl Into<String>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Adds a federated identity credential: tokens of `issuer` for `audience` about `subject` stand for this app. Entra
    /// would fetch the keys from the issuer; here its RSA key is given, as a `PUBLIC KEY` in PEM form.
    ///
    /// <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>
    #[must_use]
    pub fn with_federated_credential(
        mut self,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        public_key_pem: impl Into<String>,
    ) -> Self {
        self.federations.push(SeedFederation {
            issuer: issuer.into(),
            subject: subject.into(),
            audience: audience.into(),
            public_key_pem: public_key_pem.into(),
        });
        self
    }

    /// Grants an application permission of Microsoft Graph, e.g. `User.Read.All`.
    #[must_use]
    pub fn permission(mut self, permission: &str) -> Self {
        self.permissions.push(permission.to_owned());
        self
    }

    /// Lets the app's registration ask for an application permission, which nobody has granted yet: that is for whoever follows
    /// the link `/{tenant}/adminconsent?client_id=…`.
    ///
    /// <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>
    #[must_use]
    pub fn asks_for(mut self, permission: &str) -> Self {
        self.required.push(permission.to_owned());
        self
    }

    /// Takes an application permission away.
    #[must_use]
    pub fn without_permission(mut self, permission: &str) -> Self {
        self.permissions.retain(|granted| granted != permission);
        self
    }

    /// Consents to a delegated permission for all users.
    #[must_use]
    pub fn delegated_permission(mut self, permission: &str) -> Self {
        self.delegated.push(permission.to_owned());
        self
    }

    /// Assigns a role to the service principal, tenant-wide.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push((role, None));
        self
    }

    /// Assigns a role to the service principal at the scope of the unit of this name.
    #[must_use]
    pub fn unit_role(mut self, role: Role, unit: impl Into<String>) -> Self {
        self.roles.push((role, Some(unit.into())));
        self
    }

    /// Takes all roles away.
    #[must_use]
    pub fn without_roles(mut self) -> Self {
        self.roles.clear();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secrets() {
        let app = App::new("a")
            .secret("hunter2hunter2")
            .permission("User.Read.All");
        let shown = format!("{app:?}");
        assert!(shown.contains("User.Read.All") && !shown.contains("hunter2"));
    }
}
