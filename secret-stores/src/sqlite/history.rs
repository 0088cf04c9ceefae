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

impl<T> Entry<T> {
    /// The same version, with another item.
    pub(super) fn with<U>(self, item: U) -> Entry<U> {
        Entry {
            staged: self.staged,
            contested: self.contested,
            committed: self.committed,
            run: self.run,
            state: self.state,
            item,
        }
    }
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

    /// Follows the row `seq`, and says whether it follows from the rows before it; if not, it has no place in a sound log,
    /// and changes nothing.
    pub(super) fn settle(&mut self, seq: i64, settlement: Settlement) -> bool {
        let position = self.position(settlement.staged());
        let Some((at, entry)) = position.and_then(|at| Some((at, self.entries.get(at)?))) else {
            return false;
        };
        let follows = match settlement {
            Settlement::Committed { .. } | Settlement::Discarded { .. } => {
                entry.state == VersionState::Pending
            }
            Settlement::Contested { .. } => entry.committed.is_none() && entry.contested.is_none(),
        };
        if follows {
            match settlement {
                Settlement::Committed { .. } => self.commit(at, seq),
                Settlement::Contested { .. } => self.contest(at, seq),
                Settlement::Discarded { .. } => drop(self.entries.remove(at)),
            }
        }
        follows
    }

    fn commit(&mut self, at: usize, seq: i64) {
        for (index, entry) in self.entries.iter_mut().enumerate().take(at + 1) {
            entry.state = VersionState::Previous;
            if index == at {
                entry.state = VersionState::Current;
                entry.committed = Some(seq);
            }
        }
    }

    fn contest(&mut self, at: usize, seq: i64) {
        let mut entry = self.entries.remove(at);
        entry.state = VersionState::Pending;
        entry.contested = Some(seq);
        self.entries.push(entry);
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

#[cfg(test)]
mod tests {
    use Settlement::{Committed, Contested, Discarded};
    use VersionState::{Current, Pending, Previous};
    use proptest::prelude::*;

    use super::*;

    fn run(number: u8) -> RunId {
        RunId::from_bytes([number; 16])
    }

    /// Versions 1, 2, … of these runs.
    fn staged(runs: &[u8]) -> History<()> {
        let mut history = History::default();
        for (seq, number) in (1..).zip(runs) {
            history.stage(seq, run(*number), ());
        }
        history
    }

    fn states(history: &History<()>) -> Vec<(i64, VersionState)> {
        history
            .entries()
            .iter()
            .map(|entry| (entry.staged, entry.state))
            .collect()
    }

    fn verdict(history: &History<()>, staged: i64) -> Option<Verdict> {
        history.standing(staged).map(|standing| standing.verdict)
    }

    #[test]
    fn never_lost_a_commit_leaves_later_pending_versions_pending() {
        let mut history = staged(&[1, 1, 1, 1]);
        assert!(history.settle(11, Committed { staged: 1 }));
        assert!(history.settle(12, Committed { staged: 3 }));
        let expected = [(1, Previous), (2, Previous), (3, Current), (4, Pending)];
        assert_eq!(states(&history), expected);
    }

    #[test]
    fn a_discarded_version_is_gone_and_the_others_stay() {
        let mut history = staged(&[1, 1, 1]);
        assert!(history.settle(11, Committed { staged: 1 }));
        assert!(history.settle(12, Discarded { staged: 2 }));
        assert_eq!(history.standing(2), None);
        assert_eq!(states(&history), [(1, Current), (3, Pending)]);
    }

    #[test]
    fn one_writer_a_contested_version_is_the_newest_and_stays_contested() {
        let mut history = staged(&[1, 2]);
        assert_eq!(verdict(&history, 1), Some(Verdict::Contest));
        assert!(history.settle(11, Contested { staged: 1 }));
        assert_eq!(states(&history), [(2, Pending), (1, Pending)]);
        assert_eq!(verdict(&history, 1), Some(Verdict::Fenced));
        // The other run's commit does not pass it either.
        assert_eq!(verdict(&history, 2), Some(Verdict::Contest));
    }

    #[test]
    fn one_writer_a_contested_version_is_pending_again_beside_the_current_one() {
        let mut history = staged(&[1, 2]);
        assert!(history.settle(11, Committed { staged: 2 }));
        assert_eq!(verdict(&history, 1), Some(Verdict::Contest));
        assert!(history.settle(12, Contested { staged: 1 }));
        assert_eq!(states(&history), [(2, Current), (1, Pending)]);
        assert_eq!(verdict(&history, 2), Some(Verdict::Done));
        // Only the commit of a version staged after that settles the account.
        history.stage(13, run(2), ());
        assert_eq!(verdict(&history, 13), Some(Verdict::Commit));
        assert!(history.settle(14, Committed { staged: 13 }));
        assert_eq!(
            states(&history),
            [(2, Previous), (1, Previous), (13, Current)]
        );
        assert_eq!(verdict(&history, 1), Some(Verdict::Fenced));
        assert_eq!(verdict(&history, 2), Some(Verdict::NotPending));
    }

    #[test]
    fn a_version_overtaken_by_its_own_run_is_not_pending() {
        let mut history = staged(&[1, 1]);
        assert!(history.settle(11, Committed { staged: 2 }));
        assert_eq!(verdict(&history, 1), Some(Verdict::NotPending));
    }

    #[test]
    fn a_discarded_version_fences_nobody() {
        let mut history = staged(&[1, 2]);
        assert!(history.settle(11, Discarded { staged: 2 }));
        assert_eq!(verdict(&history, 1), Some(Verdict::Commit));
    }

    #[test]
    fn rows_that_settle_what_they_cannot_are_told() {
        assert!(!staged(&[1, 1]).settle(11, Committed { staged: 9 }));
        let mut history = staged(&[1, 1]);
        assert!(history.settle(11, Committed { staged: 2 }));
        assert!(!history.settle(12, Committed { staged: 2 }));
        assert!(!history.settle(13, Committed { staged: 1 }));
        assert!(!history.settle(14, Contested { staged: 2 }));
        assert!(!history.settle(15, Discarded { staged: 1 }));
        assert!(!history.settle(16, Discarded { staged: 1 }));
        let mut history = staged(&[1, 2]);
        assert!(history.settle(11, Contested { staged: 1 }));
        assert!(!history.settle(12, Contested { staged: 1 }));
    }

    proptest! {
        /// At most one version is current, whatever comes after a pending version is pending, and whatever was staged is
        /// there unless it was discarded; no version is committed past one of another run.
        #[test]
        fn never_lost_whatever_the_order(steps in prop::collection::vec((0..4u8, 0..3u8, 1..12i64), 0..80)) {
            let mut history = History::default();
            let mut discarded = 0;
            let mut count = 0;
            for (seq, (step, number, back)) in (1..).zip(steps) {
                let Some(entry) = history.entries().iter().nth_back(back as usize % 5) else {
                    history.stage(seq, run(number), ());
                    count += 1;
                    continue;
                };
                let staged = entry.staged;
                let standing = history.standing(staged).unwrap();
                match (step, standing.verdict) {
                    (0, _) => {
                        history.stage(seq, run(number), ());
                        count += 1;
                    }
                    (1, _) if standing.state == Pending => {
                        let follows = history.settle(seq, Discarded { staged });
                        prop_assert!(follows);
                        discarded += 1;
                    }
                    (_, Verdict::Commit) => {
                        let later = history.entries().iter().skip_while(|entry| entry.staged != staged);
                        prop_assert!(later.into_iter().all(|later| later.run == standing.run));
                        let follows = history.settle(seq, Committed { staged });
                        prop_assert!(follows);
                    }
                    (_, Verdict::Contest) => {
                        let follows = history.settle(seq, Contested { staged });
                        prop_assert!(follows);
                    }
                    _ => {}
                }
                let states: Vec<_> = history.entries().iter().map(|entry| entry.state).collect();
                let rank = |state: &VersionState| [Previous, Current, Pending].iter().position(|other| other == state);
                prop_assert!(states.is_sorted_by_key(rank), "{states:?}");
                prop_assert!(states.iter().filter(|state| **state == Current).count() <= 1);
                prop_assert_eq!(states.len(), count - discarded);
            }
        }
    }
}
