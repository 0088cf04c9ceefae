use std::collections::BTreeSet;

use crate::{AccountId, AssignmentState, RoleAssignment, RoleId, Scope, TenantId};

/// The identity we act as in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The GUID of the tenant that the credential is valid in.
    pub tenant: TenantId,
    /// Object id of the service principal or user.
    pub id: AccountId,
    /// An application on its own, or one acting for a person.
    pub kind: CallerKind,
    /// Permissions by name (`User-PasswordProfile.ReadWrite.All`): `roles` of an app-only token, `scp` of a delegated one.
    pub permissions: BTreeSet<String>,
    /// Its directory roles: direct and through groups, active and eligible.
    pub roles: Vec<RoleAssignment>,
}

/// How the caller signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a token has a user or has none")]
pub enum CallerKind {
    /// An application on its own.
    AppOnly,
    /// An application acting for a signed-in person.
    Delegated,
}

impl Caller {
    /// An application without any permission or role.
    #[must_use]
    pub fn app_only(tenant: TenantId, id: AccountId) -> Self {
        Self {
            tenant,
            id,
            kind: CallerKind::AppOnly,
            permissions: BTreeSet::new(),
            roles: Vec::new(),
        }
    }

    /// The roles that are in force: an eligible role gives nothing until it is activated.
    pub fn active_roles(&self) -> impl Iterator<Item = &RoleAssignment> {
        self.roles
            .iter()
            .filter(|held| held.state == AssignmentState::Active)
    }

    /// The permissions that Microsoft documents for setting `passwordProfile`, the least first
    /// (<https://learn.microsoft.com/graph/api/user-update>, table of permissions and example 3).
    #[must_use]
    pub fn password_permissions(kind: CallerKind) -> &'static [&'static str] {
        match kind {
            CallerKind::AppOnly => &[
                "User-PasswordProfile.ReadWrite.All",
                "User.ReadWrite.All",
                "Directory.ReadWrite.All",
            ],
            CallerKind::Delegated => &[
                "User-PasswordProfile.ReadWrite.All",
                "User.ReadWrite.All",
                "Directory.ReadWrite.All",
                "Directory.AccessAsUser.All",
            ],
        }
    }

    /// Whether it holds the permissions for enabling and disabling accounts: the least is
    /// `User.EnableDisableAccount.All` together with `User.Read.All` (<https://learn.microsoft.com/graph/api/user-update>).
    #[must_use]
    pub fn may_enable_accounts(&self) -> bool {
        let holds = |name: &str| self.permissions.contains(name);
        (holds("User.EnableDisableAccount.All") && holds("User.Read.All"))
            || holds("User.ReadWrite.All")
            || holds("Directory.ReadWrite.All")
    }

    /// Whether it holds one of the permissions for setting a password. Which accounts it may set is the matter of
    /// its roles: see [`capability`](crate::capability).
    #[must_use]
    pub fn may_set_passwords(&self) -> bool {
        Self::password_permissions(self.kind)
            .iter()
            .any(|name| self.permissions.contains(*name))
    }

    /// Whether it may read every account, which people may and applications only if permitted.
    pub(crate) fn reads_the_directory(&self) -> bool {
        let permitted = [
            "User.Read.All",
            "Directory.Read.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ];
        let roles = [
            RoleId::DIRECTORY_READERS,
            RoleId::GLOBAL_READER,
            RoleId::GLOBAL_ADMINISTRATOR,
        ];
        self.kind == CallerKind::Delegated
            || permitted
                .iter()
                .any(|name| self.permissions.contains(*name))
            || self
                .active_roles()
                .any(|held| held.scope == Scope::Tenant && roles.contains(&held.role))
    }
}
