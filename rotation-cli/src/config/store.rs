//! `[store]` and each `[[store.copy]]`: of which kind they are, and the keys of that kind.

use std::ops::RangeInclusive;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rotation_core::Age;
use secret_stores::Recipients;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ConfigError;
#[cfg(feature = "postgres")]
use super::SecretAt;
use super::document::{Document, Step, below};

/// How long a lease may be: longer than a hiccup of the store, and no longer than people wait for a run that died.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// Where passwords are kept.
#[derive(Debug)]
pub(crate) struct Stores {
    /// How long a run that died keeps others from its accounts; the engine's default if absent.
    pub(crate) lease: Option<Duration>,
    /// The store that decides.
    pub(crate) primary: Kind,
    /// Stores that get what became current there.
    pub(crate) copies: Vec<CopyStore>,
}

/// A store that gets what became current in the primary one.
#[derive(Debug)]
pub(crate) struct CopyStore {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A store of some kind, with its keys.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each store, and few stores"
)]
pub(crate) enum Kind {
    #[cfg(feature = "exec")]
    Exec(Exec),
    #[cfg(feature = "openbao")]
    OpenBao(OpenBao, Option<Recipients>),
    #[cfg(feature = "postgres")]
    Postgres(Postgres, Recipients),
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite, Recipients),
}

/// One local file.
#[cfg(feature = "sqlite")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sqlite {
    pub(crate) path: PathBuf,
    recipients: Vec<String>,
}

/// A program of the user's own, beside a local file of states.
#[cfg(feature = "exec")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exec {
    pub(crate) program: Vec<String>,
    pub(crate) path: PathBuf,
    pub(crate) timeout: Option<Age>,
}

/// A database.
#[cfg(feature = "postgres")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Postgres {
    pub(crate) url: String,
    pub(crate) password: Option<SecretAt>,
    pub(crate) schema: Option<String>,
    #[serde(default = "super::yes")]
    pub(crate) tls: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeout: Option<Age>,
    recipients: Vec<String>,
}

/// OpenBao or Vault.
#[cfg(feature = "openbao")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenBao {
    pub(crate) address: String,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) namespace: Option<String>,
    pub(crate) mount: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) auth: OpenBaoAuth,
    recipients: Option<Vec<String>>,
}

/// How to log in to OpenBao; `env` or `file` has the token, the secret id or the identity token.
#[cfg(feature = "openbao")]
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with `kind`, and either `env` or `file`"
)]
pub(crate) struct OpenBaoAuth {
    pub(crate) kind: OpenBaoAuthKind,
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) role_id: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) mount: Option<String>,
}

#[cfg(feature = "openbao")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OpenBaoAuthKind {
    AppRole,
    Jwt,
    Token,
}

impl Stores {
    pub(super) fn read(document: &Document) -> Result<Self, ConfigError> {
        let at = [Step::Key("store")];
        let copies = below(&at, Step::Key("copy"));
        let number = document.at::<Vec<IgnoredAny>>(&copies)?;
        let number = number.map_or(0, |all| all.len());
        let copies =
            (0..number).map(|index| CopyStore::read(document, &below(&copies, Step::Index(index))));
        let stores = Self {
            lease: read_lease(document)?,
            primary: Kind::read(document, &at, &["kind", "lease", "copy"])?,
            copies: copies.collect::<Result<_, _>>()?,
        };
        stores.check_names(document)?;
        stores.check_places(document)?;
        Ok(stores)
    }

    fn check_names(&self, document: &Document) -> Result<(), ConfigError> {
        for (index, copy) in self.copies.iter().enumerate() {
            let mut before = self.copies.iter().take(index);
            if before.any(|earlier| earlier.name == copy.name) {
                let at = [
                    Step::Key("store"),
                    Step::Key("copy"),
                    Step::Index(index),
                    Step::Key("name"),
                ];
                let message = format!("two copies are named `{}`", copy.name);
                return Err(document
                    .error(&at, message)
                    .with_help("give each copy a name of its own"));
            }
        }
        Ok(())
    }

    /// A copy in the place of another store would be none, and look as if it were.
    fn check_places(&self, document: &Document) -> Result<(), ConfigError> {
        let mut taken = vec![self.primary.place(document).1];
        for (index, copy) in self.copies.iter().enumerate() {
            let (key, place) = copy.kind.place(document);
            if taken.contains(&place) {
                let at = [
                    Step::Key("store"),
                    Step::Key("copy"),
                    Step::Index(index),
                    Step::Key(key),
                ];
                let message = format!("the copy `{}` is in the place of another store", copy.name);
                return Err(document
                    .error(&at, message)
                    .with_help("a copy is one only if it is kept somewhere else"));
            }
            taken.push(place);
        }
        Ok(())
    }
}

impl CopyStore {
    fn read(document: &Document, at: &[Step<'_>]) -> Result<Self, ConfigError> {
        let name = document.at(&below(at, Step::Key("name")))?;
        let missing = || {
            document
                .error(at, "missing field `name`")
                .with_help("its name says in `rotation status` which copy lags")
        };
        Ok(Self {
            name: name.ok_or_else(missing)?,
            kind: Kind::read(document, at, &["kind", "name"])?,
        })
    }
}

impl Kind {
    /// Reads the keys of the table at `at`, but for those that every store has. What kinds there are was checked before.
    fn read(document: &Document, at: &[Step<'_>], common: &[&str]) -> Result<Self, ConfigError> {
        let missing = || {
            document
                .error(at, "missing field `kind`")
                .with_help("for one local file: kind = \"sqlite\"")
        };
        let kind: String = document
            .at(&below(at, Step::Key("kind")))?
            .ok_or_else(missing)?;
        let recipients = |keys: &[String]| read_recipients(document, at, keys);
        Ok(match kind.as_str() {
            #[cfg(feature = "exec")]
            "exec" => Self::Exec(document.table(at, common)?),
            #[cfg(feature = "openbao")]
            "openbao" => {
                let keys: OpenBao = document.table(at, common)?;
                let recipients = keys.recipients.as_deref().map(recipients).transpose()?;
                Self::OpenBao(keys, recipients)
            }
            #[cfg(feature = "postgres")]
            "postgres" => {
                let keys: Postgres = document.table(at, common)?;
                let recipients = recipients(&keys.recipients)?;
                Self::Postgres(keys, recipients)
            }
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let keys: Sqlite = document.table(at, common)?;
                let recipients = recipients(&keys.recipients)?;
                Self::Sqlite(keys, recipients)
            }
            // no kind that is built in
            _ => return Err(missing()),
        })
    }

    /// Where it is kept, as far as the configuration tells, and the key that says so.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(unused_variables, reason = "only files lie beside the configuration")
    )]
    fn place(&self, document: &Document) -> (&'static str, String) {
        #[cfg(feature = "sqlite")]
        let file = |path: &Path| {
            let path = document.resolve(path);
            let path = std::path::absolute(&path).unwrap_or(path);
            ("path", path.display().to_string())
        };
        match self {
            #[cfg(feature = "exec")]
            Self::Exec(keys) => file(&keys.path),
            #[cfg(feature = "openbao")]
            Self::OpenBao(keys, _) => {
                let below = (&keys.namespace, &keys.mount, &keys.prefix);
                ("address", format!("{} {below:?}", keys.address))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(keys, _) => ("url", format!("{} {:?}", keys.url, keys.schema)),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(keys, _) => file(&keys.path),
        }
    }
}

fn read_lease(document: &Document) -> Result<Option<Duration>, ConfigError> {
    let at = [Step::Key("store"), Step::Key("lease")];
    let Some(lease) = document.at::<Age>(&at)? else {
        return Ok(None);
    };
    if !LEASES.contains(&lease.duration()) {
        let message = format!("a lease of {lease}, expected 1s to 1h");
        let help = "so long a run that died keeps others from its accounts: 60s suits most stores";
        return Err(document.error(&at, message).with_help(help));
    }
    Ok(Some(lease.duration()))
}

fn read_recipients(
    document: &Document,
    at: &[Step<'_>],
    keys: &[String],
) -> Result<Recipients, ConfigError> {
    Recipients::parse(keys).map_err(|error| {
        document
            .error(&below(at, Step::Key("recipients")), error.to_string())
            .with_help("`rotation keygen --out key.txt` makes a pair and prints its public key")
    })
}
