use reqwest::Url;

/// Where a person grants our application what it lacks.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    tenant: String,
    client_id: String,
    url: String,
}

impl Consent {
    /// The page is <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>.
    pub(crate) fn new(authority: &Url, tenant: &str, client_id: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            url: format!("{authority}{tenant}/adminconsent?client_id={client_id}"),
        }
    }

    /// What to do if the application lacks `permission`.
    pub(crate) fn permission(&self, permission: &str) -> String {
        format!(
            "add the application permission {permission} to app {} and grant it in tenant {}: {}",
            self.client_id, self.tenant, self.url
        )
    }

    /// What to do if the application may not set a password, whose cause Graph does not tell.
    pub(crate) fn permission_or_role(&self) -> String {
        format!(
            "the app lacks User-PasswordProfile.ReadWrite.All or a directory role in tenant {} that covers this \
             account: grant the permission at {} and assign its service principal User Administrator or, for \
             administrators, Privileged Authentication Administrator",
            self.tenant, self.url
        )
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }
}
