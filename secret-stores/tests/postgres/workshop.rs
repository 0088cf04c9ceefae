//! A database of its own for one test, with its keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, Commit, Lease, NewVersion, Password, RunId, SecretReader, SecretStore,
    Select, StoreError, TenantId, Version, VersionState,
};
use secrecy::ExposeSecret;
use secret_stores::{
    Identities, KeyPair, PostgresConfig, PostgresReader, PostgresStore, PostgresTls, Recipients,
    keygen,
};

use crate::cluster::Cluster;

/// The password of every role that logs in: also this one must occur nowhere.
pub(crate) const LOGIN: &str = "l0gin-of-the-runner";

/// Longer than any test takes.
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// When every version of these tests was staged, and a time after that.
pub(crate) const STAGED: Timestamp = Timestamp::constant(1_700_000_000, 123_456_000);
pub(crate) const LATER: Timestamp = Timestamp::constant(1_700_000_001, 0);

pub(crate) struct Workshop<'a> {
    pub(crate) cluster: &'a Cluster,
    /// The name of the database, and of the role that owns it.
    pub(crate) name: String,
    pub(crate) keys: KeyPair,
}

impl<'a> Workshop<'a> {
    pub(crate) async fn new(cluster: &'a Cluster) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = cluster.admin("postgres").await;
        // Not to be logged: this is where the login's password comes from.
        admin
            .batch_execute("SET log_statement = none")
            .await
            .unwrap();
        let role = format!("CREATE ROLE {name} LOGIN PASSWORD '{LOGIN}'");
        admin.batch_execute(&role).await.unwrap();
        let database = format!("CREATE DATABASE {name} OWNER {name}");
        admin.batch_execute(&database).await.unwrap();
        Self {
            cluster,
            name,
            keys: keygen(),
        }
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        self.config_for(&format!("127.0.0.1:{}", self.cluster.port))
    }

    /// The same database by way of a socket, where logging in takes no time: for tests that do it all the time.
    pub(crate) fn nearby(&self) -> PostgresConfig {
        let socket = self
            .cluster
            .directory()
            .display()
            .to_string()
            .replace('/', "%2F");
        self.config_for(&format!("{socket}:{}", self.cluster.port))
    }

    /// The same database by way of another address.
    pub(crate) fn config_for(&self, host: &str) -> PostgresConfig {
        PostgresConfig::new(format!("postgres://{0}@{host}/{0}", self.name))
            .with_password(LOGIN.to_owned().into())
            .with_tls(PostgresTls::Disabled)
    }

    pub(crate) fn recipients(&self) -> Recipients {
        Recipients::parse([&self.keys.public]).unwrap()
    }

    pub(crate) fn identities(&self) -> Identities {
        Identities::parse(self.keys.private.expose_secret()).unwrap()
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        self.open_with(self.config()).await.unwrap()
    }

    pub(crate) async fn open_with(
        &self,
        config: PostgresConfig,
    ) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(config, &self.recipients()).await
    }

    /// What is wrong, to a person who opens it.
    pub(crate) async fn refusal(&self, config: PostgresConfig) -> (String, String) {
        match self.open_with(config).await {
            Err(StoreError::Unusable(problem)) => {
                (problem.message, problem.fix.unwrap_or_default())
            }
            Err(other) => panic!("expected Unusable, found {other:?}"),
            Ok(_) => panic!("expected Unusable, found an open store"),
        }
    }

    pub(crate) async fn reader(&self) -> PostgresReader {
        PostgresReader::open(self.config(), self.identities())
            .await
            .unwrap()
    }

    pub(crate) async fn reveal(&self) -> Result<Vec<(Version, Password)>, StoreError> {
        self.reader().await.reveal(Select::All).try_collect().await
    }

    /// SQL as the superuser, in this database.
    pub(crate) async fn sql(&self, sql: &str) {
        self.cluster
            .admin(&self.name)
            .await
            .batch_execute(sql)
            .await
            .unwrap();
    }
}

/// A version of a fresh account, of a run of its own.
pub(crate) fn version(password: &str) -> NewVersion {
    version_of(&account(), RunId::new(), password)
}

pub(crate) fn account() -> AccountKey {
    AccountKey {
        tenant: TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47"),
        account: AccountId::new(&RunId::new().to_string()),
    }
}

pub(crate) fn version_of(account: &AccountKey, run: RunId, password: &str) -> NewVersion {
    let password = Arc::new(Password::new(password.to_owned().into()));
    NewVersion::new(account.clone(), "adele@contoso.com", run, STAGED, password)
}

/// Begins the lease of a version's run.
pub(crate) async fn lease(store: &PostgresStore, version: &NewVersion) -> Lease {
    store.lease(&version.lease(), HOUR).await.unwrap();
    version.lease()
}

pub(crate) async fn stage(store: &PostgresStore, version: &NewVersion) -> Result<(), StoreError> {
    store.stage(std::slice::from_ref(version)).await.remove(0)
}

pub(crate) async fn commit(store: &PostgresStore, version: &NewVersion) -> Result<(), StoreError> {
    store
        .commit(&[Commit::new(version.key.clone(), LATER)])
        .await
        .remove(0)
}

/// Leases, stages and commits.
pub(crate) async fn rotate(store: &PostgresStore, version: &NewVersion) {
    lease(store, version).await;
    stage(store, version).await.unwrap();
    commit(store, version).await.unwrap();
}

pub(crate) async fn states(store: &PostgresStore, account: &AccountKey) -> Vec<VersionState> {
    store
        .versions(Select::Account(account.clone()))
        .map_ok(|version| version.state)
        .try_collect()
        .await
        .unwrap()
}

pub(crate) fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable { .. }))
}

pub(crate) fn occurs(needle: &str, bytes: &[u8]) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}
