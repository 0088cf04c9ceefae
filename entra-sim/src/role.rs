//! Directory roles, named by template id.

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use crate::role_table::BUILT_IN;

/// A directory role: one of the built-in ones, or a custom one of a tenant.
///
/// For built-in roles the id is the template id, the same in every tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(Uuid);

impl Role {
    /// Application Administrator.
    pub const APPLICATION_ADMINISTRATOR: Self = Self(uuid!("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"));
    /// Authentication Administrator.
    pub const AUTHENTICATION_ADMINISTRATOR: Self =
        Self(uuid!("c4e39bd9-1100-46d3-8c65-fb160da0071f"));
    /// Cloud Application Administrator.
    pub const CLOUD_APPLICATION_ADMINISTRATOR: Self =
        Self(uuid!("158c047a-c907-4556-b7ef-446551a6b5f7"));
    /// Directory Readers.
    pub const DIRECTORY_READERS: Self = Self(uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b"));
    /// Entra SOC Identity Responder.
    pub const ENTRA_SOC_IDENTITY_RESPONDER: Self =
        Self(uuid!("58f930cc-fcf4-4152-852c-1d7dbf502139"));
    /// Global Administrator.
    pub const GLOBAL_ADMINISTRATOR: Self = Self(uuid!("62e90394-69f5-4237-9190-012177145e10"));
    /// Global Reader.
    pub const GLOBAL_READER: Self = Self(uuid!("f2ef992c-3afb-46b9-b7cf-a126ee74c451"));
    /// Groups Administrator.
    pub const GROUPS_ADMINISTRATOR: Self = Self(uuid!("fdd7a751-b60b-444a-984c-02652fe8fa1c"));
    /// Guest Inviter.
    pub const GUEST_INVITER: Self = Self(uuid!("95e79109-95c0-4d8e-aee3-d01accf2d47b"));
    /// Helpdesk Administrator.
    pub const HELPDESK_ADMINISTRATOR: Self = Self(uuid!("729827e3-9c14-49f7-bb1b-9608f156bbb8"));
    /// Message Center Reader.
    pub const MESSAGE_CENTER_READER: Self = Self(uuid!("790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b"));
    /// Partner Tier1 Support (deprecated).
    pub const PARTNER_TIER1_SUPPORT: Self = Self(uuid!("4ba39ca4-527c-499a-b93d-d9b492c50246"));
    /// Partner Tier2 Support (deprecated).
    pub const PARTNER_TIER2_SUPPORT: Self = Self(uuid!("e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8"));
    /// Password Administrator.
    pub const PASSWORD_ADMINISTRATOR: Self = Self(uuid!("966707d0-3269-4727-9be2-8c3a10f19b9d"));
    /// Privileged Authentication Administrator.
    pub const PRIVILEGED_AUTHENTICATION_ADMINISTRATOR: Self =
        Self(uuid!("7be44c8a-adaf-4e2a-84d6-ab2649e08a13"));
    /// Privileged Role Administrator.
    pub const PRIVILEGED_ROLE_ADMINISTRATOR: Self =
        Self(uuid!("e8611ab8-c189-46e8-94e1-60213ab1f814"));
    /// Reports Reader.
    pub const REPORTS_READER: Self = Self(uuid!("4a5d8f65-41da-4de4-8968-e035b65339cf"));
    /// Security Administrator.
    pub const SECURITY_ADMINISTRATOR: Self = Self(uuid!("194ae4cb-b126-40b2-bd5b-6091b380977d"));
    /// Security Operator.
    pub const SECURITY_OPERATOR: Self = Self(uuid!("5f2222b1-57c3-48ba-8ad5-d4759f1fde6f"));
    /// Usage Summary Reports Reader.
    pub const USAGE_SUMMARY_REPORTS_READER: Self =
        Self(uuid!("75934031-6c7e-415a-99d7-48dbd49e875e"));
    /// User Administrator.
    pub const USER_ADMINISTRATOR: Self = Self(uuid!("fe930be7-5e62-47db-91af-98c3a49a38b1"));
    /// User Experience Success Manager.
    pub const USER_EXPERIENCE_SUCCESS_MANAGER: Self =
        Self(uuid!("27460883-1df1-4691-b032-3b79643e5e63"));

    /// The role with this template id, or with this id of a custom definition.
    pub const fn from_id(id: Uuid) -> Self {
        Self(id)
    }

    /// The built-in role with this display name, without regard to case.
    pub fn named(name: &str) -> Option<Self> {
        BUILT_IN
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|&(id, _)| Self(id))
    }

    /// The template id, or the definition's id for a custom role.
    pub const fn id(self) -> Uuid {
        self.0
    }

    /// The display name of a built-in role; `None` for a custom one.
    pub fn name(self) -> Option<&'static str> {
        BUILT_IN
            .iter()
            .find(|(id, _)| *id == self.0)
            .map(|&(_, name)| name)
    }

    /// Every built-in role with its display name, by name.
    pub fn built_in() -> impl Iterator<Item = (Self, &'static str)> {
        BUILT_IN.iter().map(|&(id, name)| (Self(id), name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn template_ids_and_names_are_unique() {
        let ids: HashSet<_> = Role::built_in().map(|(role, _)| role).collect();
        let names: HashSet<_> = Role::built_in().map(|(_, name)| name).collect();
        assert_eq!((ids.len(), names.len()), (BUILT_IN.len(), BUILT_IN.len()));
    }

    #[test]
    fn constants_are_the_roles_they_are_called_after() {
        for (role, name) in [
            (
                Role::AUTHENTICATION_ADMINISTRATOR,
                "Authentication Administrator",
            ),
            (Role::APPLICATION_ADMINISTRATOR, "Application Administrator"),
            (
                Role::CLOUD_APPLICATION_ADMINISTRATOR,
                "Cloud Application Administrator",
            ),
            (Role::DIRECTORY_READERS, "Directory Readers"),
            (
                Role::ENTRA_SOC_IDENTITY_RESPONDER,
                "Entra SOC Identity Responder",
            ),
            (Role::GLOBAL_ADMINISTRATOR, "Global Administrator"),
            (Role::GLOBAL_READER, "Global Reader"),
            (Role::GROUPS_ADMINISTRATOR, "Groups Administrator"),
            (Role::GUEST_INVITER, "Guest Inviter"),
            (Role::HELPDESK_ADMINISTRATOR, "Helpdesk Administrator"),
            (Role::MESSAGE_CENTER_READER, "Message Center Reader"),
            (Role::PARTNER_TIER1_SUPPORT, "Partner Tier1 Support"),
            (Role::PARTNER_TIER2_SUPPORT, "Partner Tier2 Support"),
            (Role::PASSWORD_ADMINISTRATOR, "Password Administrator"),
            (
                Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
                "Privileged Authentication Administrator",
            ),
            (
                Role::PRIVILEGED_ROLE_ADMINISTRATOR,
                "Privileged Role Administrator",
            ),
            (Role::REPORTS_READER, "Reports Reader"),
            (Role::SECURITY_ADMINISTRATOR, "Security Administrator"),
            (Role::SECURITY_OPERATOR, "Security Operator"),
            (
                Role::USAGE_SUMMARY_REPORTS_READER,
                "Usage Summary Reports Reader",
            ),
            (Role::USER_ADMINISTRATOR, "User Administrator"),
            (
                Role::USER_EXPERIENCE_SUCCESS_MANAGER,
                "User Experience Success Manager",
            ),
        ] {
            assert_eq!(role.name(), Some(name));
            assert_eq!(Role::named(&name.to_lowercase()), Some(role));
        }
    }
}
