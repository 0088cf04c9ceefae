//! What is known of one account's versions: everything but the passwords. Pure decisions; the document that holds it is
//! written with check-and-set, which makes each of them atomic.

use jiff::Timestamp;
use rotation_core::{
    AccountKey, Commit, Committed, NewVersion, Origin, Problem, RunId, StoreError, Version,
    VersionId, VersionKey, VersionState,
};
use serde::{Deserialize, Serialize};

use super::text;

/// The form of the document that this program writes.
const FORMAT: u32 = 1;
/// How many dropped ids are remembered. A request that was given up on arrives within seconds, not hundreds of versions later.
const MAX_DROPPED: usize = 256;

/// The document of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    format: u32,
    pub(super) account: AccountKey,
    /// Which version is current, for applications: the name of its password's document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<VersionId>,
    /// In the order in which they were staged, but for those that a fence moved: previous ones first, then the current
    /// one, then pending ones.
    #[serde(with = "text")]
    versions: Vec<Entry>,
    /// Discarded or pruned, or never to be staged, their passwords perhaps not erased yet. No other password is erased:
    /// an erasure may be done late, so it must be of one that nobody stages again.
    #[serde(with = "text")]
    doomed: Vec<VersionId>,
    /// Of late in `doomed`, their passwords erased. No such id is used again.
    #[serde(with = "text")]
    dropped: Vec<VersionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: VersionId,
    user_name: String,
    run: RunId,
    origin: Origin,
    staged_at: Timestamp,
    state: VersionState,
    /// Its commit met a fence: it will never become current.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    contested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    committed: Option<Committed>,
}

impl Entry {
    fn is_pending(&self) -> bool {
        self.state == VersionState::Pending
    }
}

impl Record {
    pub(super) fn new(account: AccountKey) -> Self {
        Self {
            format: FORMAT,
            account,
            current: None,
            versions: Vec::new(),
            doomed: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// What is wrong with it, if it is not one that [`Record`] could have made of `account`.
    pub(super) fn flaw(&self, account: &AccountKey) -> Option<String> {
        if self.format != FORMAT {
            let found = self.format;
            return Some(format!("it has format {found}, expected {FORMAT}"));
        }
        if self.account != *account {
            return Some(format!(
                "it is of account {}, expected {account}",
                self.account
            ));
        }
        let current: Vec<_> = self
            .versions
            .iter()
            .filter(|entry| entry.state == VersionState::Current)
            .map(|entry| entry.version)
            .collect();
        if current.len() > 1 || current.first() != self.current.as_ref() {
            return Some("`current` and the states of its versions disagree".to_owned());
        }
        let mut ids: Vec<_> = self.versions.iter().map(|entry| entry.version).collect();
        ids.sort_unstable();
        let doubled = ids.windows(2).any(|pair| pair.first() == pair.last());
        doubled.then(|| "a version occurs twice".to_owned())
    }

    pub(super) fn has_pending(&self) -> bool {
        self.versions.iter().any(Entry::is_pending)
    }

    /// The run that the account belongs to while its lease lives.
    pub(super) fn owner(&self) -> Option<RunId> {
        let newest = self.versions.iter().rev().find(|entry| entry.is_pending());
        newest.map(|entry| entry.run)
    }

    /// What staging `new` answers if its id was used before.
    pub(super) fn known(&self, new: &NewVersion) -> Option<Result<(), StoreError>> {
        let key = &new.key;
        if self.dropped.contains(&key.version) || self.doomed.contains(&key.version) {
            return Some(Err(StoreError::NotPending(key.clone())));
        }
        let entry = self
            .versions
            .iter()
            .find(|entry| entry.version == key.version)?;
        Some(match entry.run == new.run {
            true => Ok(()),
            false => Err(StoreError::Unusable(
                Problem::new(format!(
                    "version {} of account {} was staged before, by another run",
                    key.version, key.account
                ))
                .with_fix("make a fresh version for every password"),
            )),
        })
    }

    /// A run other than that of `new` that committed a version since `new` was planned.
    pub(super) fn rotated_since(&self, new: &NewVersion) -> Option<RunId> {
        let since = |entry: &&Entry| {
            let committed = entry.committed.as_ref();
            entry.run != new.run && committed.is_some_and(|by| by.at >= new.planned_at)
        };
        self.versions
            .iter()
            .rev()
            .find(since)
            .map(|entry| entry.run)
    }

    pub(super) fn stage(&mut self, new: &NewVersion) {
        self.versions.push(Entry {
            version: new.key.version,
            user_name: new.user_name.clone(),
            run: new.run,
            origin: new.origin.clone(),
            staged_at: new.staged_at,
            state: VersionState::Pending,
            contested: false,
            committed: None,
        });
    }

    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let not_pending = || StoreError::NotPending(commit.key.clone());
        let at = self.position(commit.key.version).ok_or_else(not_pending)?;
        let (before, rest) = self.versions.split_at_mut(at);
        let (entry, after) = rest.split_first_mut().ok_or_else(not_pending)?;
        let fenced = after.iter().any(|later| later.run != entry.run);
        match entry.state {
            VersionState::Current => return Ok(()),
            VersionState::Previous if entry.committed.is_some() => return Err(not_pending()),
            _ if entry.contested => return Err(StoreError::Fenced(commit.key.clone())),
            _ if fenced => {
                let mut contested = self.versions.remove(at);
                contested.state = VersionState::Pending;
                contested.contested = true;
                self.versions.push(contested);
                return Err(StoreError::Fenced(commit.key.clone()));
            }
            VersionState::Previous => return Err(not_pending()),
            VersionState::Pending => {}
        }
        for earlier in before {
            earlier.state = VersionState::Previous;
        }
        entry.state = VersionState::Current;
        entry.committed = Some(commit.committed.clone());
        self.current = Some(entry.version);
        Ok(())
    }

    pub(super) fn discard(&mut self, key: &VersionKey) -> Result<(), StoreError> {
        match self.position(key.version) {
            None => {
                self.forgo(key.version);
                Ok(())
            }
            Some(at) if self.versions.get(at).is_some_and(Entry::is_pending) => {
                self.versions.remove(at);
                self.doomed.push(key.version);
                Ok(())
            }
            Some(_) => Err(StoreError::NotPending(key.clone())),
        }
    }

    /// Sees to it that `version` is never staged if it is not there: a request to stage it may still be under way, and its
    /// password may be written already.
    pub(super) fn forgo(&mut self, version: VersionId) {
        let over = self.doomed.contains(&version) || self.dropped.contains(&version);
        if !over && self.position(version).is_none() {
            self.doomed.push(version);
        }
    }

    /// Drops all but the `keep` newest previous versions; how many that were.
    pub(super) fn prune(&mut self, keep: usize) -> u64 {
        let is_previous = |entry: &&Entry| entry.state == VersionState::Previous;
        let previous = self.versions.iter().filter(is_previous);
        let surplus = previous.clone().count().saturating_sub(keep);
        let dropped: Vec<_> = previous.take(surplus).map(|entry| entry.version).collect();
        self.versions
            .retain(|entry| !dropped.contains(&entry.version));
        self.doomed.extend(dropped);
        surplus as u64
    }

    /// The versions whose passwords are to be erased.
    pub(super) fn doomed(&self) -> &[VersionId] {
        &self.doomed
    }

    /// Remembers that the passwords of `erased` are gone.
    pub(super) fn bury(&mut self, erased: &[VersionId]) {
        let (gone, doomed) = std::mem::take(&mut self.doomed)
            .into_iter()
            .partition(|version| erased.contains(version));
        self.doomed = doomed;
        self.dropped.extend::<Vec<_>>(gone);
        let surplus = self.dropped.len().saturating_sub(MAX_DROPPED);
        self.dropped.drain(..surplus);
    }

    /// Every version, as the core knows it.
    pub(super) fn versions(self) -> impl Iterator<Item = Version> {
        let account = self.account;
        self.versions.into_iter().map(move |entry| {
            let key = VersionKey {
                account: account.clone(),
                version: entry.version,
            };
            Version::new(
                key,
                entry.user_name,
                entry.run,
                entry.staged_at,
                entry.state,
            )
            .with_origin(entry.origin)
            .with_committed(entry.committed)
        })
    }

    fn position(&self, version: VersionId) -> Option<usize> {
        self.versions
            .iter()
            .position(|entry| entry.version == version)
    }
}

/// The password of a version is gone though the version is there.
pub(super) fn missing(key: &VersionKey) -> StoreError {
    StoreError::Unusable(
        Problem::new(format!(
            "the password of version {} of account {} was deleted from the server",
            key.version, key.account
        ))
        .with_fix("put it back from a snapshot of the server, or rotate the account"),
    )
}
