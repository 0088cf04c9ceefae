//! What only the inside can show: that each way to draw is uniform by itself, and that buffers are exact.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::policy::{Class, PassphraseRules, PasswordRules};

/// Passwords of 8 characters, of `a`, `b`, `C` and `7` only, with few digits.
fn tiny(minimums: [usize; 3], forbid: &[&str]) -> Generator {
    let left_out = ('0'..='z').filter(|c| !"abC7".contains(*c));
    let rules = PasswordRules {
        length: 8,
        min_lower: Some(minimums[0]),
        min_upper: Some(minimums[1]),
        min_digit: Some(minimums[2]),
        min_symbol: Some(0),
        symbols: String::new(),
        exclude_characters: left_out.collect(),
        forbid: forbid.iter().map(ToString::to_string).collect(),
        ..PasswordRules::default()
    };
    Generator::new(&PasswordPolicy::new(rules).unwrap()).unwrap()
}

/// Every string of 8 characters that `tiny` may give, found by trying all.
fn all(minimums: [usize; 3], forbid: &[&str]) -> Vec<String> {
    let has = |text: &str, class: &str| text.chars().filter(|c| class.contains(*c)).count();
    (0..4usize.pow(8))
        .map(|n| {
            (0..8)
                .map(|i| ['a', 'b', 'C', '7'][n >> (2 * i) & 3])
                .collect::<String>()
        })
        .filter(|text| {
            ["ab", "C", "7"]
                .iter()
                .zip(minimums)
                .all(|(class, least)| has(text, class) >= least)
        })
        .filter(|text| !forbid.iter().any(|term| text.to_lowercase().contains(term)))
        .collect()
}

/// How many standard deviations the chi-square statistic lies from its mean (Wilson and Hilferty).
fn deviation(expected: &[String], mut draw: impl FnMut() -> String) -> f64 {
    const PER_TEXT: usize = 10;
    let mut seen: BTreeMap<&str, usize> = expected.iter().map(|text| (text.as_str(), 0)).collect();
    for _ in 0..PER_TEXT * expected.len() {
        let text = draw();
        *seen
            .get_mut(text.as_str())
            .unwrap_or_else(|| panic!("{text} is not allowed")) += 1;
    }
    let square = |count: &usize| (*count as f64 - PER_TEXT as f64).powi(2) / PER_TEXT as f64;
    let freedom = (expected.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((seen.values().map(square).sum::<f64>() / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

const CASES: [([usize; 3], &[&str]); 4] = [
    ([1, 1, 1], &["ab", "bc", "cc", "77", "c7a"]),
    ([2, 1, 4], &["aa"]),
    ([3, 4, 1], &[]),
    ([1, 1, 5], &["7777", "b"]),
];

/// Of a policy that leaves out little and one that leaves out much.
#[test]
fn trial_is_for_policies_that_most_strings_stand() {
    let tried = CASES.map(|(minimums, _)| {
        let generator = tiny(minimums, &[]);
        matches!(generator.form, Form::Characters(_, Some(_)))
    });
    assert_eq!(tried, [true, false, false, false]);
}

#[test]
fn candidates_are_uniform_before_forbidden_terms() {
    for (minimums, _) in CASES {
        let (generator, mut rng) = (tiny(minimums, &[]), StdRng::seed_from_u64(7));
        let found = deviation(&all(minimums, &[]), || {
            generator.draw_candidate(&mut rng).to_string()
        });
        assert!(found.abs() < 4.0, "{minimums:?}: {found}");
    }
}

/// A string of 24 takes several random words, the last of them for fewer characters. One in five thousand lacks a class and is
/// left out, which is too few to be seen here.
#[test]
fn every_place_is_uniform_and_none_tells_of_another() {
    const PER_PAIR: usize = 100;
    let rules = PasswordRules {
        length: 24,
        classes: [Class::Lower, Class::Upper, Class::Digit].into(),
        exclude_look_alikes: false,
        exclude_characters: ('i'..='z').chain('I'..='Z').chain(['8', '9']).collect(),
        ..PasswordRules::default()
    };
    let policy = PasswordPolicy::new(rules).unwrap();
    let pools = policy.pools().iter();
    let size: usize = pools.map(|pool| pool.characters.len()).sum();
    let in_a_word = word::in_a_word(size);
    assert_eq!((size, in_a_word), (24, 13));
    let generator = Generator::new(&policy).unwrap();
    assert!(matches!(generator.form, Form::Characters(_, Some(_))));
    let mut rng = StdRng::seed_from_u64(10);
    let drawn: Vec<_> = (0..PER_PAIR * size * size)
        .map(|_| generator.draw_candidate(&mut rng))
        .collect();
    let (freedom, mean) = ((size * size - 1) as f64, PER_PAIR as f64);
    for place in 0..24 {
        for other in [(place + 1) % 24, (place + in_a_word) % 24] {
            let mut seen = BTreeMap::<_, usize>::new();
            for text in &drawn {
                let text = text.as_bytes();
                *seen.entry((text[place], text[other])).or_default() += 1;
            }
            assert_eq!(seen.len(), size * size, "{place} {other}");
            let square = |count: &usize| (*count as f64 - mean).powi(2) / mean;
            let statistic: f64 = seen.values().map(square).sum();
            let found = (statistic - freedom) / (2.0 * freedom).sqrt();
            assert!(found.abs() < 5.0, "{place} {other}: {found}");
        }
    }
}

#[test]
fn what_rejection_leaves_is_uniform() {
    for (minimums, forbid) in CASES {
        let (generator, mut rng) = (tiny(minimums, forbid), StdRng::seed_from_u64(8));
        let found = deviation(&all(minimums, forbid), || {
            generator
                .draw(&mut rng, &Forbidden::default())
                .unwrap()
                .to_string()
        });
        assert!(found.abs() < 4.0, "{minimums:?} {forbid:?}: {found}");
    }
}

#[test]
fn what_counting_draws_is_uniform() {
    for (minimums, forbid) in CASES {
        let (generator, mut rng) = (tiny(minimums, &[]), StdRng::seed_from_u64(9));
        let forbidden = Forbidden::new(forbid);
        let product = generator.product(&forbidden).unwrap();
        let layers = product.layers();
        let found = deviation(&all(minimums, forbid), || {
            let mut text = String::new();
            assert!(product.draw(&layers, &mut rng, &mut text));
            text
        });
        assert!(found.abs() < 4.0, "{minimums:?} {forbid:?}: {found}");
    }
}

#[test]
fn both_ways_to_count_agree_with_trying_all() {
    for (minimums, forbid) in CASES {
        let generator = tiny(minimums, &[]);
        let Form::Characters(composition, _) = &generator.form else {
            panic!("a password")
        };
        let everything = BigUint::from(all(minimums, &[]).len());
        assert_eq!(composition.total(), everything, "{minimums:?}");
        assert_eq!(
            generator.product(&Forbidden::default()).unwrap().total(),
            everything,
            "{minimums:?}"
        );
        let product = generator.product(&Forbidden::new(forbid)).unwrap();
        assert_eq!(
            product.total(),
            BigUint::from(all(minimums, forbid).len()),
            "{minimums:?} {forbid:?}"
        );
    }
}

#[test]
fn buffers_never_grow() {
    let mut rng = StdRng::seed_from_u64(1);
    for length in [8, 24, 255, 256] {
        let rules = PasswordRules {
            length,
            ..PasswordRules::default()
        };
        let generator = Generator::new(&PasswordPolicy::new(rules).unwrap()).unwrap();
        for text in [
            generator.draw(&mut rng, &Forbidden::default()).unwrap(),
            generator
                .draw_counted(&mut rng, &Forbidden::default())
                .unwrap(),
        ] {
            assert_eq!((text.len(), text.capacity()), (length, length));
        }
    }
    for words in [3, 20] {
        let rules = PassphraseRules {
            words,
            ..PassphraseRules::default()
        };
        let generator = Generator::of_passphrases(&PassphrasePolicy::new(rules).unwrap()).unwrap();
        let text = generator.draw(&mut rng, &Forbidden::default()).unwrap();
        assert_eq!(text.capacity(), words * 10 + 2);
    }
}

#[test]
fn the_logarithm_is_exact_beyond_the_range_of_floats() {
    for (count, expected) in [
        (BigUint::ZERO, f64::NEG_INFINITY),
        (BigUint::from(1u32), 0.0),
        (BigUint::from(3u32) << 3000, 3000.0 + 3f64.log2()),
    ] {
        assert_eq!(log2(&count), expected, "{count}");
    }
}
