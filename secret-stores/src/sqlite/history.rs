use rotation_core::VersionState;

use super::log::Settlement;

/// One account's versions, folded from its rows of the log in their order.
///
/// - Staged: the version is pending.
/// - Committed: the version is current; the former current version and the pending ones staged before it are previous.
///   Those staged after it stay pending, for any of them may be live in the directory.
/// - Discarded: the version is gone.
#[derive(Debug)]
pub(super) struct History<T> {
    entries: Vec<Entry<T>>,
}

/// A version that has not been discarded.
#[derive(Debug)]
pub(super) struct Entry<T> {
    /// The seq of its staged row, by which later rows refer to it.
    pub(super) staged: i64,
    pub(super) state: VersionState,
    pub(super) item: T,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> History<T> {
    pub(super) fn stage(&mut self, staged: i64, item: T) {
        self.entries.push(Entry {
            staged,
            state: VersionState::Pending,
            item,
        });
    }

    /// Says whether the version was pending; if not, the row has no place in a sound log.
    pub(super) fn settle(&mut self, settlement: Settlement) -> bool {
        let (Settlement::Committed { staged } | Settlement::Discarded { staged }) = settlement;
        let was_pending = self.state(staged) == Some(VersionState::Pending);
        match settlement {
            Settlement::Committed { staged } => self.commit(staged),
            Settlement::Discarded { staged } => self.discard(staged),
        }
        was_pending
    }

    fn commit(&mut self, staged: i64) {
        for entry in &mut self.entries {
            match entry.state {
                _ if entry.staged == staged => entry.state = VersionState::Current,
                VersionState::Pending if entry.staged > staged => {}
                _ => entry.state = VersionState::Previous,
            }
        }
    }

    fn discard(&mut self, staged: i64) {
        self.entries.retain(|entry| entry.staged != staged);
    }

    /// What the version is now; `None` if it was discarded or never staged.
    pub(super) fn state(&self, staged: i64) -> Option<VersionState> {
        self.entries
            .iter()
            .find(|entry| entry.staged == staged)
            .map(|entry| entry.state)
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = Entry<T>> {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use Settlement::{Committed, Discarded};
    use VersionState::{Current, Pending, Previous};
    use proptest::prelude::*;

    use super::*;

    fn staged(count: i64) -> History<()> {
        let mut history = History::default();
        for seq in 1..=count {
            history.stage(seq, ());
        }
        history
    }

    fn states(history: History<()>) -> Vec<(i64, VersionState)> {
        history
            .into_entries()
            .map(|entry| (entry.staged, entry.state))
            .collect()
    }

    #[test]
    fn never_lost_a_commit_leaves_later_pending_versions_pending() {
        let mut history = staged(4);
        assert!(history.settle(Committed { staged: 1 }));
        assert!(history.settle(Committed { staged: 3 }));
        let expected = [(1, Previous), (2, Previous), (3, Current), (4, Pending)];
        assert_eq!(states(history), expected);
    }

    #[test]
    fn a_discarded_version_is_gone_and_the_others_stay() {
        let mut history = staged(3);
        assert!(history.settle(Committed { staged: 1 }));
        assert!(history.settle(Discarded { staged: 2 }));
        assert_eq!(history.state(2), None);
        assert_eq!(states(history), [(1, Current), (3, Pending)]);
    }

    #[test]
    fn rows_that_settle_what_is_not_pending_are_told() {
        assert!(!staged(2).settle(Committed { staged: 9 }));
        let mut history = staged(2);
        assert!(history.settle(Committed { staged: 2 }));
        assert!(!history.settle(Committed { staged: 2 }));
        assert!(!history.settle(Committed { staged: 1 }));
        assert!(!history.settle(Discarded { staged: 1 }));
        assert!(!history.settle(Discarded { staged: 1 }));
    }

    proptest! {
        /// At most one version is current, and whatever was staged is there unless it was discarded.
        #[test]
        fn never_lost_whatever_the_order(steps in prop::collection::vec((0..3u8, 1..8i64), 0..60)) {
            let mut history = History::default();
            let mut discarded = 0;
            let mut next = 1;
            for (step, seq) in steps {
                match step {
                    0 => {
                        history.stage(next, ());
                        next += 1;
                    }
                    1 if history.state(seq) == Some(Pending) => drop(history.settle(Committed { staged: seq })),
                    2 if history.state(seq) == Some(Pending) => {
                        history.settle(Discarded { staged: seq });
                        discarded += 1;
                    }
                    _ => {}
                }
            }
            let entries: Vec<_> = history.into_entries().collect();
            prop_assert_eq!(entries.len() as i64, next - 1 - discarded);
            let current: Vec<_> = entries.iter().filter(|entry| entry.state == Current).collect();
            prop_assert!(current.len() <= 1);
            if let Some(current) = current.first() {
                prop_assert!(entries.iter().all(|entry| (entry.state == Pending) == (entry.staged > current.staged)
                    || entry.staged == current.staged));
            }
        }
    }
}
