//! From what a tenant should contain to a living tenant: ids are made up, names resolved.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Access, Account, AppCertificate, Assignment, ClientSecret, Directory, Federation, GroupRecord,
    OnPremises, Relationship, Seeded, ServicePrincipal, State, UnitRecord,
};
use crate::banned::Banned;
use crate::clock::{earlier, later};
use crate::rng::Rng;
use crate::role::Role;
use crate::seed::{
    App, Authentication, Group, InitialPassword, Origin, ScopedRole, Tenant, Unit, User,
};

/// Accounts are older than their passwords by this much.
const ACCOUNT_AGE_BEFORE_PASSWORD: Duration = Duration::from_secs(30 * 24 * 3600);

impl Directory {
    /// Builds the tenant. Equal seeds give equal ids and passwords.
    pub(crate) fn build(tenant: Tenant, seed: u64, now: Timestamp) -> io::Result<Self> {
        let domain = tenant.domains.first().map_or("", |(name, _)| name.as_str());
        let mut rng = Rng::derived(seed, domain);
        let id = tenant.id.unwrap_or_else(|| rng.uuid());

        let people = People::build(&tenant.users, &tenant.domains, &mut rng, now)?;
        let mut access = Access::default();
        access.units = units(tenant.units, &people, &mut rng)?;
        for group in tenant.groups {
            add_group(&mut access, group, &people, &mut rng)?;
        }
        // Of their own, so that the number of accounts changes nothing in the ids and secrets of apps.
        let mut rng = Rng::derived(seed, &format!("{domain}/apps"));
        let mut service_principals = Vec::with_capacity(tenant.apps.len());
        for app in tenant.apps {
            let roles = app.roles.clone();
            let principal = service_principal(app, &mut rng, now)?;
            assign(&mut access, principal.id, &roles, &[])?;
            service_principals.push(Arc::new(principal));
        }
        for (account, user) in people.accounts.iter().zip(&tenant.users) {
            assign(&mut access, account.id, &user.roles, &user.eligible_roles)?;
        }
        access.index();
        let mut rng = Rng::derived(seed, &format!("{domain}/relationships"));
        let relationships = tenant.relationships.into_iter().map(|seed| {
            let group = access.group_named(&seed.group)?;
            Ok(Relationship::new(seed, rng.uuid(), group, now))
        });
        let relationships = relationships.collect::<io::Result<_>>()?;
        Ok(Self {
            id,
            display_name: tenant.display_name,
            domains: tenant.domains,
            custom_roles: tenant.custom_roles,
            banned: Banned::new(&tenant.banned_words),
            customers: tenant.customers,
            relationships,
            password_validity: tenant.password_validity,
            replication_lag: tenant.replication_lag,
            permission_lag: tenant.permission_lag,
            switches: tenant.switches,
            first_app: service_principals.first().map(Arc::clone),
            service_principals: RwLock::new(service_principals),
            on_premises: OnPremises::default(),
            accounts: people.accounts,
            by_id: people.by_id,
            by_upn: people.by_upn,
            access: RwLock::new(access),
        })
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The accounts with their two indexes.
struct People {
    accounts: Vec<Account>,
    by_id: HashMap<Uuid, usize>,
    by_upn: HashMap<Box<str>, usize>,
}

impl People {
    fn build(
        users: &[User],
        domains: &[(String, Authentication)],
        rng: &mut Rng,
        now: Timestamp,
    ) -> io::Result<Self> {
        let mut people = Self {
            accounts: Vec::with_capacity(users.len()),
            by_id: HashMap::with_capacity(users.len()),
            by_upn: HashMap::with_capacity(users.len()),
        };
        for (index, user) in users.iter().enumerate() {
            let upn = user.user_principal_name.as_str();
            let authentication = upn
                .rsplit_once('@')
                .and_then(|(_, domain)| {
                    domains
                        .iter()
                        .find(|(known, _)| known.eq_ignore_ascii_case(domain))
                })
                .map(|&(_, authentication)| authentication)
                .ok_or_else(|| {
                    invalid(format!("{upn:?} is in no verified domain of the tenant"))
                })?;
            let federated = authentication == Authentication::Federated;
            let account = account(user, federated, rng, now);
            let twice = people.by_id.insert(account.id, index).is_some()
                || people
                    .by_upn
                    .insert(upn.to_lowercase().into(), index)
                    .is_some();
            if twice {
                return Err(invalid(format!("user {upn:?} is created twice")));
            }
            people.accounts.push(account);
        }
        Ok(people)
    }

    fn ids(&self, upns: &[String]) -> io::Result<Vec<Uuid>> {
        upns.iter()
            .map(|upn| {
                self.by_upn
                    .get(upn.to_lowercase().as_str())
                    .and_then(|&index| self.accounts.get(index))
                    .map(|account| account.id)
                    .ok_or_else(|| invalid(format!("user {upn:?} is named but not created")))
            })
            .collect()
    }
}

fn account(user: &User, federated: bool, rng: &mut Rng, now: Timestamp) -> Account {
    // Drawn in any case, so that giving one id or password leaves the other accounts unchanged.
    let (id, password) = (rng.uuid(), rng.text(14));
    let password_changed = user.password_age.map(|age| earlier(now, age));
    let seeded = Seeded {
        password: match &user.password {
            InitialPassword::Given(given) => Some(given.as_str().into()),
            // One of each class, whatever the letters turned out to be.
            InitialPassword::Random if !federated => Some(format!("{password}.Q7z").into()),
            InitialPassword::Random | InitialPassword::None => None,
        },
        password_changed,
        enabled: user.enabled,
        must_change: user.must_change,
    };
    let synced = user.origin == Origin::Synced;
    Account {
        id: user.id.unwrap_or(id),
        user_principal_name: user.user_principal_name.as_str().into(),
        display_name: user.display_name.as_str().into(),
        given_name: user.given_name.as_deref().map(Into::into),
        surname: user.surname.as_deref().map(Into::into),
        origin: user.origin,
        federated,
        requires_mfa: user.requires_mfa,
        password_policies: user
            .password_policies
            .as_deref()
            // Written by each hash synchronisation.
            .or_else(|| synced.then_some("DisablePasswordExpiration"))
            .map(Into::into),
        created: earlier(password_changed.unwrap_or(now), ACCOUNT_AGE_BEFORE_PASSWORD),
        state: Mutex::new(State::new(&seeded)),
        seeded,
    }
}

fn units(seeds: Vec<Unit>, people: &People, rng: &mut Rng) -> io::Result<Vec<UnitRecord>> {
    seeds
        .into_iter()
        .map(|unit| {
            Ok(UnitRecord {
                id: unit.id.unwrap_or_else(|| rng.uuid()),
                members: people.ids(&unit.members)?,
                display_name: unit.display_name,
                restricted: unit.restricted,
            })
        })
        .collect()
}

fn add_group(access: &mut Access, group: Group, people: &People, rng: &mut Rng) -> io::Result<()> {
    let holds_roles = !group.roles.is_empty() || !group.eligible_roles.is_empty();
    if holds_roles && !group.role_assignable {
        return Err(invalid(format!(
            "group {:?} is not role-assignable but holds roles",
            group.display_name
        )));
    }
    let record = GroupRecord {
        id: group.id.unwrap_or_else(|| rng.uuid()),
        display_name: group.display_name,
        role_assignable: group.role_assignable,
        members: people.ids(&group.members)?,
        owners: people.ids(&group.owners)?,
        eligible_members: people.ids(&group.eligible_members)?,
        eligible_owners: people.ids(&group.eligible_owners)?,
    };
    assign(access, record.id, &group.roles, &group.eligible_roles)?;
    access.groups.push(record);
    Ok(())
}

fn service_principal(app: App, rng: &mut Rng, now: Timestamp) -> io::Result<ServicePrincipal> {
    let (id, client_id, secret) = (rng.uuid(), rng.uuid(), rng.text(40));
    let mut secrets: Vec<ClientSecret> = app
        .secrets
        .into_iter()
        .map(|(value, lifetime)| ClientSecret {
            value,
            expires: lifetime.map(|lifetime| later(now, lifetime)),
        })
        .collect();
    if secrets.is_empty() {
        secrets.push(ClientSecret {
            value: secret,
            expires: None,
        });
    }
    let certificates = app
        .certificates
        .iter()
        .map(|pem| AppCertificate::from_pem(pem));
    Ok(ServicePrincipal {
        id,
        client_id: app.client_id.unwrap_or(client_id),
        display_name: app.display_name,
        secrets,
        certificates: certificates.collect::<io::Result<_>>()?,
        federations: app
            .federations
            .into_iter()
            .map(Federation::new)
            .collect::<io::Result<_>>()?,
        permissions: app.permissions,
        fresh: Vec::new(),
        required: app.required,
        delegated: app.delegated,
        public_client: app.public_client,
    })
}

fn assign(
    access: &mut Access,
    principal: Uuid,
    active: &[ScopedRole],
    eligible: &[ScopedRole],
) -> io::Result<()> {
    for role in active {
        let assignment = access.assignment(principal, role)?;
        access.assignments.push(assignment);
    }
    for role in eligible {
        let assignment = access.assignment(principal, role)?;
        access.eligibilities.push(assignment);
    }
    Ok(())
}

impl Access {
    fn group_named(&self, name: &str) -> io::Result<Uuid> {
        let mut groups = self.groups.iter();
        groups
            .find(|group| group.display_name == name)
            .map(|group| group.id)
            .ok_or_else(|| invalid(format!("group {name:?} is named but not created")))
    }

    /// An assignment of `role` to `principal` without an end, not yet in force.
    pub(crate) fn assignment(
        &self,
        principal: Uuid,
        (role, unit): &ScopedRole,
    ) -> io::Result<Assignment> {
        let unit = unit
            .as_deref()
            .map(|name| {
                self.units
                    .iter()
                    .find(|unit| unit.display_name == name)
                    .map(|unit| unit.id)
                    .ok_or_else(|| invalid(format!("unit {name:?} is named but not created")))
            })
            .transpose()?;
        if unit.is_some() && *role == Role::GLOBAL_ADMINISTRATOR {
            return Err(invalid(
                "Global Administrator cannot be assigned at unit scope".to_owned(),
            ));
        }
        Ok(Assignment::new(principal, *role, unit))
    }
}
