use num_bigint::BigUint;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::text;
use super::word::{Word, in_a_word};
use crate::policy::Pool;

/// All strings of one length with a least number of characters of each class, drawn by trial: strings of any of the
/// characters, until one has enough of each class. These are all as likely as each other, and remain so.
pub(super) struct Trial {
    length: usize,
    letters: Vec<Letter>,
    /// So many characters come of one random word.
    in_a_word: usize,
    /// For each word that a string takes, the product of the bounds.
    products: Vec<u64>,
    /// What each digit of a tally must be at least.
    minimums: Vec<usize>,
}

struct Letter {
    character: u8,
    /// One, in the digit of its class.
    tally: u64,
}

/// Bits of a digit of a tally, which has one for each class: more than any length takes.
const DIGIT: usize = 12;

impl Trial {
    /// Unless most strings would be drawn in vain; so many, `strings`, have enough of each class.
    pub(super) fn new(length: usize, pools: &[Pool], strings: &BigUint) -> Option<Self> {
        let mut letters = Vec::new();
        for (class, pool) in pools.iter().enumerate() {
            let tally = 1 << (class * DIGIT);
            let letter = |&character| Letter { character, tally };
            letters.extend(pool.characters.iter().map(letter));
        }
        let all = BigUint::from(letters.len()).pow(length.try_into().ok()?);
        if *strings == BigUint::ZERO || strings * 2u32 < all {
            return None;
        }
        let in_a_word = in_a_word(letters.len());
        let product = |number: usize| (0..number).map(|_| letters.len() as u64).product();
        let numbers = (0..length).step_by(in_a_word);
        let products = numbers.map(|done| product(in_a_word.min(length - done)));
        Some(Self {
            length,
            in_a_word,
            products: products.collect(),
            minimums: pools.iter().map(|pool| pool.minimum).collect(),
            letters,
        })
    }

    /// One of the strings, each with the same probability.
    pub(super) fn draw(&self, rng: &mut impl CryptoRng) -> Zeroizing<String> {
        let bound = self.letters.len() as u64;
        let mut characters = Zeroizing::new(vec![0; self.length]);
        loop {
            let mut tally = 0;
            let words = characters.chunks_mut(self.in_a_word).zip(&self.products);
            for (places, &product) in words {
                let mut word = Word::draw(rng, product);
                for place in places {
                    if let Some(letter) = self.letters.get(word.below(bound)) {
                        *place = letter.character;
                        tally += letter.tally;
                    }
                }
            }
            if self.has_enough(tally) {
                return text(&mut characters);
            }
        }
    }

    fn has_enough(&self, mut tally: u64) -> bool {
        let mut minimums = self.minimums.iter();
        minimums.all(|&minimum| {
            let number = tally & ((1 << DIGIT) - 1);
            tally >>= DIGIT;
            number >= minimum as u64
        })
    }
}
