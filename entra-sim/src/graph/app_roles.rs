//! The app roles of Microsoft Graph, which are the application permissions.
//!
//! <https://learn.microsoft.com/graph/permissions-reference>

use uuid::{Uuid, uuid};

use crate::directory::Directory;
use crate::rng::Rng;

/// Those whose ids are known; all others that an app was given at the start get a made-up one.
const KNOWN: &[(&str, Uuid)] = &[
    (
        "AdministrativeUnit.Read.All",
        uuid!("134fd756-38ce-4afd-ba33-e9623dbe66c2"),
    ),
    (
        "Directory.ReadWrite.All",
        uuid!("19dbc75e-c2e2-444c-a770-ec69d8559fc7"),
    ),
    (
        "Domain.Read.All",
        uuid!("dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    ),
    (
        "GroupMember.Read.All",
        uuid!("98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ),
    (
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        uuid!("edb419d6-7edc-42a3-9345-509bfdf5d87c"),
    ),
    (
        "RoleEligibilitySchedule.Read.Directory",
        uuid!("ff278e11-4a33-4d0c-83d2-d01dc58929a5"),
    ),
    (
        "RoleManagement.Read.Directory",
        uuid!("483bed4a-2ad3-4361-a73b-c83ccdbdc53c"),
    ),
    (
        "RoleManagement.ReadWrite.Directory",
        uuid!("9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"),
    ),
    (
        "User-PasswordProfile.ReadWrite.All",
        uuid!("cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    ),
    (
        "User.EnableDisableAccount.All",
        uuid!("3011c876-62b7-4ada-afa2-506cbbecc68c"),
    ),
    (
        "User.Read.All",
        uuid!("df021288-bdef-4463-88db-98f22de89214"),
    ),
    (
        "User.ReadWrite.All",
        uuid!("741f803b-c850-494e-b5df-cde7c675a1ca"),
    ),
];

/// Those that a tenant knows, with their ids, by name.
pub(crate) fn of(directory: &Directory) -> Vec<(String, Uuid)> {
    let apps = directory.service_principals();
    let granted = apps.iter().flat_map(|app| app.permissions.iter());
    let mut names: Vec<&str> = granted
        .map(String::as_str)
        .chain(KNOWN.iter().map(|(name, _)| *name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| (name.to_owned(), id(name)))
        .collect()
}

/// The id of the permission of this name.
pub(crate) fn id(permission: &str) -> Uuid {
    KNOWN
        .iter()
        .find(|(name, _)| *name == permission)
        .map_or_else(|| made_up(permission), |&(_, id)| id)
}

/// The same id for the same text, always.
pub(crate) fn made_up(text: &str) -> Uuid {
    Rng::derived(0, text).uuid()
}
