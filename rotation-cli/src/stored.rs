//! Reading the store, for commands that send nothing.

use futures::TryStreamExt;
use rotation_core::{Select, StoreError, TenantId, Version};
use secret_stores::Identities;
use uuid::Uuid;

use crate::args::Common;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::named::{Named, includes};
use crate::output;
use crate::wiring::store::{self, StoreReader, Stores};

/// Opens the store for reading.
///
/// # Errors
/// If there is none, or it cannot be used.
pub(crate) async fn open(
    config: &Config,
    identities: Identities,
) -> Result<Box<dyn StoreReader>, Failure> {
    let stores = Stores::of(config).map_err(Failure::usage)?;
    stores
        .read(identities)
        .await
        .map_err(|error| failure(&error))
}

/// What a store said, with the fix.
pub(crate) fn failure(error: &StoreError) -> Failure {
    let problem = store::problem(error);
    Failure::usage(match &problem.fix {
        Some(fix) => miette::miette!(help = fix.clone(), "{problem}"),
        None => miette::miette!("{problem}"),
    })
}

/// The versions that the command line asks for.
#[derive(Debug)]
pub(crate) struct Filter {
    /// All if absent.
    tenants: Option<Vec<TenantId>>,
    accounts: Vec<String>,
    named: Named,
}

impl Filter {
    /// The accounts of `tenants`, or of all; those with the names `accounts`, or all.
    pub(crate) fn new(tenants: Option<Vec<TenantId>>, accounts: &[String]) -> Self {
        Self {
            tenants,
            accounts: accounts.to_vec(),
            named: Named::new(accounts),
        }
    }

    /// What the flags that every command has ask for.
    ///
    /// # Errors
    /// If a tenant is named by a domain: which tenant that is only the directory could tell.
    pub(crate) fn of(common: &Common) -> Result<Self, Failure> {
        let names = common.tenants.iter().map(String::as_str);
        let tenants = (!common.tenants.is_empty()).then(|| tenant_ids(names));
        Ok(Self::new(tenants.transpose()?, &common.accounts))
    }

    /// What to read, possibly too much.
    pub(crate) fn selects(&self) -> Vec<Select> {
        match &self.tenants {
            Some(tenants) => tenants.iter().cloned().map(Select::Tenant).collect(),
            None => vec![Select::All],
        }
    }

    /// Reads what is asked for, one version after the other.
    ///
    /// # Errors
    /// If the store cannot be read to its end.
    pub(crate) async fn read(
        &mut self,
        reader: &dyn StoreReader,
        mut take: impl FnMut(Version),
    ) -> Result<(), Failure> {
        for select in self.selects() {
            let mut versions = reader.versions(select);
            while let Some(version) = versions.try_next().await.map_err(|error| failure(&error))? {
                if self.takes(&version) {
                    take(version);
                }
            }
        }
        Ok(())
    }

    /// Whether `version` is asked for.
    pub(crate) fn takes(&mut self, version: &Version) -> bool {
        let key = &version.key.account;
        let of = self.tenants.as_ref();
        let takes = of.is_none_or(|tenants| tenants.contains(&key.tenant))
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

/// The tenants with these GUIDs.
///
/// # Errors
/// If one is named by a domain: which tenant that is only the directory could tell.
pub(crate) fn tenant_ids<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<TenantId>, Failure> {
    let id = |name: &str| match name.parse::<Uuid>() {
        Ok(_) => Ok(TenantId::new(name)),
        Err(_) => Err(Failure::usage(miette::miette!(
            help = "`rotation status` shows the GUIDs; `rotation status --verify` asks the directories, and takes domains too",
            "no directory is asked here, so a tenant is named by its GUID: expected one instead of `{name}`"
        ))),
    };
    names.into_iter().map(id).collect()
}
