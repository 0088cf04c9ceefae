//! A directory with a ledger, a program and what it keeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use rotation_core::{
    AccountId, AccountKey, Commit, Lease, NewVersion, Password, RunId, SecretReader, SecretStore,
    Select, StoreError, TenantId, VersionState,
};
use secret_stores::{ExecConfig, ExecReader, ExecStore};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Long enough for whatever answers at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Workshop {
    pub(crate) directory: TempDir,
    pub(crate) run: RunId,
}

impl Workshop {
    /// `None`, said aloud, where there is no Python.
    pub(crate) fn new() -> Option<Self> {
        let found = Command::new("python3").arg("--version").output();
        if found.is_err() {
            let required = std::env::var_os("ROTATION_REQUIRE_SERVERS");
            assert!(
                required.is_none_or(|value| value != "1"),
                "python3 is required"
            );
            // past the harness, which keeps what a test that passes says to itself
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: there is no python3\n")
                .ok();
            return None;
        }
        Some(Self {
            directory: directory(),
            run: RunId::new(),
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The example program.
    pub(crate) fn keep(&self) -> ExecConfig {
        self.python(&root().join("examples/exec/keep.py"), &[])
    }

    /// The example program, misbehaving once in the way that `fault` names.
    pub(crate) fn hostile(&self, fault: &str) -> ExecConfig {
        let program = root().join("secret-stores/tests/exec/hostile.py");
        self.python(&program, &[fault])
    }

    fn python(&self, program: &Path, more: &[&str]) -> ExecConfig {
        let kept = self.path("kept");
        let mut args = vec![program.to_str().unwrap(), kept.to_str().unwrap()];
        args.extend(more);
        self.config("python3", &args)
    }

    pub(crate) fn config(&self, program: &str, args: &[&str]) -> ExecConfig {
        ExecConfig::new(program, self.path("ledger.db"))
            .with_args(args.iter().copied())
            .with_timeout(PATIENCE)
    }

    pub(crate) async fn store(&self) -> ExecStore {
        ExecStore::open(self.keep()).await.unwrap()
    }

    pub(crate) fn account(&self, number: usize) -> AccountKey {
        AccountKey {
            tenant: TenantId::new("contoso"),
            account: AccountId::new(&format!("account-{number}")),
        }
    }

    pub(crate) fn version(&self, number: usize, password: &str) -> NewVersion {
        self.version_of(self.run, number, password)
    }

    pub(crate) fn version_of(&self, run: RunId, number: usize, password: &str) -> NewVersion {
        let password = Arc::new(Password::new(Zeroizing::new(password.to_owned())));
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        NewVersion::new(self.account(number), "user@contoso.com", run, at, password)
    }

    pub(crate) async fn lease(&self, store: &ExecStore) {
        let lease = self.version(1, "x").lease();
        hold(store, &lease).await;
    }

    /// Every version that a fresh reader finds, with its password and state.
    pub(crate) async fn found(&self) -> Vec<(String, VersionState)> {
        let reader = ExecReader::open(self.keep()).await.unwrap();
        let found: Vec<_> = reader.reveal(Select::All).try_collect().await.unwrap();
        found
            .into_iter()
            .map(|(version, password)| (password.expose().to_owned(), version.state))
            .collect()
    }

    /// The password that the program calls current.
    pub(crate) fn current(&self, number: usize) -> String {
        let link = format!("kept/_contoso/_account-{number}/current");
        std::fs::read_to_string(self.path(&link)).unwrap_or_default()
    }

    /// Every password that the program keeps, whatever the ledger says.
    pub(crate) fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        let mut folders = vec![self.path("kept")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    kept.push(std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        kept.sort();
        kept
    }
}

pub(crate) async fn hold(store: &ExecStore, lease: &Lease) {
    store.lease(lease, Duration::from_secs(3600)).await.unwrap();
}

pub(crate) async fn stage(store: &ExecStore, new: &NewVersion) -> Result<(), StoreError> {
    let batch = std::slice::from_ref(new);
    store.stage(batch).await.pop().unwrap()
}

pub(crate) async fn commit(store: &ExecStore, new: &NewVersion) -> Result<(), StoreError> {
    let commit = Commit::new(new.key.clone(), new.staged_at);
    store.commit(&[commit]).await.pop().unwrap()
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// In memory where that goes: the example program waits for the disk three times for each password.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
