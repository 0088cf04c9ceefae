//! Repeatable randomness: equal seeds give equal tenants, faults and delays.

use uuid::Uuid;

/// Splitmix64: tiny, fast and good enough to make test data; not for secrets of the real world.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for `label`, so that adding one tenant leaves the others unchanged.
    pub(crate) fn derived(seed: u64, label: &str) -> Self {
        // FNV-1a: the standard library's hashers promise nothing between releases.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ hash)
    }

    /// A seed that differs at each start.
    pub(crate) fn fresh_seed() -> u64 {
        Uuid::new_v4().as_u64_pair().0
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for an empty range.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn fraction(&mut self) -> f64 {
        // 53 bits are all that the mantissa of an f64 can hold.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(
            ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes(),
        )
        .into_uuid()
    }

    /// `len` letters and digits.
    pub(crate) fn text(&mut self, len: usize) -> String {
        const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..len)
            .map(|_| {
                let index = self.below(ALPHABET.len() as u64) as usize;
                char::from(ALPHABET.get(index).copied().unwrap_or(b'x'))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let (mut a, mut b) = (Rng::derived(7, "x"), Rng::derived(7, "x"));
        assert_eq!(
            (a.uuid(), a.text(9), a.below(5)),
            (b.uuid(), b.text(9), b.below(5))
        );
        assert_ne!(Rng::derived(7, "x").next(), Rng::derived(7, "y").next());
    }

    #[test]
    fn fractions_stay_below_one() {
        let mut rng = Rng::new(1);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&rng.fraction())));
    }
}
