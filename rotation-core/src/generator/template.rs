use num_bigint::BigUint;

use crate::policy::Pool;

/// A text as a row of slots, each filled with one token of its kind: what a password and a passphrase have in common.
pub(super) struct Template {
    /// The tokens of each kind.
    pub(super) kinds: Vec<Vec<Token>>,
    /// The kind of each slot, an index into `kinds`.
    pub(super) slots: Vec<usize>,
    /// How many tokens of each class a text has at least.
    pub(super) minimums: Vec<usize>,
}

/// A piece of text that counts for one class, an index into [`Template::minimums`].
pub(super) struct Token {
    pub(super) text: String,
    pub(super) class: usize,
}

impl Template {
    /// Strings of `length` characters of `pools`.
    pub(super) fn of_characters(length: usize, pools: &[Pool]) -> Self {
        let tokens = pools.iter().enumerate().flat_map(|(class, pool)| {
            pool.characters.iter().map(move |character| Token {
                text: char::from(*character).to_string(),
                class,
            })
        });
        Self {
            kinds: vec![tokens.collect()],
            slots: vec![0; length],
            minimums: pools.iter().map(|pool| pool.minimum).collect(),
        }
    }

    /// The tokens of each slot, from the first.
    pub(super) fn tokens(&self) -> impl DoubleEndedIterator<Item = &[Token]> {
        self.slots
            .iter()
            .filter_map(|&kind| self.kinds.get(kind))
            .map(Vec::as_slice)
    }

    /// How many ways there are to fill the slots, whatever the minimums.
    pub(super) fn fillings(&self) -> BigUint {
        self.tokens().map(<[Token]>::len).product()
    }
}
