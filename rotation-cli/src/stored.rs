//! Reading the store, for commands that send nothing.

use rotation_core::{Select, StoreError, TenantId, Version};
use secret_stores::{Identities, SqliteReader};
use uuid::Uuid;

use crate::args::Common;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::named::{Named, includes};
use crate::output;

/// Opens the store for reading.
///
/// # Errors
/// If there is none, or it cannot be used.
pub(crate) async fn open(config: &Config, identities: Identities) -> Result<SqliteReader, Failure> {
    SqliteReader::open(config.store_path(), identities)
        .await
        .map_err(|error| failure(&error))
}

/// What a store said, with the fix.
pub(crate) fn failure(error: &StoreError) -> Failure {
    let fix = match error {
        StoreError::Unavailable { problem, .. } | StoreError::Unusable(problem) => {
            problem.fix.clone()
        }
        _ => None,
    };
    Failure::usage(match fix {
        Some(fix) => miette::miette!(help = fix, "{error}"),
        None => miette::miette!("{error}"),
    })
}

/// The versions that the command line asks for.
#[derive(Debug)]
pub(crate) struct Filter {
    tenants: Vec<TenantId>,
    accounts: Vec<String>,
    named: Named,
}

impl Filter {
    /// # Errors
    /// If a tenant is named by a domain: which tenant that is only the directory could tell.
    pub(crate) fn new(common: &Common) -> Result<Self, Failure> {
        if let Some(domain) = common
            .tenants
            .iter()
            .find(|name| name.parse::<Uuid>().is_err())
        {
            return Err(Failure::usage(miette::miette!(
                help = "`rotation status` shows the GUIDs",
                "the store knows tenants by their GUID, expected one instead of `{domain}`"
            )));
        }
        Ok(Self {
            tenants: common
                .tenants
                .iter()
                .map(|name| TenantId::new(name))
                .collect(),
            accounts: common.accounts.clone(),
            named: Named::new(&common.accounts),
        })
    }

    /// What to read, possibly too much.
    pub(crate) fn select(&self) -> Select {
        match self.tenants.as_slice() {
            [tenant] => Select::Tenant(tenant.clone()),
            _ => Select::All,
        }
    }

    /// Whether `version` is asked for.
    pub(crate) fn takes(&mut self, version: &Version) -> bool {
        let key = &version.key.account;
        let takes = (self.tenants.is_empty() || self.tenants.contains(&key.tenant))
            && includes(&self.accounts, key.account.as_str(), &version.user_name);
        if takes {
            self.named
                .see_names(key.account.as_str(), &version.user_name);
        }
        takes
    }

    /// How the program ends: an account that was asked for and is not there is not everything wanted.
    pub(crate) fn exit(self) -> Exit {
        let missing = self.named.missing();
        for name in &missing {
            output::note(&format!("the store has no password of {name}"));
        }
        if missing.is_empty() {
            Exit::Done
        } else {
            Exit::Incomplete
        }
    }
}
