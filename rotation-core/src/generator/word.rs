use rand::CryptoRng;

/// A random word that gives several numbers, each below a bound of its own, every combination with the same probability
/// (Brackett-Rozinsky and Lemire, "Batched ranged random integer generation", 2024, <https://arxiv.org/abs/2408.06213>).
///
/// The word times a bound takes two words: the upper one is a number below the bound, the lower one is left for the next
/// number. What is left in the end is the first word times the product of the bounds, modulo 2^64. Each combination comes from
/// 2^64 / product words, rounded up or down; leaving out those that end below 2^64 mod product, all have as many.
pub(super) struct Word(u64);

impl Word {
    /// A word for bounds with this product, which is not zero.
    pub(super) fn draw(rng: &mut impl CryptoRng, product: u64) -> Self {
        loop {
            let word = rng.next_u64();
            let rest = word.wrapping_mul(product);
            // the remainder is smaller than the product, and takes long to compute
            if rest >= product || rest >= product.wrapping_neg() % product {
                return Self(word);
            }
        }
    }

    /// The next number, below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> usize {
        let wide = u128::from(self.0) * u128::from(bound);
        self.0 = wide as u64;
        (wide >> u64::BITS) as usize
    }
}

/// How many numbers below `bound` one random word gives.
pub(super) fn in_a_word(bound: usize) -> usize {
    match bound {
        0 | 1 => usize::MAX,
        _ => u64::MAX.ilog(bound as u64) as usize,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use rand::rngs::StdRng;
    use rand::{SeedableRng, TryCryptoRng, TryRng};

    use super::*;

    /// Gives the words it was told, from the front.
    struct Script(Vec<u64>);

    impl TryRng for Script {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("whole words are drawn")
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.0.remove(0))
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("whole words are drawn")
        }
    }

    impl TryCryptoRng for Script {}

    /// With a product of more than half of all words, each combination has one word, and the others are left out.
    #[test]
    fn every_combination_has_as_many_words() {
        let bounds = [(1 << 32) - 5, (1 << 32) - 17];
        let product: u64 = bounds.iter().product();
        let surplus = product.wrapping_neg() % product;
        let accepted = |word: u64| {
            let mut rng = Script(vec![word, u64::MAX / 2]);
            Word::draw(&mut rng, product);
            rng.0.len() == 1
        };
        // the word that leaves `rest` in the end
        let inverse = (0..6).fold(product, |x, _| {
            x.wrapping_mul(2u64.wrapping_sub(product.wrapping_mul(x)))
        });
        assert_eq!(inverse.wrapping_mul(product), 1);
        for (rest, good) in [
            (0, false),
            (surplus - 1, false),
            (surplus, true),
            (product - 1, true),
            (product, true),
            (u64::MAX, true),
        ] {
            assert_eq!(accepted(inverse.wrapping_mul(rest)), good, "{rest}");
        }
    }

    #[test]
    fn combinations_are_uniform() {
        let (bounds, mut rng) = ([3, 1, 5, 2], StdRng::seed_from_u64(7));
        let product: u64 = bounds.iter().product();
        let mut seen = BTreeMap::new();
        for _ in 0..product * 1000 {
            let mut word = Word::draw(&mut rng, product);
            *seen
                .entry(bounds.map(|bound| word.below(bound)))
                .or_insert(0) += 1;
        }
        assert_eq!(seen.len() as u64, product);
        // six standard deviations
        assert!(
            seen.values().all(|count: &i32| (810..1190).contains(count)),
            "{seen:?}"
        );
    }
}
