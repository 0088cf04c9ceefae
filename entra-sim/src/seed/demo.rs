//! A tenant like those of customers: mostly ordinary accounts, and every awkward kind.

use std::time::Duration;

use uuid::{Uuid, uuid};

use super::{App, Authentication, Group, Tenant, Unit, User};
use crate::role::Role;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The custom role of every demo tenant.
const CUSTOM_ROLE: Role = Role::from_id(CUSTOM_ROLE_ID);
const CUSTOM_ROLE_ID: Uuid = uuid!("5c0f9c3e-6a5f-4b58-8d3c-0b5f6f1f7a11");

const GIVEN: &[&str] = &[
    "Ada", "Bo", "Chiara", "Dmitri", "Elif", "Fatima", "Grace", "Hiro", "Ines", "Jo", "Kwame",
    "Lena", "Mateo", "Noor", "Olga", "Priya", "Quentin", "Rosa", "Sami", "Thandi",
];
const SURNAMES: &[&str] = &[
    "Abiola", "Berg", "Castillo", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova",
    "Jensen", "Kowalski", "Li", "Moreau", "Nakamura", "Okafor", "Petrov", "Rossi", "Silva",
    "Tanaka", "Wu",
];

/// The roles of the reset table and some that fall under "any other role".
const ROLES: &[(&str, Role)] = &[
    ("authadmin", Role::AUTHENTICATION_ADMINISTRATOR),
    ("dirreader", Role::DIRECTORY_READERS),
    ("globaladmin", Role::GLOBAL_ADMINISTRATOR),
    ("groupsadmin", Role::GROUPS_ADMINISTRATOR),
    ("inviter", Role::GUEST_INVITER),
    ("helpdesk", Role::HELPDESK_ADMINISTRATOR),
    ("msgreader", Role::MESSAGE_CENTER_READER),
    ("pwadmin", Role::PASSWORD_ADMINISTRATOR),
    ("pauthadmin", Role::PRIVILEGED_AUTHENTICATION_ADMINISTRATOR),
    ("proleadmin", Role::PRIVILEGED_ROLE_ADMINISTRATOR),
    ("reports", Role::REPORTS_READER),
    ("useradmin", Role::USER_ADMINISTRATOR),
    ("uxmanager", Role::USER_EXPERIENCE_SUCCESS_MANAGER),
    ("usage", Role::USAGE_SUMMARY_REPORTS_READER),
    ("globalreader", Role::GLOBAL_READER),
    ("security", Role::SECURITY_ADMINISTRATOR),
    ("secoperator", Role::SECURITY_OPERATOR),
    ("partner1", Role::PARTNER_TIER1_SUPPORT),
    ("custom", CUSTOM_ROLE),
];

impl Tenant {
    /// A tenant `contoso.onmicrosoft.com` with `accounts` accounts in all.
    ///
    /// The awkward kinds come first (some 50: guests, synced, federated, disabled, privileged,
    /// restricted, strangely named …), the rest are ordinary cloud accounts. `accounts` below
    /// the number of awkward ones leaves the ordinary ones out. One app,
    /// [`App::rotation`], may rotate the ordinary ones.
    pub fn demo(accounts: usize) -> Self {
        Self::demo_at("contoso.onmicrosoft.com", accounts)
    }

    /// The same under another domain, for servers with several tenants.
    pub fn demo_at(domain: &str, accounts: usize) -> Self {
        let federated = format!("fed.{domain}");
        let tenant = Self::new(domain)
            .with_domain(&federated, Authentication::Federated)
            .app(App::rotation())
            .custom_role(CUSTOM_ROLE, "Floor printer keeper");
        let tenant = with_role_holders(tenant, domain);
        let tenant = with_groups_and_units(tenant, domain);
        let tenant = with_awkward_sources(tenant, domain, &federated);
        let tenant = with_awkward_names(tenant, domain);
        let ordinary = accounts.saturating_sub(tenant.users.len());
        (0..ordinary).fold(tenant, |tenant, index| tenant.user(person(index, domain)))
    }
}

/// An ordinary account; every tenth one has changed its password recently.
fn person(index: usize, domain: &str) -> User {
    let pick = |names: &'static [&'static str], at: usize| {
        names.get(at % names.len()).copied().unwrap_or("Alex")
    };
    let given = pick(GIVEN, index);
    // Steps of another length, so that the pairs repeat only after all have been used.
    let surname = pick(SURNAMES, index / GIVEN.len() + index);
    let user = User::new(format!("user{index:06}@{domain}")).named(given, surname);
    let days = if index % 10 == 9 {
        1 + index % 20
    } else {
        100 + index % 300
    };
    user.password_age(DAY * u32::try_from(days).unwrap_or(u32::MAX))
}

fn with_role_holders(tenant: Tenant, domain: &str) -> Tenant {
    let tenant = ROLES.iter().fold(tenant, |tenant, (name, role)| {
        tenant.user(User::new(format!("{name}@{domain}")).role(*role))
    });
    tenant
        .user(
            User::new(format!("breakglass@{domain}"))
                .display_name("Break glass")
                .role(Role::GLOBAL_ADMINISTRATOR)
                .password_age(DAY * 900),
        )
        .user(
            User::new(format!("tworoles@{domain}"))
                .role(Role::PASSWORD_ADMINISTRATOR)
                .role(Role::GLOBAL_READER),
        )
        .user(
            User::new(format!("eligible.globaladmin@{domain}"))
                .eligible_role(Role::GLOBAL_ADMINISTRATOR),
        )
        .user(User::new(format!("eligible.reader@{domain}")).eligible_role(Role::DIRECTORY_READERS))
        .user(
            User::new(format!("unit.helpdesk@{domain}"))
                .unit_role(Role::HELPDESK_ADMINISTRATOR, "Branch office"),
        )
        .user(
            User::new(format!("vault.helpdesk@{domain}"))
                .unit_role(Role::HELPDESK_ADMINISTRATOR, "Executives"),
        )
}

fn with_groups_and_units(tenant: Tenant, domain: &str) -> Tenant {
    let at = |name: &str| format!("{name}@{domain}");
    [
        "group.rolemember",
        "group.member",
        "group.owner",
        "group.eligible",
        "group.eligibleowner",
        "group.ordinary",
        "branch.clerk",
        "executive",
    ]
    .into_iter()
    .fold(tenant, |tenant, name| tenant.user(User::new(at(name))))
    .group(
        Group::role_assignable("Tier 0 readers")
            .member(at("group.rolemember"))
            .role(Role::GLOBAL_READER),
    )
    .group(
        Group::role_assignable("Break-fix")
            .member(at("group.member"))
            .owner(at("group.owner"))
            .eligible_member(at("group.eligible"))
            .eligible_owner(at("group.eligibleowner")),
    )
    .group(Group::new("All staff").member(at("group.ordinary")))
    .unit(Unit::new("Branch office").member(at("branch.clerk")))
    .unit(Unit::restricted("Executives").member(at("executive")))
}

fn with_awkward_sources(tenant: Tenant, domain: &str, federated: &str) -> Tenant {
    tenant
        .user(
            User::new(format!("synced.one@{domain}"))
                .named("Sync", "One")
                .synced(),
        )
        .user(
            User::new(format!("synced.two@{domain}"))
                .named("Sync", "Two")
                .synced(),
        )
        .user(User::new(format!("federated.one@{federated}")))
        .user(User::new(format!("federated.two@{federated}")))
        .user(User::new(format!("partner_fabrikam.com#EXT#@{domain}")).guest())
        .user(User::new(format!("auditor_adatum.com#EXT#@{domain}")).guest())
        .user(User::new(format!("left.company@{domain}")).disabled())
        .user(User::new(format!("never.known@{domain}")).unknown_password_age())
        .user(User::new(format!("must.change@{domain}")).must_change_password())
        .user(
            User::new(format!("svc.legacy@{domain}"))
                .password_policies("DisablePasswordExpiration, DisableStrongPassword"),
        )
        .user(User::new(format!("fresh.today@{domain}")).password_age(Duration::from_secs(600)))
}

fn with_awkward_names(tenant: Tenant, domain: &str) -> Tenant {
    tenant
        .user(User::new(format!("o'brien@{domain}")).named("Siobhán", "O'Brien"))
        .user(User::new(format!("a#b@{domain}")).named("A", "B"))
        .user(User::new(format!("tilde~caret^bang!@{domain}")).display_name("x"))
        .user(User::new(format!("li@{domain}")).named("Li", "Wu"))
        .user(User::new(format!("unicode@{domain}")).named("Łukasz", "Żółć 李"))
        .user(User::new(format!("abcd@{domain}")).named("Abcd", "Efgh"))
        .user(User::new(format!("UPPER.Case@{domain}")).display_name("SHOUTING \"quoted\" \\name"))
}
