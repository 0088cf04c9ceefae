use rotation_core::{RoleId, TenantId};
use uuid::Uuid;

use super::quote::quote;
use super::{Module, ScriptError};
use crate::Environment;

const HEAD: &str = include_str!("head.ps1");
const MAIN: &str = include_str!("main.ps1");

/// A script that grants apps a directory role and application permissions of Microsoft Graph, tenant after tenant.
///
/// Whoever runs it signs in to each tenant, as Privileged Role Administrator or Global Administrator. It finds the
/// enterprise application by its app id and the role by the id of its template, which it activates where a tenant has
/// never used the role. It grants what is missing and reads all of it back; run again, it changes nothing. With `-WhatIf` it
/// only says what is missing. A tenant that fails does not stop the others, but makes the script fail at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantScript {
    module: Module,
    role: RoleId,
    permissions: Vec<String>,
    targets: Vec<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    tenant: String,
    app_id: Uuid,
    environment: Environment,
    /// What is granted here besides what is granted everywhere.
    more: Vec<String>,
}

impl GrantScript {
    /// A script that uses `module` to grant `role`; in no tenant yet.
    #[must_use]
    pub fn new(module: Module, role: RoleId) -> Self {
        Self {
            module,
            role,
            permissions: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Grants these application permissions of Microsoft Graph in every tenant, too, by the names of
    /// <https://learn.microsoft.com/graph/permissions-reference>.
    #[must_use]
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        for permission in permissions.into_iter().map(Into::into) {
            if !self.permissions.contains(&permission) {
                self.permissions.push(permission);
            }
        }
        self
    }

    /// Grants all of it in `tenant`, too, to the app with the application (client) id `app_id`.
    #[must_use]
    pub fn tenant(self, tenant: &TenantId, app_id: Uuid, environment: Environment) -> Self {
        self.tenant_with(tenant, app_id, environment, [""; 0])
    }

    /// The same as [`tenant`](Self::tenant), with permissions that are granted in this tenant only, besides those of
    /// [`permissions`](Self::permissions).
    #[must_use]
    pub fn tenant_with(
        mut self,
        tenant: &TenantId,
        app_id: Uuid,
        environment: Environment,
        permissions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.targets.push(Target {
            tenant: tenant.as_str().to_owned(),
            app_id,
            environment,
            more: permissions.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// The script, in ASCII, to be kept in a file `*.ps1`.
    ///
    /// # Errors
    /// - [`ScriptError::NoTenant`] if there is none.
    /// - [`ScriptError::NotBuiltIn`] for a custom role, and for one newer than our table of roles.
    /// - [`ScriptError::Value`] if a tenant or a permission is empty or has a character other than printable ASCII.
    pub fn render(&self) -> Result<String, ScriptError> {
        if self.targets.is_empty() {
            return Err(ScriptError::NoTenant);
        }
        Ok([HEAD, &self.values()?, self.module.functions(), MAIN].concat())
    }

    fn values(&self) -> Result<String, ScriptError> {
        let role = self
            .role
            .built_in()
            .ok_or(ScriptError::NotBuiltIn(self.role))?;
        let name = quoted("role", &role.display_name, "a name")?;
        let template = quoted("role", &role.template_id.uuid().to_string(), "an id")?;
        let permissions: String = self
            .permissions
            .iter()
            .map(|name| permission(name).map(element))
            .collect::<Result<_, _>>()?;
        let targets: String = self
            .targets
            .iter()
            .map(|target| self.target(target).map(element))
            .collect::<Result<_, _>>()?;
        Ok(format!(
            "# What is granted, and to which app of which tenant.\n\
             $roleName = {name}\n\
             $roleTemplateId = {template}\n\
             $permissions = @(\n{permissions})\n\
             $targets = @(\n{targets})\n"
        ))
    }

    fn target(&self, target: &Target) -> Result<String, ScriptError> {
        let Target {
            tenant,
            app_id,
            environment,
            more,
        } = target;
        let quoted = |value: &str| quoted("tenant", value, "a GUID or a verified domain");
        // <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>
        let consent = format!(
            "{}/{tenant}/adminconsent?client_id={app_id}",
            environment.authority()
        );
        let more: Vec<String> = more
            .iter()
            .filter(|name| !self.permissions.contains(name))
            .map(|name| permission(name))
            .collect::<Result<_, _>>()?;
        Ok(format!(
            "@{{ Tenant = {}; AppId = {}; Environment = {}; Consent = {}; More = @({}) }}",
            quoted(tenant)?,
            quoted(&app_id.to_string())?,
            quoted(self.module.environment(*environment))?,
            quoted(&consent)?,
            more.join(", "),
        ))
    }
}

/// Without a name, a module signs in to whatever tenant the person belongs to.
fn quoted(field: &'static str, value: &str, expected: &'static str) -> Result<String, ScriptError> {
    let quoted = quote(value).filter(|_| !value.is_empty());
    quoted.ok_or_else(|| ScriptError::Value {
        field,
        value: value.to_owned(),
        expected,
    })
}

fn permission(name: &str) -> Result<String, ScriptError> {
    quoted("permission", name, "a name such as User.Read.All")
}

/// An element of an array on a line of its own, where PowerShell needs no comma.
fn element(value: String) -> String {
    format!("    {value}\n")
}

#[cfg(test)]
mod tests {
    use rotation_core::role_named;

    use super::*;

    fn in_contoso(module: Module) -> GrantScript {
        GrantScript::new(module, RoleId::USER_ADMINISTRATOR)
            .permissions(["User.Read.All"])
            .tenant(
                &TenantId::new("contoso.com"),
                Uuid::from_u128(7),
                Environment::UsGovDod,
            )
    }

    #[test]
    fn a_script_holds_the_values_and_is_otherwise_the_same_for_all() {
        let script = in_contoso(Module::Graph).render().unwrap();
        for line in [
            "$roleName = 'User Administrator'",
            "$roleTemplateId = 'fe930be7-5e62-47db-91af-98c3a49a38b1'",
            "    'User.Read.All'",
            "    @{ Tenant = 'contoso.com'; AppId = '00000000-0000-0000-0000-000000000007'; Environment = 'USGovDoD'; \
             Consent = 'https://login.microsoftonline.us/contoso.com/adminconsent?client_id=00000000-0000-0000-0000-000000000007'; \
             More = @() }",
        ] {
            assert!(script.lines().any(|l| l == line), "{line}\n{script}");
        }
        let without = |text: &str| text.replace("$roleName = 'User Administrator'", "");
        let role = role_named("Privileged Authentication Administrator").unwrap();
        let other = GrantScript {
            role,
            ..in_contoso(Module::Graph)
        }
        .render()
        .unwrap();
        assert_ne!(without(&script), without(&other));
        assert!(script.starts_with(HEAD) && other.starts_with(HEAD));
        assert!(script.ends_with(MAIN) && other.ends_with(MAIN));
    }

    #[test]
    fn each_module_has_its_own_name_for_a_cloud() {
        for (module, name) in [
            (Module::AzureAd, "Environment = 'AzureUSGovernment'"),
            (Module::Entra, "Environment = 'USGovDoD'"),
            (Module::Graph, "Environment = 'USGovDoD'"),
        ] {
            let script = in_contoso(module).render().unwrap();
            assert!(script.contains(name), "{module:?}");
        }
    }

    #[test]
    fn a_permission_asked_for_twice_is_granted_once() {
        let script = in_contoso(Module::Graph).permissions(["User.Read.All"]);
        assert_eq!(script, in_contoso(Module::Graph));
    }

    #[test]
    fn what_is_granted_in_one_tenant_only_stands_in_its_line() {
        let script = in_contoso(Module::Graph)
            .tenant_with(
                &TenantId::new("fabrikam.com"),
                Uuid::from_u128(8),
                Environment::Global,
                ["User.Read.All", "Domain.Read.All", "Group.Read.All"],
            )
            .render()
            .unwrap();
        let of = |tenant: &str| {
            let found = script.lines().find(|line| line.contains(tenant)).unwrap();
            found.rsplit_once("; ").unwrap().1.to_owned()
        };
        assert_eq!(of("'contoso.com'"), "More = @() }");
        assert_eq!(
            of("'fabrikam.com'"),
            "More = @('Domain.Read.All', 'Group.Read.All') }"
        );
        assert!(!script.contains("    'Domain.Read.All'\n"), "{script}");
    }

    #[test]
    fn what_cannot_be_granted_is_an_error_that_says_why() {
        let custom = RoleId::new(Uuid::from_u128(1));
        let tenant = TenantId::new("contoso.com\n; calc");
        for (script, error) in [
            (
                GrantScript::new(Module::Graph, RoleId::USER_ADMINISTRATOR),
                "tenants: found none, expected at least one",
            ),
            (
                GrantScript {
                    role: custom,
                    ..in_contoso(Module::Graph)
                },
                "role: found `custom role 00000000-0000-0000-0000-000000000001`, expected a built-in role, such as User \
                 Administrator",
            ),
            (
                in_contoso(Module::Graph).permissions(["User\u{2019}.Read"]),
                "permission: found \"User’.Read\", expected a name such as User.Read.All, of printable ASCII characters \
                 alone",
            ),
            (
                in_contoso(Module::Graph).tenant_with(
                    &TenantId::new("fabrikam.com"),
                    Uuid::nil(),
                    Environment::Global,
                    [""],
                ),
                "permission: found \"\", expected a name such as User.Read.All, of printable ASCII characters alone",
            ),
            (
                in_contoso(Module::Graph).tenant(
                    &TenantId::new(" "),
                    Uuid::nil(),
                    Environment::Global,
                ),
                "tenant: found \"\", expected a GUID or a verified domain, of printable ASCII characters alone",
            ),
            (
                in_contoso(Module::Graph).tenant(&tenant, Uuid::nil(), Environment::Global),
                "tenant: found \"contoso.com\\n; calc\", expected a GUID or a verified domain, of printable ASCII \
                 characters alone",
            ),
        ] {
            assert_eq!(script.render().unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn modules_and_clouds_are_known_by_name() {
        for module in Module::ALL {
            assert_eq!(
                Module::from_name(&module.name().to_uppercase()),
                Some(module)
            );
        }
        assert_eq!(Module::from_name("entra"), Some(Module::Entra));
        assert_eq!(Module::from_name("MSOnline"), None);
        assert_eq!(
            Environment::from_name("UsGov-DoD"),
            Some(Environment::UsGovDod)
        );
        assert_eq!(Environment::from_name("germany"), None);
    }
}
