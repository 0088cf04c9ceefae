use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::UnitId;

/// A directory role, by its template id: for built-in roles the same GUID in every tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(Uuid);

impl RoleId {
    /// Reads the directory.
    pub(crate) const DIRECTORY_READERS: Self =
        Self::literal(0x88d8_e3e3_8f55_4a1e_953a_9b98_98b8_876b);
    /// Acts on every account, but cannot be scoped to an administrative unit.
    pub const GLOBAL_ADMINISTRATOR: Self = Self::literal(0x62e9_0394_69f5_4237_9190_0121_7714_5e10);
    /// Reads everything.
    pub(crate) const GLOBAL_READER: Self = Self::literal(0xf2ef_992c_3afb_46b9_b7cf_a126_ee74_c451);
    /// Acts on every account.
    pub const PRIVILEGED_AUTHENTICATION_ADMINISTRATOR: Self =
        Self::literal(0x7be4_4c8a_adaf_4e2a_84d6_ab26_49e0_8a13);
    /// Acts on ordinary accounts.
    pub const USER_ADMINISTRATOR: Self = Self::literal(0xfe93_0be7_5e62_47db_91af_98c3_a49a_38b1);

    /// The id `uuid` of a role template.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id of the role's template.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    pub(crate) const fn literal(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }

    /// The built-in role of this id; `None` for a custom role and for one newer than our table.
    #[must_use]
    pub fn built_in(self) -> Option<&'static BuiltInRole> {
        BUILT_IN.get(&self)
    }
}

/// The display name of a built-in role, else the id.
impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.built_in() {
            Some(role) => f.write_str(&role.display_name),
            None => write!(f, "custom role {}", self.0),
        }
    }
}

/// A role that Microsoft ships, from
/// <https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference>.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BuiltInRole {
    /// The role's id in every tenant.
    pub template_id: RoleId,
    /// The English name, as in the portal.
    pub display_name: String,
    /// Microsoft's label "privileged".
    pub is_privileged: bool,
}

static BUILT_IN: LazyLock<HashMap<RoleId, BuiltInRole>> = LazyLock::new(|| {
    let table: Vec<BuiltInRole> =
        serde_json::from_str(include_str!("../data/entra-roles.json")).unwrap_or_default();
    table
        .into_iter()
        .map(|role| (role.template_id, role))
        .collect()
});

/// Looks a built-in role up by its name (in any case) or template id.
#[must_use]
pub fn role_named(name: &str) -> Option<RoleId> {
    if let Ok(uuid) = name.parse() {
        return Some(RoleId(uuid));
    }
    let mut roles = BUILT_IN.values();
    roles
        .find(|role| role.display_name.eq_ignore_ascii_case(name))
        .map(|role| role.template_id)
}

/// A role held by somebody, directly or through a role-assignable group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RoleAssignment {
    /// The role's template id.
    pub role: RoleId,
    /// Whether it is in force now.
    pub state: AssignmentState,
    /// Where it is in force.
    pub scope: Scope,
}

impl RoleAssignment {
    /// A role in force in the whole tenant.
    #[must_use]
    pub fn active(role: RoleId) -> Self {
        Self {
            role,
            state: AssignmentState::Active,
            scope: Scope::Tenant,
        }
    }

    /// A role that its holder may activate through PIM.
    #[must_use]
    pub fn eligible(role: RoleId) -> Self {
        Self {
            state: AssignmentState::Eligible,
            ..Self::active(role)
        }
    }

    /// The same role within `scope` only.
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }
}

/// Whether a role is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "PIM knows exactly these two")]
pub enum AssignmentState {
    /// In force now.
    Active,
    /// Can be activated by its holder through PIM.
    Eligible,
}

/// Where a role is in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scope {
    /// Only for one directory object, which is never an account's password.
    Object,
    /// The whole tenant.
    Tenant,
    /// The members of one administrative unit.
    Unit {
        /// The unit's object id.
        id: UnitId,
        /// Whether its members can be managed only by roles scoped to it
        /// (<https://learn.microsoft.com/entra/identity/role-based-access-control/admin-units-restricted-management>).
        restricted: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_built_in_roles_parses_whole() {
        assert_eq!(BUILT_IN.len(), 137);
    }

    #[test]
    fn named_constants_are_what_their_names_say() {
        let names = [
            (RoleId::DIRECTORY_READERS, "Directory Readers"),
            (RoleId::GLOBAL_READER, "Global Reader"),
            (RoleId::GLOBAL_ADMINISTRATOR, "Global Administrator"),
            (
                RoleId::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
                "Privileged Authentication Administrator",
            ),
            (RoleId::USER_ADMINISTRATOR, "User Administrator"),
        ];
        for (id, name) in names {
            assert_eq!(id.to_string(), name);
            assert_eq!(role_named(&name.to_uppercase()), Some(id));
        }
    }
}
