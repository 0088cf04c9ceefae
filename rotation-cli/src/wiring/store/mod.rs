//! The one place that knows every kind of store: how each is opened, read and closed.

mod keys;

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use rotation_core::{Lease, Problem, SecretReader, SecretStore, Select, StoreError, Version};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use secret_stores::Recipients;
use secret_stores::{Behind, Identities, MirrorCopy, MirrorStore};
#[cfg(feature = "exec")]
use secret_stores::{ExecConfig, ExecReader, ExecStore};
#[cfg(feature = "openbao")]
use secret_stores::{OpenBaoConfig, OpenBaoReader, OpenBaoStore};
#[cfg(feature = "postgres")]
use secret_stores::{PostgresConfig, PostgresReader, PostgresStore};
#[cfg(feature = "sqlite")]
use secret_stores::{SqliteReader, SqliteStore};

use crate::config::{Config, ConfigError, Kind, Step, below};
use crate::output;
use keys::At;

/// How long a run waits at its end for copies to catch up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stores of a configuration, with everything it takes to open them.
pub(crate) struct Stores {
    primary: Place,
    /// By name, for people.
    copies: Vec<(String, Place)>,
}

/// A store that is open for writing.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn SecretStore>,
    close: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// What reads a store: its versions without any key, and their passwords with the private one.
#[async_trait]
pub(crate) trait StoreReader: SecretReader {
    /// The versions that `select` names, as [`SecretStore::versions`] gives them.
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>>;

    /// Who is at work, each with the time until its lease lapses; `None` if the store cannot tell.
    async fn leases(&self) -> Result<Option<Vec<(Lease, Duration)>>, StoreError> {
        Ok(None)
    }
}

/// One store, closed.
enum Place {
    #[cfg(feature = "exec")]
    Exec(ExecConfig),
    #[cfg(feature = "openbao")]
    OpenBao(OpenBaoConfig),
    #[cfg(feature = "postgres")]
    Postgres(PostgresConfig, Recipients),
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf, Recipients),
}

impl Stores {
    /// Reads the secrets that the stores of `config` need. Opens none of them.
    ///
    /// # Errors
    /// If a secret, or a file that is named, is not there.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let (document, store) = (config.document(), [Step::Key("store")]);
        let of = |kind: &Kind, steps: &[Step<'_>]| Place::of(kind, &At { document, steps });
        let copies = config
            .stores
            .copies
            .iter()
            .enumerate()
            .map(|(index, copy)| {
                let steps = below(&below(&store, Step::Key("copy")), Step::Index(index));
                Ok((copy.name.clone(), of(&copy.kind, &steps)?))
            });
        Ok(Self {
            primary: of(&config.stores.primary, &store)?,
            copies: copies.collect::<Result<_, _>>()?,
        })
    }

    /// Opens what versions are written to, and makes what is not there yet. A copy that cannot be reached now is left
    /// behind, and said to be.
    ///
    /// # Errors
    /// If the primary store cannot be used, or a person must act before a copy can.
    pub(crate) async fn open(&self) -> Result<OpenStore, StoreError> {
        let primary = self.primary.open().await?;
        if self.copies.is_empty() {
            return Ok(primary);
        }
        let (mut copies, mut opened) = (Vec::new(), Vec::new());
        for (name, place) in &self.copies {
            match place.open().await {
                Ok(open) => {
                    copies.push(MirrorCopy::new(name, Arc::clone(&open.store)));
                    opened.push(open);
                }
                Err(error @ StoreError::Unavailable { .. }) => output::note(&format!(
                    "the copy {name} cannot be reached now, and gets nothing of this run: {error}"
                )),
                Err(error) => {
                    let mut problem = problem(&error);
                    problem.message = format!("the copy {name}: {}", problem.message);
                    return Err(StoreError::Unusable(problem));
                }
            }
        }
        let mirror = MirrorStore::new(Arc::clone(&primary.store), copies);
        opened.push(primary);
        Ok(OpenStore::new(mirror, |mirror| async move {
            for behind in mirror.close(PATIENCE).await {
                tell(&behind);
            }
            drop(mirror);
            for store in opened {
                store.close().await;
            }
        }))
    }

    /// Opens the primary store for reading.
    ///
    /// # Errors
    /// If there is none, or it cannot be used.
    pub(crate) async fn read(
        &self,
        identities: Identities,
    ) -> Result<Box<dyn StoreReader>, StoreError> {
        self.primary.read(identities).await
    }

    /// Opens the copies for reading, each by its name.
    pub(crate) async fn read_copies(
        &self,
    ) -> Vec<(&str, Result<Box<dyn StoreReader>, StoreError>)> {
        let reads = self
            .copies
            .iter()
            .map(|(name, place)| async { (name.as_str(), place.read(Identities::none()).await) });
        futures::future::join_all(reads).await
    }

    /// The primary store, for people.
    pub(crate) fn name(&self) -> String {
        self.primary.name()
    }

    /// Whether the passwords of the primary store are read with a private key alone.
    pub(crate) fn seals(&self) -> bool {
        match &self.primary {
            #[cfg(feature = "exec")]
            Place::Exec(_) => false,
            #[cfg(feature = "openbao")]
            Place::OpenBao(config) => config.recipients.is_some(),
            #[cfg(feature = "postgres")]
            Place::Postgres(..) => true,
            #[cfg(feature = "sqlite")]
            Place::Sqlite(..) => true,
        }
    }
}

impl OpenStore {
    fn new<S, F>(store: S, close: impl FnOnce(S) -> F + Send + Sync + 'static) -> Self
    where
        S: SecretStore + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let store = Arc::new(store);
        let last = Arc::clone(&store);
        let close = move || match Arc::try_unwrap(last) {
            Ok(store) => close(store).boxed(),
            // somebody still uses it; it finishes what was handed over by itself
            Err(_) => futures::future::ready(()).boxed(),
        };
        Self {
            store,
            close: Box::new(close),
        }
    }

    /// Writes out what the store still holds back, if we are its last user.
    pub(crate) async fn close(self) {
        drop(self.store);
        (self.close)().await;
    }
}

impl Place {
    fn of(kind: &Kind, at: &At<'_>) -> Result<Self, ConfigError> {
        Ok(match kind {
            #[cfg(feature = "exec")]
            Kind::Exec(keys) => Self::Exec(at.exec(keys)?),
            #[cfg(feature = "openbao")]
            Kind::OpenBao(keys, recipients) => Self::OpenBao(at.openbao(keys, recipients.clone())?),
            #[cfg(feature = "postgres")]
            Kind::Postgres(keys, recipients) => {
                Self::Postgres(at.postgres(keys)?, recipients.clone())
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(keys, recipients) => {
                Self::Sqlite(at.document.resolve(&keys.path), recipients.clone())
            }
        })
    }

    async fn open(&self) -> Result<OpenStore, StoreError> {
        Ok(match self {
            #[cfg(feature = "exec")]
            Self::Exec(config) => {
                OpenStore::new(ExecStore::open(config.clone()).await?, ExecStore::close)
            }
            #[cfg(feature = "openbao")]
            Self::OpenBao(config) => OpenStore::new(
                OpenBaoStore::open(config.clone()).await?,
                |store| async move { drop(store) },
            ),
            #[cfg(feature = "postgres")]
            Self::Postgres(config, recipients) => OpenStore::new(
                PostgresStore::open(config.clone(), recipients).await?,
                PostgresStore::close,
            ),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path, recipients) => OpenStore::new(
                SqliteStore::open(path, recipients).await?,
                SqliteStore::close,
            ),
        })
    }

    async fn read(&self, identities: Identities) -> Result<Box<dyn StoreReader>, StoreError> {
        Ok(match self {
            #[cfg(feature = "exec")]
            Self::Exec(config) => Box::new(ExecReader::open(config.clone()).await?),
            #[cfg(feature = "openbao")]
            Self::OpenBao(config) => {
                Box::new(OpenBaoReader::open(config.clone(), identities).await?)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(config, _) => {
                Box::new(PostgresReader::open(config.clone(), identities).await?)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path, _) => Box::new(SqliteReader::open(path, identities).await?),
        })
    }

    fn name(&self) -> String {
        match self {
            #[cfg(feature = "exec")]
            Self::Exec(config) => format!(
                "{} with {}",
                config.program.display(),
                config.ledger.display()
            ),
            #[cfg(feature = "openbao")]
            Self::OpenBao(_) => "the OpenBao store".to_owned(),
            #[cfg(feature = "postgres")]
            Self::Postgres(..) => "the Postgres store".to_owned(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path, _) => path.display().to_string(),
        }
    }
}

#[cfg(feature = "exec")]
#[async_trait]
impl StoreReader for ExecReader {
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.ledger().versions(select)
    }

    async fn leases(&self) -> Result<Option<Vec<(Lease, Duration)>>, StoreError> {
        self.ledger().leases().await.map(Some)
    }
}

#[cfg(feature = "openbao")]
impl StoreReader for OpenBaoReader {
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        Self::versions(self, select)
    }
}

#[cfg(feature = "postgres")]
impl StoreReader for PostgresReader {
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        Self::versions(self, select)
    }
}

#[cfg(feature = "sqlite")]
#[async_trait]
impl StoreReader for SqliteReader {
    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        Self::versions(self, select)
    }

    async fn leases(&self) -> Result<Option<Vec<(Lease, Duration)>>, StoreError> {
        Self::leases(self).await.map(Some)
    }
}

/// Says what a copy did not get.
fn tell(behind: &Behind) {
    let Behind {
        name,
        versions,
        problem,
        ..
    } = behind;
    if *versions > 0 {
        let why = problem.as_ref().map(|problem| format!(": {problem}"));
        output::note(&format!(
            "the copy {name} lacks {versions} of the new passwords, and gets each with the next rotation of its account{}",
            why.unwrap_or_default()
        ));
    }
}

/// What a store said, with the fix if there is one.
pub(crate) fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable { problem, .. } | StoreError::Unusable(problem) => problem.clone(),
        _ => Problem::new(error.to_string()),
    }
}
