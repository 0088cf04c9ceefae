use num_bigint::BigUint;
use rand::CryptoRng;

/// A choice between alternatives whose probabilities are exactly their weights over the sum of the weights.
///
/// Think of a uniform number in [0, 1), written in base 2^64, compared with the bounds between the alternatives. Its
/// first digit, one random word, almost always settles that; only where it equals the first digit of a bound are more
/// digits drawn. So the speed is that of one comparison of words, and nothing is rounded.
pub(super) struct Choice {
    /// The first digits of the bounds below 1, ascending.
    first_digits: Box<[u64]>,
}

impl Choice {
    pub(super) fn new(weights: &[BigUint]) -> Self {
        let (bounds, total) = bounds(weights);
        let first_digits = bounds
            .into_iter()
            .map(|bound| next_digit(bound, &total).0)
            .collect();
        Self { first_digits }
    }

    /// The index of the alternative drawn. `weights` must give again what [`Choice::new`] was given, with a sum above
    /// zero; it is called with probability 2^-64 per alternative at most, which is why it is not kept.
    pub(super) fn draw<W>(&self, rng: &mut impl CryptoRng, weights: impl FnOnce() -> W) -> usize
    where
        W: AsRef<[BigUint]>,
    {
        let digit = rng.next_u64();
        let passed = self.first_digits.partition_point(|&first| first < digit);
        if self.first_digits.get(passed) == Some(&digit) {
            return refine(digit, weights().as_ref(), rng);
        }
        passed
    }
}

/// Goes on comparing after the first `digit`. Each round ends it but with probability 2^-64.
fn refine(mut digit: u64, weights: &[BigUint], rng: &mut impl CryptoRng) -> usize {
    let (mut bounds, total) = bounds(weights);
    let mut passed = 0;
    loop {
        let mut tied = Vec::new();
        for bound in bounds {
            let (first, rest) = next_digit(bound, &total);
            // A bound that ends here is passed: the alternative below it excludes it.
            if first < digit || (first == digit && rest == BigUint::ZERO) {
                passed += 1;
            } else if first == digit {
                tied.push(rest);
            }
        }
        if tied.is_empty() {
            return passed;
        }
        bounds = tied;
        digit = rng.next_u64();
    }
}

/// The sums of the first 1, 2, … weights that are below the sum of all, and that sum.
fn bounds(weights: &[BigUint]) -> (Vec<BigUint>, BigUint) {
    let total: BigUint = weights.iter().sum();
    let sums = weights.iter().scan(BigUint::ZERO, |sum, weight| {
        *sum += weight;
        Some(sum.clone())
    });
    (sums.take_while(|sum| *sum < total).collect(), total)
}

/// The first digit of `bound / total` in base 2^64, and what is left of `bound` for the digits after it.
fn next_digit(bound: BigUint, total: &BigUint) -> (u64, BigUint) {
    let shifted = bound << u64::BITS;
    let digit = &shifted / total;
    let rest = shifted - &digit * total;
    (digit.iter_u64_digits().next().unwrap_or(0), rest)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::{TryCryptoRng, TryRng};

    use super::*;

    /// Gives the words it was told, from the front.
    struct Script(Vec<u64>);

    impl TryRng for Script {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("choices draw whole words")
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(self.0.remove(0))
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("choices draw whole words")
        }
    }

    impl TryCryptoRng for Script {}

    #[test]
    fn ties_are_settled_by_further_words() {
        const THIRD: u64 = u64::MAX / 3; // 0x5555…, every digit of 1/3
        const HALF: u64 = 1 << 63;
        let max = u64::MAX;
        for (weights, words, expected) in [
            (&[1u32, 2][..], &[THIRD - 1][..], 0),
            (&[1, 2], &[THIRD + 1], 1),
            (&[1, 2], &[THIRD, THIRD - 1], 0),
            (&[1, 2], &[THIRD, THIRD, THIRD + 1], 1),
            (&[1, 1], &[HALF - 1], 0),
            (&[1, 1], &[HALF], 1),
            (&[0, 0, 5, 0], &[0], 2),
            (&[0, 0, 5, 0], &[max], 2),
            (&[0, 1, 0, 1, 0], &[HALF], 3),
            (&[7], &[max], 0),
        ] {
            let weights: Vec<BigUint> = weights.iter().copied().map(BigUint::from).collect();
            let mut rng = Script(words.to_vec());
            assert_eq!(
                Choice::new(&weights).draw(&mut rng, || &weights),
                expected,
                "{weights:?} {words:?}"
            );
            assert!(rng.0.is_empty(), "{weights:?} {words:?}");
        }
    }
}
