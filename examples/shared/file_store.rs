//! A store of one's own: a folder for each tenant, in it a JSON file for each account, every password sealed with `age`.
//! One lock on the whole makes every call atomic to all others, also from other processes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use age::x25519::{Identity, Recipient};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use rotation_core::{
    AccountKey, Clock, Commit, Lease, NewVersion, Password, Problem, SecretReader, SecretStore,
    Select, StoreError, SystemClock, Version, VersionKey, VersionState,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The folder of the leases: a file each, with the time at which it lapses.
const LEASES: &str = "leases";

/// The folder of the versions ever staged: a file each, with its account.
const STAGED: &str = "staged";

pub(crate) struct FileStore {
    pub(crate) folder: PathBuf,
    pub(crate) recipient: Recipient,
}

/// The file of an account: previous versions first, then the current one, then pending ones.
#[derive(Default, Serialize, Deserialize)]
struct Kept(Vec<Held>);

#[derive(Serialize, Deserialize)]
struct Held {
    version: Version,
    sealed: Vec<u8>,
    /// Its commit met a fence: it will never become current.
    contested: bool,
}

impl Kept {
    /// Whether no other run stands in the way of `new`; `lives` tells how long a run's lease has left.
    fn check_free(
        &self,
        new: &NewVersion,
        lives: impl Fn(&Lease) -> Result<Option<Duration>, StoreError>,
    ) -> Result<(), StoreError> {
        let account = new.key.account.clone();
        let mut others = self.0.iter().map(|held| &held.version);
        let owner = others
            .clone()
            .rfind(|one| one.state == VersionState::Pending);
        if let Some(Version { run, .. }) = owner.filter(|one| one.run != new.run) {
            let (run, lease) = (
                *run,
                Lease {
                    run: *run,
                    ..new.lease()
                },
            );
            if let Some(lapses_in) = lives(&lease)? {
                return Err(StoreError::Leased {
                    account,
                    run,
                    lapses_in,
                });
            }
        }
        let since = |one: &Version| {
            one.committed
                .as_ref()
                .is_some_and(|by| by.at >= new.planned_at)
        };
        match others.rfind(|one| one.run != new.run && since(one)) {
            Some(Version { run, .. }) => Err(StoreError::RotatedSince { account, run: *run }),
            None => Ok(()),
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let key = &commit.key;
        let not_pending = || StoreError::NotPending(key.clone());
        let at = self.position(key).ok_or_else(not_pending)?;
        let (before, rest) = self.0.split_at_mut(at);
        let (held, after) = rest.split_first_mut().ok_or_else(not_pending)?;
        let overtaken = after
            .iter()
            .any(|later| later.version.run != held.version.run);
        match held.version.state {
            VersionState::Current => return Ok(()),
            _ if held.version.committed.is_some() => return Err(not_pending()),
            _ if held.contested => return Err(StoreError::Fenced(key.clone())),
            // which of the two is live is not known: this one is pending too, until a later one is committed
            _ if overtaken => {
                held.contested = true;
                held.version.state = VersionState::Pending;
                rest.rotate_left(1);
                return Err(StoreError::Fenced(key.clone()));
            }
            VersionState::Previous => return Err(not_pending()),
            VersionState::Pending => {}
        }
        held.version.state = VersionState::Current;
        held.version.committed = Some(commit.committed.clone());
        for older in before {
            older.version.state = VersionState::Previous;
        }
        Ok(())
    }

    fn discard(&mut self, key: &VersionKey) -> Result<(), StoreError> {
        let Some(at) = self.position(key) else {
            return Ok(());
        };
        if self.0[at].version.state != VersionState::Pending {
            return Err(StoreError::NotPending(key.clone()));
        }
        self.0.remove(at);
        Ok(())
    }

    fn prune(&mut self, keep: usize) -> usize {
        let previous = |held: &&Held| held.version.state == VersionState::Previous;
        let old = self.0.iter().take_while(previous).count();
        self.0.drain(..old.saturating_sub(keep)).count()
    }

    fn position(&self, key: &VersionKey) -> Option<usize> {
        self.0.iter().position(|held| held.version.key == *key)
    }
}

impl FileStore {
    /// Held for as long as the answer is.
    fn lock(&self) -> Result<File, StoreError> {
        fs::create_dir_all(self.folder.join(LEASES)).map_err(unavailable)?;
        let file = File::create(self.folder.join("lock")).map_err(unavailable)?;
        file.lock().map_err(unavailable)?;
        Ok(file)
    }

    /// Changes the file of `account`.
    fn change<T>(
        &self,
        account: &AccountKey,
        change: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, StoreError> {
        let path = self.path(account);
        let mut kept: Kept = load(&path)?.unwrap_or_default();
        let answer = change(&mut kept);
        save(&path, &kept)?;
        Ok(answer)
    }

    fn stage_one(&self, new: &NewVersion) -> Result<(), StoreError> {
        let lease = new.lease();
        if self.lives(&lease)?.is_none() {
            return Err(StoreError::LeaseLost(lease));
        }
        let path = self.path(&new.key.account);
        let mut kept: Kept = load(&path)?.unwrap_or_default();
        if kept.position(&new.key).is_some() {
            return Ok(());
        }
        let staged = self.folder.join(STAGED).join(new.key.version.to_string());
        if let Some(account) = load::<AccountKey>(&staged)? {
            let (version, mine) = (new.key.version, account == new.key.account);
            let problem = Problem::new(format!("version {version} is one of account {account}"));
            return Err(match mine {
                true => StoreError::NotPending(new.key.clone()),
                false => StoreError::Unusable(problem.with_fix("make a fresh version")),
            });
        }
        kept.check_free(new, |lease| self.lives(lease))?;
        let sealed = age::encrypt(&self.recipient, new.password.expose().as_bytes());
        kept.0.push(Held {
            version: Version::from(new),
            sealed: sealed.expect("a valid recipient"),
            contested: false,
        });
        save(&path, &kept)?;
        save(&staged, &new.key.account)
    }

    /// How long `lease` has left; `None` if it lapsed or was never begun.
    fn lives(&self, lease: &Lease) -> Result<Option<Duration>, StoreError> {
        let lapses: Option<Timestamp> = load(&self.lease_path(lease))?;
        let left = lapses.map(|at| at.duration_since(SystemClock.now()));
        Ok(left
            .and_then(|left| Duration::try_from(left).ok())
            .filter(|left| !left.is_zero()))
    }

    /// The accounts that `select` names, or more.
    fn files(&self, select: &Select) -> Result<Vec<PathBuf>, StoreError> {
        let mut folders = self.folders()?;
        match select {
            Select::Account(account) => return Ok(vec![self.path(account)]),
            Select::Accounts(accounts) => {
                let paths: BTreeSet<_> = accounts.iter().map(|one| self.path(one)).collect();
                return Ok(paths.into_iter().collect());
            }
            Select::Tenant(tenant) | Select::Pending(tenant) => {
                folders.retain(|folder| folder.ends_with(name(tenant.as_str())));
            }
            _ => {}
        }
        let files: Result<Vec<_>, _> = folders.iter().map(|folder| entries(folder)).collect();
        Ok(files?.concat())
    }

    /// The folders of all tenants.
    pub(crate) fn folders(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut folders = entries(&self.folder)?;
        folders.retain(|folder| {
            folder.is_dir() && ![LEASES, STAGED].iter().any(|one| folder.ends_with(one))
        });
        Ok(folders)
    }

    /// What `item` makes of each version that `select` names.
    fn read<T>(
        &self,
        select: &Select,
        item: impl Fn(Held) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let _locked = self.lock()?;
        let mut items = Vec::new();
        for path in self.files(select)? {
            let kept: Kept = load(&path)?.unwrap_or_default();
            let named = |held: &Held| select.names(&held.version.key.account, held.version.state);
            for held in kept.0.into_iter().filter(named) {
                items.push(item(held)?);
            }
        }
        Ok(items)
    }

    fn path(&self, account: &AccountKey) -> PathBuf {
        let folder = self.folder.join(name(account.tenant.as_str()));
        folder
            .join(name(account.account.as_str()))
            .with_extension("json")
    }

    fn lease_path(&self, lease: &Lease) -> PathBuf {
        let Lease { tenant, run } = lease;
        self.folder
            .join(LEASES)
            .join(name(&format!("{tenant} {run}")))
    }
}

#[async_trait]
impl SecretStore for FileStore {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let _locked = self.lock()?;
        let path = self.lease_path(lease);
        if path.exists() && self.lives(lease)?.is_none() {
            return Err(StoreError::LeaseLost(lease.clone()));
        }
        let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
        save(
            &path,
            &SystemClock
                .now()
                .saturating_add(ttl)
                .unwrap_or(Timestamp::MAX),
        )
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let _locked = self.lock()?;
        match fs::remove_file(self.lease_path(lease)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unavailable(error)),
            _ => Ok(()),
        }
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        match self.lock() {
            Ok(_locked) => batch.iter().map(|new| self.stage_one(new)).collect(),
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        let commit = |one: &Commit| self.change(&one.key.account, |kept| kept.commit(one))?;
        match self.lock() {
            Ok(_locked) => batch.iter().map(commit).collect(),
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        let _locked = self.lock()?;
        self.change(&version.account, |kept| kept.discard(version))?
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        let mut named = self.read(select, |held| Ok(held.version))?;
        named.retain(|version| version.state == VersionState::Previous);
        let accounts: BTreeSet<_> = named.into_iter().map(|one| one.key.account).collect();
        let _locked = self.lock()?;
        let mut pruned = 0;
        for account in accounts {
            pruned += self.change(&account, |kept| kept.prune(keep))? as u64;
        }
        Ok(pruned)
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        streamed(self.read(&select, |held| Ok(held.version)))
    }
}

/// Reads passwords back with the private key, as only `reveal` does.
pub(crate) struct FileReader {
    pub(crate) store: FileStore,
    pub(crate) identity: Identity,
}

impl SecretReader for FileReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let open = |held: Held| {
            let wrong = |_| StoreError::Unusable(Problem::new("the key does not open it"));
            let text = age::decrypt(&self.identity, &held.sealed).map_err(wrong)?;
            let text = String::from_utf8(text).expect("what was sealed was text");
            Ok((held.version, Password::new(Zeroizing::new(text))))
        };
        streamed(self.store.read(&select, open))
    }
}

fn streamed<'a, T: Send + 'a>(
    items: Result<Vec<T>, StoreError>,
) -> BoxStream<'a, Result<T, StoreError>> {
    match items {
        Ok(items) => stream::iter(items).map(Ok).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}

/// A file name for any text, which sorts like it.
fn name(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What is in a folder, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).and_then(|all| all.map(|one| Ok(one?.path())).collect());
    let mut entries: Vec<_> = entries.map_err(unavailable)?;
    entries.sort();
    Ok(entries)
}

/// What `path` says, if it is there.
fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(unavailable)?,
    };
    let broken = |error| Problem::new(format!("{} is damaged: {error}", path.display()));
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| StoreError::Unusable(broken(error)))
}

/// Writes the whole file anew, durably: after a crash it is the old one or the new one.
fn save(path: &Path, contents: &impl Serialize) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)?;
        let draft = folder.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(contents)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(unavailable)
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::unavailable("the folder cannot be read or written", error)
}
