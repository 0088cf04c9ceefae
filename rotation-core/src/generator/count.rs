use num_bigint::BigUint;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::choice::Choice;
use super::text;
use super::word::{Word, in_a_word};
use crate::policy::Pool;

/// All strings of one length with a least number of characters of each class, counted exactly.
///
/// Of the strings with `r` characters of the classes `k, k + 1, …`, those with `n` of class `k` number
/// `binomial(r, n) · sizeₖⁿ · strings(k + 1, r - n)`. Drawing `n` by these weights, class after class, then each character,
/// then their order (Fisher and Yates), makes every string equally likely. (Guaranteeing "one of each class" and
/// shuffling does not: it prefers strings with several characters of a required class.)
pub(super) struct Composition {
    length: usize,
    classes: Vec<CountedClass>,
    swaps: Vec<Swaps>,
}

/// Steps of the shuffle that share a random word: the last place of so many gets one of them, from `most` down to `least`.
struct Swaps {
    most: usize,
    least: usize,
    product: u64,
}

struct CountedClass {
    characters: Vec<u8>,
    /// How many choices of a character one random word suffices for.
    in_a_word: usize,
    minimum: usize,
    /// How many strings of each length consist of this class and those after it.
    strings: Vec<BigUint>,
    /// For each such length, how many of the characters are of this class.
    choices: Vec<Choice>,
}

impl Composition {
    pub(super) fn new(length: usize, pools: &[Pool]) -> Self {
        let mut classes: Vec<CountedClass> = Vec::with_capacity(pools.len());
        let mut after = strings_of_no_class(length);
        for pool in pools.iter().rev() {
            let weights: Vec<Vec<BigUint>> = (0..=length)
                .map(|places| weights(pool.characters.len(), pool.minimum, places, &after))
                .collect();
            let choices = weights.iter().map(|weights| Choice::new(weights)).collect();
            after = weights.iter().map(|weights| weights.iter().sum()).collect();
            classes.push(CountedClass {
                characters: pool.characters.clone(),
                in_a_word: in_a_word(pool.characters.len()),
                minimum: pool.minimum,
                strings: after.clone(),
                choices,
            });
        }
        classes.reverse();
        Self {
            length,
            classes,
            swaps: swaps(length),
        }
    }

    /// How many strings there are.
    pub(super) fn total(&self) -> BigUint {
        self.classes
            .first()
            .and_then(|class| class.strings.last())
            .cloned()
            .unwrap_or_default()
    }

    /// The characters to draw from, for an error message.
    pub(super) fn describe(&self) -> String {
        let characters: String = self
            .classes
            .iter()
            .flat_map(|class| class.characters.iter().copied().map(char::from))
            .collect();
        format!("{} characters of {characters:?}", self.length)
    }

    /// One of the strings, each with the same probability.
    pub(super) fn draw(&self, rng: &mut impl CryptoRng) -> Zeroizing<String> {
        let mut characters = Zeroizing::new(Vec::with_capacity(self.length));
        for (class, count) in self.classes.iter().zip(self.draw_counts(rng)) {
            class.draw(count, rng, &mut characters);
        }
        for swaps in &self.swaps {
            let mut word = Word::draw(rng, swaps.product);
            for places in (swaps.least..=swaps.most).rev() {
                characters.swap(places - 1, word.below(places as u64));
            }
        }
        text(&mut characters)
    }

    /// How many characters of each class the string will have.
    fn draw_counts(&self, rng: &mut impl CryptoRng) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        let mut places = self.length;
        for (k, (class, count)) in self.classes.iter().zip(&mut counts).enumerate() {
            *count = match class.choices.get(places) {
                Some(choice) if k + 1 < self.classes.len() => {
                    choice.draw(rng, || self.weights(k, places))
                }
                // what is left is of the last class
                _ => places,
            };
            places -= *count;
        }
        counts
    }

    fn weights(&self, k: usize, places: usize) -> Vec<BigUint> {
        let Some(class) = self.classes.get(k) else {
            return Vec::new();
        };
        match self.classes.get(k + 1) {
            Some(next) => weights(class.characters.len(), class.minimum, places, &next.strings),
            None => weights(
                class.characters.len(),
                class.minimum,
                places,
                &strings_of_no_class(self.length),
            ),
        }
    }
}

impl CountedClass {
    /// Appends `count` characters.
    fn draw(&self, count: usize, rng: &mut impl CryptoRng, to: &mut Vec<u8>) {
        let (size, mut left) = (self.characters.len() as u64, count);
        while left > 0 {
            let some = left.min(self.in_a_word);
            let mut word = Word::draw(rng, (0..some).map(|_| size).product());
            to.extend((0..some).filter_map(|_| self.characters.get(word.below(size))));
            left -= some;
        }
    }
}

/// The steps of a shuffle of so many places, in as few words as hold them.
fn swaps(length: usize) -> Vec<Swaps> {
    let mut all: Vec<Swaps> = Vec::new();
    for places in (2..=length).rev() {
        let last = all.last_mut();
        match last.and_then(|swaps| Some((swaps.product.checked_mul(places as u64)?, swaps))) {
            Some((product, swaps)) => (swaps.product, swaps.least) = (product, places),
            None => all.push(Swaps {
                most: places,
                least: places,
                product: places as u64,
            }),
        }
    }
    all
}

/// Lower, upper, digit, symbol, space.
const CLASSES: usize = 5;

/// There is one empty string, and no other.
fn strings_of_no_class(length: usize) -> Vec<BigUint> {
    (0..=length)
        .map(|places| BigUint::from(u32::from(places == 0)))
        .collect()
}

/// For each `n` up to `places`: the strings with `n` characters of a class of `size`, and the others as in `after`.
fn weights(size: usize, minimum: usize, places: usize, after: &[BigUint]) -> Vec<BigUint> {
    let mut arrangements = BigUint::from(1u32); // binomial(places, n) · sizeⁿ
    let others = after.get(..=places).unwrap_or_default().iter().rev();
    let mut weights = Vec::with_capacity(places + 1);
    for (n, strings) in others.enumerate() {
        weights.push(if n < minimum {
            BigUint::ZERO
        } else {
            &arrangements * strings
        });
        arrangements = arrangements * (places - n) * size / (n + 1);
    }
    weights
}
