use rotation_core::{RunId, VersionState};

use super::log::Settlement;

/// One account's versions in their order, folded from its rows of the log in theirs.
///
/// - Staged: the version is pending, as the newest.
/// - Committed: the version is current; the former current version and the pending ones before it are previous. Those
///   after it stay pending, for any of them may be live in the directory.
/// - Contested: the version is pending, as the newest.
/// - Discarded: the version is gone.
///
/// So whatever comes after a pending version is pending too.
#[derive(Debug)]
pub(super) struct History<T> {
    entries: Vec<Entry<T>>,
}

/// A version that has not been discarded.
#[derive(Debug)]
pub(super) struct Entry<T> {
    /// The seq of its staged row, by which later rows refer to it.
    pub(super) staged: i64,
    /// The seq of its contested row.
    pub(super) contested: Option<i64>,
    /// The seq of its committed row.
    pub(super) committed: Option<i64>,
    pub(super) run: RunId,
    pub(super) state: VersionState,
    pub(super) item: T,
}

/// What a version is now, and what a commit of it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) staged: i64,
    pub(super) run: RunId,
    pub(super) state: VersionState,
    pub(super) verdict: Verdict,
}

/// What is to be done when a version is to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It becomes current.
    Commit,
    /// Another run staged a version after it: it is refused, and contested from now on.
    Contest,
    /// Nothing: it is current.
    Done,
    /// It is refused: it is contested already.
    Fenced,
    /// It is refused: it was current before, or a later version of its own run was.
    NotPending,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> History<T> {
    pub(super) fn stage(&mut self, staged: i64, run: RunId, item: T) {
        self.entries.push(Entry {
            staged,
            contested: None,
            committed: None,
            run,
            state: VersionState::Pending,
            item,
        });
    }

    /// Says whether the row `seq`, which settles a version, follows from the rows before it; if not, it has no place in
    /// a sound log.
    pub(super) fn settle(&mut self, seq: i64, settlement: Settlement) -> bool {
        let Some(at) = self.position(settlement.staged()) else {
            return false;
        };
        match settlement {
            Settlement::Committed { .. } => self.commit(at, seq),
            Settlement::Contested { .. } => self.contest(at, seq),
            Settlement::Discarded { .. } => self.entries.remove(at).state == VersionState::Pending,
        }
    }

    fn commit(&mut self, at: usize, seq: i64) -> bool {
        let mut was_pending = false;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if index == at {
                was_pending = entry.state == VersionState::Pending;
                entry.state = VersionState::Current;
                entry.committed = Some(seq);
            } else if index < at || entry.state != VersionState::Pending {
                entry.state = VersionState::Previous;
            }
        }
        was_pending
    }

    fn contest(&mut self, at: usize, seq: i64) -> bool {
        let mut entry = self.entries.remove(at);
        let is_first = entry.committed.is_none() && entry.contested.is_none();
        entry.state = VersionState::Pending;
        entry.contested = Some(seq);
        self.entries.push(entry);
        is_first
    }

    /// Forgets what is not pending.
    pub(super) fn retain_pending(&mut self) {
        self.entries
            .retain(|entry| entry.state == VersionState::Pending);
    }

    /// Of the version staged by this row; `None` if it was discarded or never staged.
    pub(super) fn standing(&self, staged: i64) -> Option<Standing> {
        let (before, later) = self.entries.split_at_checked(self.position(staged)? + 1)?;
        let entry = before.last()?;
        let verdict = if entry.state == VersionState::Current {
            Verdict::Done
        } else if entry.committed.is_some() {
            Verdict::NotPending
        } else if entry.contested.is_some() {
            Verdict::Fenced
        } else if later.iter().any(|later| later.run != entry.run) {
            Verdict::Contest
        } else if entry.state == VersionState::Pending {
            Verdict::Commit
        } else {
            Verdict::NotPending
        };
        Some(Standing {
            staged,
            run: entry.run,
            state: entry.state,
            verdict,
        })
    }

    fn position(&self, staged: i64) -> Option<usize> {
        // From the end, where what is asked for mostly is.
        self.entries
            .iter()
            .rposition(|entry| entry.staged == staged)
    }

    pub(super) fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    pub(super) fn entry_mut(&mut self, staged: i64) -> Option<&mut Entry<T>> {
        let at = self.position(staged)?;
        self.entries.get_mut(at)
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = Entry<T>> {
        self.entries.into_iter()
    }
}
