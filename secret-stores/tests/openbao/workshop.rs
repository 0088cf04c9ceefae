//! A mount of its own on a server, with a run's token and keys.

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
    Identities, KeyPair, OpenBaoAuth, OpenBaoConfig, OpenBaoReader, OpenBaoStore, Recipients,
    keygen,
};
use serde_json::json;

use crate::server::Server;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Workshop<'a> {
    pub(crate) server: &'a Server,
    pub(crate) mount: String,
    /// A token with the documented policy, and nothing but the server's own besides.
    pub(crate) token: String,
    pub(crate) keys: Option<KeyPair>,
    pub(crate) run: RunId,
}

impl<'a> Workshop<'a> {
    /// Passwords for applications to read.
    pub(crate) async fn new(server: &'a Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mount = format!("kv-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"type": "kv", "options": {"version": "2"}});
        server.put(&format!("sys/mounts/{mount}"), body).await;
        let mut shop = Self {
            server,
            mount,
            token: String::new(),
            keys: None,
            run: RunId::new(),
        };
        shop.until_mounted().await;
        let policy = OpenBaoStore::policy(&shop.config());
        shop.token = shop.token_with(&policy).await;
        shop
    }

    /// Passwords sealed to a key pair.
    pub(crate) async fn sealed(server: &'a Server) -> Self {
        Self {
            keys: Some(keygen()),
            ..Self::new(server).await
        }
    }

    /// A mount answers "upgrading" for a moment after it was made.
    async fn until_mounted(&self) {
        let path = format!("{}/config", self.mount);
        while self
            .server
            .ask("GET", &path, &self.server.root, "", json!(null))
            .await
            .0
            != 200
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A token with a policy like this, for an hour.
    pub(crate) async fn token_with(&self, policy: &str) -> String {
        let name = format!("policy-{}", RunId::new());
        let path = format!("sys/policies/acl/{name}");
        self.server.put(&path, json!({"policy": policy})).await;
        let body = json!({"policies": [name], "ttl": "1h"});
        let made = self.server.put("auth/token/create", body).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn config(&self) -> OpenBaoConfig {
        self.config_with(OpenBaoAuth::Token(self.token.as_str().into()))
    }

    pub(crate) fn config_with(&self, auth: OpenBaoAuth) -> OpenBaoConfig {
        let mut config = OpenBaoConfig::new(&self.server.address, auth);
        config.mount.clone_from(&self.mount);
        config.recipients = self
            .keys
            .as_ref()
            .map(|keys| Recipients::parse([&keys.public]).unwrap());
        config
    }

    pub(crate) fn identities(&self) -> Identities {
        match &self.keys {
            Some(keys) => Identities::parse(keys.private.expose_secret()).unwrap(),
            None => Identities::none(),
        }
    }

    pub(crate) async fn store(&self) -> OpenBaoStore {
        OpenBaoStore::open(self.config()).await.unwrap()
    }

    /// A store in which the workshop's run has its lease.
    pub(crate) async fn leased(&self) -> OpenBaoStore {
        let store = self.store().await;
        store.lease(&self.lease(), HOUR).await.unwrap();
        store
    }

    pub(crate) async fn reader(&self) -> OpenBaoReader {
        let root = OpenBaoAuth::Token(self.server.root.as_str().into());
        OpenBaoReader::open(self.config_with(root), self.identities())
            .await
            .unwrap()
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease {
            tenant: tenant(),
            run: self.run,
        }
    }

    pub(crate) fn version(&self, account: &AccountKey, password: &str) -> NewVersion {
        let password = Arc::new(Password::new(password.to_owned().into()));
        let at = Timestamp::constant(1_700_000_000, 0);
        NewVersion::new(account.clone(), "adele@contoso.com", self.run, at, password)
    }

    /// Every version there is, with its password.
    pub(crate) async fn revealed(&self) -> Vec<(Version, Password)> {
        self.reveal().await.unwrap()
    }

    pub(crate) async fn reveal(&self) -> Result<Vec<(Version, Password)>, StoreError> {
        let reader = self.reader().await;
        reader.reveal(Select::All).try_collect().await
    }

    /// The states of the account's versions, with their passwords.
    pub(crate) async fn states(&self, account: &AccountKey) -> Vec<(String, VersionState)> {
        let reader = self.reader().await;
        let all: Vec<_> = reader
            .reveal(Select::Account(account.clone()))
            .try_collect()
            .await
            .unwrap();
        all.iter()
            .map(|(version, password)| (password.expose().to_owned(), version.state))
            .collect()
    }

    /// The path of a document in the server's API.
    pub(crate) fn data(&self, path: &str) -> String {
        format!("{}/data/rotation/{path}", self.mount)
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47")
}

/// A fresh account.
pub(crate) fn account() -> AccountKey {
    AccountKey {
        tenant: tenant(),
        account: AccountId::new(&RunId::new().to_string()),
    }
}

pub(crate) async fn stage(store: &OpenBaoStore, new: &NewVersion) -> Result<(), StoreError> {
    let mut answers = store.stage(std::slice::from_ref(new)).await;
    assert_eq!(answers.len(), 1);
    answers.pop().unwrap()
}

pub(crate) async fn commit(store: &OpenBaoStore, new: &NewVersion) -> Result<(), StoreError> {
    let commit = Commit::new(new.key.clone(), Timestamp::constant(1_700_000_001, 0));
    let mut answers = store.commit(&[commit]).await;
    assert_eq!(answers.len(), 1);
    answers.pop().unwrap()
}

/// The fix that an error gives.
pub(crate) fn fix(error: &StoreError) -> String {
    match error {
        StoreError::Unusable(problem) | StoreError::Unavailable { problem, .. } => {
            format!("{problem} → {}", problem.fix.clone().unwrap_or_default())
        }
        other => panic!("no fix in {other:?}"),
    }
}
