use reqwest::Url;

use crate::config::{Credential, GraphConfig};

/// Where a person grants our application what it lacks.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    tenant: String,
    client_id: String,
    url: String,
    who: Who,
}

/// Who acts, on which depends what can be granted to whom.
#[derive(Clone, Copy, Debug)]
enum Who {
    App,
    /// A person through the Azure CLI, whose permissions are what Microsoft gave it.
    AzureCli,
    /// A person through an app.
    Person,
}

/// The page on which an administrator consents to everything that an app's registration asks for
/// (<https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>).
pub(crate) fn admin_consent(authority: &Url, tenant: &str, client_id: &str) -> String {
    format!("{authority}{tenant}/adminconsent?client_id={client_id}")
}

impl Consent {
    pub(crate) fn new(authority: &Url, config: &GraphConfig) -> Self {
        let (tenant, client_id) = (&config.tenant, &config.client_id);
        Self {
            tenant: tenant.clone(),
            client_id: client_id.clone(),
            who: match config.credential {
                Credential::AzureCli => Who::AzureCli,
                Credential::DeviceCode(_) => Who::Person,
                _ => Who::App,
            },
            url: admin_consent(authority, tenant, client_id),
        }
    }

    /// What to do if the application lacks `permission`.
    pub(crate) fn permission(&self, permission: &str) -> String {
        let Self {
            tenant,
            client_id,
            url,
            who,
        } = self;
        match who {
            Who::App => format!(
                "add the application permission {permission} to app {client_id} and grant it in tenant {tenant}: {url}"
            ),
            Who::AzureCli => format!(
                "the Azure CLI cannot be given {permission}: sign in by `device-code` through an app that has it; or \
                 whoever signed in lacks a role that lets them read it, such as Global Reader"
            ),
            Who::Person => format!(
                "add the delegated permission {permission} to app {client_id} and grant it in tenant {tenant}: {url}; and \
                 whoever signs in needs a role that lets them read it, such as Global Reader"
            ),
        }
    }

    /// What to do if whoever acts may not change something that takes `permission` and, of a person, `role`.
    pub(crate) fn permission_and_role(&self, permission: &str, role: &str) -> String {
        let Self {
            tenant,
            client_id,
            url,
            who,
        } = self;
        match who {
            Who::App => self.permission(permission),
            Who::AzureCli => format!(
                "assign {role} in tenant {tenant} to whoever signed in; if they hold it, the Azure CLI lacks {permission}: \
                 sign in by `device-code` through an app that has it"
            ),
            Who::Person => format!(
                "assign {role} in tenant {tenant} to whoever signs in; and add the delegated permission {permission} to app \
                 {client_id} and grant it there: {url}"
            ),
        }
    }

    /// What to do if the application may not set a password, whose cause Graph does not tell.
    pub(crate) fn permission_or_role(&self) -> String {
        if matches!(self.who, Who::AzureCli | Who::Person) {
            return format!(
                "whoever signed in lacks a directory role in tenant {} that covers this account, User Administrator or, for \
                 administrators, Privileged Authentication Administrator; or the app lacks the delegated permission \
                 User-PasswordProfile.ReadWrite.All: grant it at {}",
                self.tenant, self.url
            );
        }
        format!(
            "the app lacks User-PasswordProfile.ReadWrite.All or a directory role in tenant {} that covers this \
             account: grant the permission at {} and assign its service principal User Administrator or, for \
             administrators, Privileged Authentication Administrator",
            self.tenant, self.url
        )
    }

    /// `fix`, which is to consent to the app, with the page where an administrator does it.
    pub(crate) fn linked(&self, fix: &str) -> String {
        format!("{fix}: {}", self.url)
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }
}
