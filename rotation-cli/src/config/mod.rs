//! `rotation.toml`: its shape, and what must hold before anything is done with it.

mod credential;
mod customers;
mod document;
mod engine;
mod error;
mod powershell;
mod redact;
mod store;
mod suggest;

pub(crate) use credential::{Credential, CredentialKind};
pub(crate) use customers::Customers;
pub(crate) use document::{Document, Step, below};
pub(crate) use engine::{Batch, Engine};
pub(crate) use error::ConfigError;
pub(crate) use powershell::{Login, OnPremises, PowerShell};
#[cfg(feature = "exec")]
pub(crate) use store::Exec;
#[cfg(feature = "postgres")]
pub(crate) use store::Postgres;
pub(crate) use store::{Kind, Stores};
#[cfg(feature = "openbao")]
pub(crate) use store::{OpenBao, OpenBaoAuth, OpenBaoAuthKind};
pub(crate) use suggest::nearest;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rotation_core::Policy;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

/// A configuration that was read whole, with the text that it was read from.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) policy: Policy,
    pub(crate) stores: Stores,
    pub(crate) engine: Engine,
    pub(crate) audit: Audit,
    pub(crate) setup: Setup,
    pub(crate) tenants: Vec<Tenant>,
    document: Document,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    policy: Policy,
    // its keys depend on its kind
    #[serde(rename = "store")]
    _store: IgnoredAny,
    #[serde(default)]
    engine: Engine,
    #[serde(default)]
    audit: Audit,
    #[serde(default)]
    setup: Setup,
    #[serde(default, rename = "tenant")]
    tenants: Vec<Tenant>,
}

/// Whether, and where, every decision and outcome is put on record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    enabled: bool,
    path: PathBuf,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            enabled: true,
            path: PathBuf::from("rotation-audit.jsonl"),
        }
    }
}

/// Where a secret is to be found; never the secret itself.
#[cfg(feature = "postgres")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with either `env` or `file`")]
pub(crate) struct SecretAt {
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
}

/// Whose hand `rotation setup` acts by: an administrator, not the app that rotates.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Setup {
    /// If there is none, the credential says.
    pub(crate) client_id: Option<String>,
    pub(crate) credential: Option<Credential>,
}

/// One tenant, and how to reach it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) backend: Backend,
    /// If there is none, the credential says.
    pub(crate) client_id: Option<String>,
    /// If there is none, the environment says.
    pub(crate) credential: Option<Credential>,
    #[serde(default)]
    pub(crate) cloud: Cloud,
    #[serde(default = "yes")]
    pub(crate) pim: bool,
    /// If it is a partner's: its customers that are tenants like it.
    pub(crate) customers: Option<Customers>,
    pub(crate) powershell: Option<PowerShell>,
    /// Where the passwords of its synced accounts are set.
    pub(crate) on_premises: Option<OnPremises>,
    /// What differs from `[policy]`, which is read once more for what it leaves out.
    #[serde(rename = "policy")]
    _overrides: Option<Policy>,
    /// What holds in this tenant.
    #[serde(skip)]
    pub(crate) policy: Policy,
}

/// What reads the accounts of a tenant and sets their passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    #[default]
    Graph,
    PowerShell,
}

/// The cloud that a tenant lives in.
#[derive(Debug)]
pub(crate) enum Cloud {
    Named(String),
    Custom(CustomCloud),
}

/// Endpoints of one's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomCloud {
    pub(crate) authority: String,
    pub(crate) graph: String,
    pub(crate) ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads the configuration in `path`, and makes sure that it makes sense. Looks at no secret and sends nothing.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, has an unknown key, lacks one, or has a value that cannot work.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::of(Document::read(path)?)
    }

    fn of(document: Document) -> Result<Self, ConfigError> {
        document.check_what_is_built_in()?;
        let Shape {
            policy,
            _store,
            engine,
            audit,
            setup,
            tenants,
        } = document.parse()?;
        let tenants = with_policies(tenants, &policy, &document)?;
        let config = Self {
            policy,
            stores: Stores::read(&document)?,
            engine,
            audit,
            setup,
            tenants,
            document,
        };
        config.check()?;
        Ok(config)
    }

    /// The text, to point into.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// A fingerprint that changes with any setting of any policy: it binds a plan to those it was made for.
    pub(crate) fn policies(&self) -> String {
        if self
            .tenants
            .iter()
            .all(|tenant| tenant.policy == self.policy)
        {
            return self.policy.fingerprint();
        }
        let mut all = Sha256::new();
        for tenant in &self.tenants {
            all.update(format!("{} {}\n", tenant.id, tenant.policy.fingerprint()));
        }
        format!("sha256:{:x}", all.finalize())
    }

    /// The audit record, unless there is to be none.
    pub(crate) fn audit_path(&self) -> Option<PathBuf> {
        self.audit
            .enabled
            .then(|| self.document.resolve(&self.audit.path))
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_policy(&self.policy, &self.document, &[Step::Key("policy")])?;
        self.engine.check(&self.document)?;
        if let Some(credential) = &self.setup.credential {
            let at = [Step::Key("setup"), Step::Key("credential")];
            credential.check(&self.document, &at, Backend::Graph)?;
        }
        if self.tenants.is_empty() {
            return Err(self
                .document
                .error(&[], "no tenant: expected at least one `[[tenant]]`")
                .with_help("`rotation init` in an empty directory shows one"));
        }
        let mut before = HashSet::new();
        for (index, tenant) in self.tenants.iter().enumerate() {
            let at = [Step::Key("tenant"), Step::Index(index), Step::Key("id")];
            if !before.insert(tenant.id.to_ascii_lowercase()) {
                let message = format!("tenant `{}` is configured twice", tenant.id);
                return Err(self
                    .document
                    .error(&at, message)
                    .with_help("remove one of the two"));
            }
            let at = [Step::Key("tenant"), Step::Index(index), Step::Key("policy")];
            check_policy(&tenant.policy, &self.document, &at)?;
            tenant.check_powershell(&self.document, index)?;
            if let Some(credential) = &tenant.credential {
                let at = [
                    Step::Key("tenant"),
                    Step::Index(index),
                    Step::Key("credential"),
                ];
                credential.check(&self.document, &at, tenant.backend)?;
            }
            if let Some(customers) = &tenant.customers {
                let at = [
                    Step::Key("tenant"),
                    Step::Index(index),
                    Step::Key("customers"),
                ];
                if tenant.backend != Backend::Graph {
                    let message = "`customers` is for tenants with `backend = \"graph\"`";
                    return Err(self.document.error(&at, message));
                }
                customers.check(tenant.credential.as_ref(), &self.document, &at)?;
            }
        }
        Ok(())
    }
}

impl Tenant {
    /// Whether it is an on-premises domain.
    pub(crate) fn is_domain(&self) -> bool {
        matches!(&self.powershell, Some(own) if own.server.is_some())
    }

    /// A key that is there and makes sense for a domain alone.
    fn domain_key(&self) -> Option<&'static str> {
        let own = self.powershell.as_ref()?;
        [
            ("search_base", own.search_base.is_some()),
            ("login", own.login.is_some()),
            ("delegated", own.delegated),
        ]
        .into_iter()
        .find_map(|(key, is_there)| is_there.then_some(key))
    }

    /// That what is for PowerShell is there for PowerShell alone.
    fn check_powershell(&self, document: &Document, index: usize) -> Result<(), ConfigError> {
        let tenant = [Step::Key("tenant"), Step::Index(index)];
        let is_domain = self.is_domain();
        match self.backend {
            Backend::Graph if self.powershell.is_some() => {
                let message = "`powershell` is for tenants with `backend = \"powershell\"`";
                Err(document.error(&below(&tenant, Step::Key("powershell")), message))
            }
            Backend::PowerShell if self.on_premises.is_some() => {
                let message = "`on_premises` is for tenants with `backend = \"graph\"`";
                Err(document.error(&below(&tenant, Step::Key("on_premises")), message))
            }
            Backend::PowerShell if !is_domain && let Some(key) = self.domain_key() => {
                let message =
                    format!("`{key}` is for a domain: expected `server`, a domain controller, too");
                Err(document.error(&below(&tenant, Step::Key("powershell")), message))
            }
            Backend::PowerShell if is_domain && self.client_id.is_some() => {
                let message = "a domain has no app: expected no `client_id`";
                Err(document.error(&below(&tenant, Step::Key("client_id")), message))
            }
            Backend::PowerShell if is_domain && self.credential.is_some() => {
                let message = "a domain is asked by the account that this program runs as, or by `powershell.login`: \
                               expected no `credential`";
                Err(document.error(&below(&tenant, Step::Key("credential")), message))
            }
            Backend::PowerShell if matches!(self.cloud, Cloud::Custom(_)) => {
                let message = "PowerShell's modules know the clouds by name: expected `global`, `usgov`, `usgov-dod` or `china`";
                Err(document.error(&below(&tenant, Step::Key("cloud")), message))
            }
            Backend::Graph | Backend::PowerShell => Ok(()),
        }
    }
}

/// The policy in `path` alone, for commands that need neither store nor tenants.
pub(crate) fn load_policy(path: &Path) -> Result<Policy, ConfigError> {
    #[derive(Deserialize)]
    struct OnlyPolicy {
        #[serde(default)]
        policy: Policy,
    }
    let document = Document::read(path)?;
    let OnlyPolicy { policy } = document.parse()?;
    check_policy(&policy, &document, &[Step::Key("policy")])?;
    Ok(policy)
}

/// Gives each tenant the policy that holds there: `policy`, but for what its own table says.
fn with_policies(
    mut tenants: Vec<Tenant>,
    policy: &Policy,
    document: &Document,
) -> Result<Vec<Tenant>, ConfigError> {
    let common: Option<toml::Table> = document.at(&[Step::Key("policy")])?;
    let common = common.unwrap_or_default();
    for (index, tenant) in tenants.iter_mut().enumerate() {
        let at = [Step::Key("tenant"), Step::Index(index), Step::Key("policy")];
        tenant.policy = match document.at::<toml::Table>(&at)? {
            None => policy.clone(),
            Some(own) => {
                let mut both = common.clone();
                both.extend(own);
                // each half was read as a policy before, so both are one
                let both = Policy::deserialize(toml::Value::Table(both));
                let both = both.map_err(|error| document.error(&at, error.message()))?;
                sparing_too(both, policy)
            }
        };
    }
    Ok(tenants)
}

/// `own`, which spares whatever `common` spares: nobody means to rotate break-glass accounts by naming others.
fn sparing_too(mut own: Policy, common: &Policy) -> Policy {
    for (own, common) in [
        (&mut own.break_glass, &common.break_glass),
        (&mut own.exclude, &common.exclude),
    ] {
        let missing = common.iter().filter(|one| !own.contains(one));
        let missing: Vec<_> = missing.cloned().collect();
        own.extend(missing);
    }
    own
}

fn check_policy(policy: &Policy, document: &Document, at: &[Step<'_>]) -> Result<(), ConfigError> {
    let Err(error) = policy.generator() else {
        return Ok(());
    };
    let error = error.to_string();
    let named = document.key_named_in(at, &error);
    let steps: Vec<_> = at
        .iter()
        .copied()
        .chain(named.as_deref().map(Step::Key))
        .collect();
    Err(document.error(&steps, error))
}

fn yes() -> bool {
    true
}

impl Default for Cloud {
    fn default() -> Self {
        Self::Named("global".to_owned())
    }
}

/// By hand, because an untagged enum would forget where and what the mistake is.
impl<'de> Deserialize<'de> for Cloud {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;

        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Cloud;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a cloud or { authority, graph, ca_file }")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Cloud, E> {
                Ok(Cloud::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cloud, A::Error> {
                CustomCloud::deserialize(MapAccessDeserializer::new(map)).map(Cloud::Custom)
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}

#[cfg(test)]
mod tests;
