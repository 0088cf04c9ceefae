//! A store of one's own: one file of JSON lines, locked for each write, every password sealed with `age`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use age::x25519::{Identity, Recipient};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use rotation_core::{
    NewVersion, Password, Problem, SecretReader, SecretStore, Select, StoreError, Version,
    VersionKey, VersionState,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One line of the file. The file only grows; what a version is follows from all lines in order.
#[derive(Serialize, Deserialize)]
enum Line {
    Staged(Version, Vec<u8>),
    Committed(VersionKey),
    Discarded(VersionKey),
}

pub(crate) struct FileStore {
    path: PathBuf,
    recipient: Recipient,
    /// What the lines up to this length of the file come to.
    known: Mutex<(Versions, u64)>,
}

/// Every version that was not discarded, with its sealed password.
type Versions = Vec<(Version, Vec<u8>)>;

fn apply(versions: &mut Versions, line: Line) {
    match line {
        Line::Staged(version, sealed) => versions.push((version, sealed)),
        Line::Discarded(key) => versions.retain(|(version, _)| version.key != key),
        Line::Committed(key) => {
            let of_account = versions
                .iter_mut()
                .filter(|(version, _)| version.key.account == key.account);
            for (version, _) in of_account {
                if version.key == key {
                    version.state = VersionState::Current;
                    break; // whatever was staged later stays pending
                }
                version.state = VersionState::Previous;
            }
        }
    }
}

fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::unavailable("the file cannot be read or written", error)
}

impl FileStore {
    pub(crate) fn new(path: PathBuf, recipient: Recipient) -> Self {
        Self {
            path,
            recipient,
            known: Mutex::default(),
        }
    }

    /// Follows the lines that were added, whoever added them; one that a crash has cut short does not count.
    fn follow(file: &mut File, (versions, length): &mut (Versions, u64)) -> Result<(), StoreError> {
        file.seek(SeekFrom::Start(*length)).map_err(unavailable)?;
        let (mut reader, mut line) = (BufReader::new(file), String::new());
        while reader.read_line(&mut line).map_err(unavailable)? > 0 && line.ends_with('\n') {
            let parsed = serde_json::from_str(&line);
            let broken = |error: serde_json::Error| Problem::new(error.to_string());
            apply(
                versions,
                parsed.map_err(broken).map_err(StoreError::Unusable)?,
            );
            *length += line.len() as u64;
            line.clear();
        }
        Ok(())
    }

    /// Adds the lines that `decide` makes of what is there, durably, while nobody else writes.
    fn write<T>(
        &self,
        decide: impl FnOnce(&mut Versions) -> (Vec<Line>, T),
    ) -> Result<T, StoreError> {
        let open = || {
            let mut options = OpenOptions::new();
            let file = options
                .create(true)
                .read(true)
                .append(true)
                .open(&self.path)?;
            file.lock()?;
            Ok(file)
        };
        let mut file: File = open().map_err(unavailable)?;
        let mut known = self.known.lock().expect("no holder panics");
        Self::follow(&mut file, &mut known)?;
        file.set_len(known.1).map_err(unavailable)?;
        // on a copy: what is not durable is not known
        let (lines, answer) = decide(&mut known.0.clone());
        let text: String = lines
            .iter()
            .map(|line| serde_json::to_string(line).expect("plain data") + "\n")
            .collect();
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(unavailable)?;
        Ok(answer)
    }

    fn seal(&self, password: &Password) -> Vec<u8> {
        age::encrypt(&self.recipient, password.expose().as_bytes()).expect("a valid recipient")
    }
}

#[async_trait]
impl SecretStore for FileStore {
    async fn stage(&self, batch: &[NewVersion]) -> Result<(), StoreError> {
        self.write(|versions| {
            let known =
                |new: &&NewVersion| versions.iter().any(|(version, _)| version.key == new.key);
            let fresh = batch.iter().filter(|new| !known(new));
            let line =
                |new: &NewVersion| Line::Staged(Version::from(new), self.seal(&new.password));
            (fresh.map(line).collect(), ())
        })
    }

    async fn commit(&self, batch: &[VersionKey]) -> Vec<Result<(), StoreError>> {
        let commit = |versions: &mut Versions| {
            let mut lines = Vec::new();
            let mut answers = Vec::new();
            for key in batch {
                answers.push(match state(versions, key) {
                    Some(VersionState::Current) => Ok(()),
                    Some(VersionState::Pending) => {
                        apply(versions, Line::Committed(key.clone()));
                        lines.push(Line::Committed(key.clone()));
                        Ok(())
                    }
                    _ => Err(StoreError::NotPending(key.clone())),
                });
            }
            (lines, answers)
        };
        self.write(commit)
            .unwrap_or_else(|error| vec![Err(error); batch.len()])
    }

    async fn discard(&self, key: &VersionKey) -> Result<(), StoreError> {
        self.write(|versions| match state(versions, key) {
            None => (Vec::new(), Ok(())),
            Some(VersionState::Pending) => (vec![Line::Discarded(key.clone())], Ok(())),
            _ => (Vec::new(), Err(StoreError::NotPending(key.clone()))),
        })?
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        let read = self.write(|versions| (Vec::new(), std::mem::take(versions)));
        stream::iter(match read {
            Err(error) => vec![Err(error)],
            Ok(versions) => named(versions, &select)
                .map(|(version, _)| Ok(version))
                .collect(),
        })
        .boxed()
    }
}

fn state(versions: &Versions, key: &VersionKey) -> Option<VersionState> {
    versions
        .iter()
        .find(|(version, _)| version.key == *key)
        .map(|(version, _)| version.state)
}

/// The versions that `select` names, account by account; the sort keeps the order in which each account's were staged.
fn named(mut versions: Versions, select: &Select) -> impl Iterator<Item = (Version, Vec<u8>)> {
    versions.retain(|(version, _)| match select {
        Select::Account(account) => version.key.account == *account,
        Select::Tenant(tenant) => version.key.account.tenant == *tenant,
        _ => true,
    });
    versions.sort_by(|(one, _), (other, _)| one.key.account.cmp(&other.key.account));
    versions.into_iter()
}

/// Reads passwords back with the private key, as only `reveal` does.
pub(crate) struct FileReader {
    pub(crate) store: FileStore,
    pub(crate) identity: Identity,
}

impl SecretReader for FileReader {
    fn reveal(&self, select: Select) -> BoxStream<'_, Result<(Version, Password), StoreError>> {
        let open = |(version, sealed): (Version, Vec<u8>)| {
            let wrong = |_| StoreError::Unusable(Problem::new("the key does not open it"));
            let text = age::decrypt(&self.identity, &sealed).map_err(wrong)?;
            let text = String::from_utf8(text).expect("what was sealed was text");
            Ok((version, Password::new(Zeroizing::new(text))))
        };
        let read = self
            .store
            .write(|versions| (Vec::new(), std::mem::take(versions)));
        stream::iter(match read {
            Err(error) => vec![Err(error)],
            Ok(versions) => named(versions, &select).map(open).collect(),
        })
        .boxed()
    }
}
