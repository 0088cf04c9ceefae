use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::noncontiguous::NFA;

use super::GenerateError;
use crate::policy::{Forbidden, fold};

/// The largest table of counts, in words of 64 bits: a few hundred megabytes. Only absurd rules come near it: the
/// default ones need 400 counts of three words for each character of the forbidden terms.
pub(super) const MOST_WORDS: u64 = 1 << 24;

/// Reads texts and stops at the first forbidden term (Aho and Corasick, "Efficient string matching", 1975).
pub(super) struct Automaton(NFA);

/// What has been read so far, as far as it matters for finding a term.
pub(super) type Node = StateID;

impl Automaton {
    /// # Errors
    ///
    /// [`GenerateError::TooComplex`]: the terms have 2^31 characters or more.
    pub(super) fn new<'f>(
        forbidden: impl IntoIterator<Item = &'f Forbidden>,
    ) -> Result<Self, GenerateError> {
        NFA::new(forbidden.into_iter().flat_map(Forbidden::terms))
            .map(Self)
            .map_err(|_| GenerateError::TooComplex {
                words: u64::MAX,
                most: MOST_WORDS,
            })
    }

    /// Nothing read yet; `None` where the empty text is forbidden already, which [`Forbidden`] excludes.
    pub(super) fn start(&self) -> Option<Node> {
        self.0.start_state(Anchored::No).ok()
    }

    /// Reads on; `None` if a term ends in `text`.
    pub(super) fn read(&self, node: Node, text: &str) -> Option<Node> {
        text.bytes().try_fold(node, |node, byte| {
            let next = self.0.next_state(Anchored::No, node, fold(byte));
            (!self.0.is_match(next)).then_some(next)
        })
    }

    /// Whether `text` contains none of the terms.
    pub(super) fn passes(&self, text: &str) -> bool {
        self.start()
            .is_some_and(|start| self.read(start, text).is_some())
    }
}
