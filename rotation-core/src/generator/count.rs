use num_bigint::BigUint;
use rand::{CryptoRng, RngExt};

use super::choice::Choice;
use crate::policy::Pool;

/// All strings of one length with a least number of characters of each class, counted exactly.
///
/// Of the strings with `r` characters of the classes `k, k + 1, …`, those with `n` of class `k` number
/// `binomial(r, n) · sizeₖⁿ · strings(k + 1, r - n)`. Drawing `n` by these weights, class after class, then the places
/// of each class, then each character, makes every string equally likely. (Guaranteeing "one of each class" and
/// shuffling does not: it prefers strings with several characters of a required class.)
pub(super) struct Composition {
    length: usize,
    classes: Vec<CountedClass>,
}

struct CountedClass {
    characters: Vec<char>,
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
            let (characters, minimum) = (pool.characters.clone(), pool.minimum);
            classes.push(CountedClass {
                characters,
                minimum,
                strings: after.clone(),
                choices,
            });
        }
        classes.reverse();
        Self { length, classes }
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
            .flat_map(|class| &class.characters)
            .collect();
        format!("{} characters of {characters:?}", self.length)
    }

    /// Appends one of the strings to `text`, each with the same probability.
    pub(super) fn draw(&self, rng: &mut impl CryptoRng, text: &mut String) {
        let mut counts = self.draw_counts(rng);
        for places in (1..=self.length).rev() {
            let mut place = rng.random_range(0..places);
            // The place belongs to a class with a probability of its characters still to write over all of them.
            for (class, count) in self.classes.iter().zip(&mut counts) {
                if place < *count {
                    *count -= 1;
                    let character = rng.random_range(0..class.characters.len());
                    text.extend(class.characters.get(character));
                    break;
                }
                place -= *count;
            }
        }
    }

    /// How many characters of each class the string will have.
    fn draw_counts(&self, rng: &mut impl CryptoRng) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        let mut places = self.length;
        for (k, (class, count)) in self.classes.iter().zip(&mut counts).enumerate() {
            if let Some(choice) = class.choices.get(places) {
                *count = choice.draw(rng, || self.weights(k, places));
                places -= *count;
            }
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
