//! Every compliant password is equally likely: chi-square tests against full enumeration, and the proof that they
//! catch a generator that is not uniform.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rotation_core::{
    Forbidden, Generator, PassphrasePolicy, PassphraseRules, PasswordPolicy, PasswordRules,
};

const LENGTH: usize = 8;

/// A policy whose passwords can be enumerated: few characters, and the shortest length that Entra ID accepts.
struct Tight {
    lower: &'static str,
    upper: &'static str,
    digit: &'static str,
    symbol: &'static str,
    minimums: [usize; 4],
    forbid: &'static [&'static str],
}

const TIGHT: [Tight; 4] = [
    Tight {
        lower: "a",
        upper: "B",
        digit: "7",
        symbol: "",
        minimums: [1, 1, 1, 0],
        forbid: &[],
    },
    Tight {
        lower: "ab",
        upper: "C",
        digit: "7",
        symbol: "-",
        minimums: [1, 1, 1, 4],
        forbid: &[],
    },
    Tight {
        lower: "ab",
        upper: "C",
        digit: "7",
        symbol: "",
        minimums: [4, 1, 2, 0],
        forbid: &["ab", "c7"],
    },
    // Hardly any candidate survives here, so most passwords come from the exact count.
    Tight {
        lower: "x",
        upper: "B",
        digit: "0",
        symbol: "-",
        minimums: [1, 1, 1, 0],
        forbid: &[
            "b-", "-b", "xx", "oo", "o-x", "x-o", "bb", "bx", "ob", "bo", "xo",
        ],
    },
];

impl Tight {
    fn classes(&self) -> [&'static str; 4] {
        [self.lower, self.upper, self.digit, self.symbol]
    }

    fn generator(&self) -> Generator {
        let used = self.classes().concat();
        let rules = PasswordRules {
            length: LENGTH,
            min_lower: Some(self.minimums[0]),
            min_upper: Some(self.minimums[1]),
            min_digit: Some(self.minimums[2]),
            min_symbol: Some(self.minimums[3]),
            symbols: self.symbol.to_owned(),
            exclude_look_alikes: false,
            exclude_characters: ('0'..='z').filter(|c| !used.contains(*c)).collect(),
            forbid: self.forbid.iter().map(ToString::to_string).collect(),
            ..PasswordRules::default()
        };
        Generator::new(&PasswordPolicy::new(rules).unwrap()).unwrap()
    }

    fn accepts(&self, text: &str) -> bool {
        let count = |class: &str| text.chars().filter(|c| class.contains(*c)).count();
        let read_by_entra = text.to_lowercase().replace('0', "o");
        self.classes()
            .iter()
            .zip(self.minimums)
            .all(|(class, minimum)| count(class) >= minimum)
            && !self.forbid.iter().any(|term| read_by_entra.contains(term))
    }

    fn all(&self) -> Vec<String> {
        let characters: Vec<char> = self.classes().concat().chars().collect();
        let mut texts = vec![String::new()];
        for _ in 0..LENGTH {
            texts = texts
                .iter()
                .flat_map(|text| characters.iter().map(move |c| format!("{text}{c}")))
                .collect();
        }
        texts.retain(|text| self.accepts(text));
        texts
    }

    /// What is often written: one of each class, the rest from all of them, then a shuffle.
    fn naive(&self, rng: &mut StdRng) -> String {
        let mut text = Vec::new();
        for (class, minimum) in self.classes().iter().zip(self.minimums) {
            let class: Vec<char> = class.chars().collect();
            text.extend((0..minimum).map(|_| *class.choose(rng).unwrap()));
        }
        let characters: Vec<char> = self.classes().concat().chars().collect();
        text.extend((text.len()..LENGTH).map(|_| *characters.choose(rng).unwrap()));
        text.shuffle(rng);
        text.into_iter().collect()
    }
}

/// How many standard deviations the chi-square statistic of draws lies above what is expected of a uniform choice
/// among `all` (Wilson and Hilferty's approximation).
fn deviation(all: &[String], mut draw: impl FnMut() -> String) -> f64 {
    const PER_TEXT: usize = 10;
    let mut seen: BTreeMap<&str, usize> = all.iter().map(|text| (text.as_str(), 0)).collect();
    for _ in 0..PER_TEXT * all.len() {
        let text = draw();
        *seen
            .get_mut(text.as_str())
            .unwrap_or_else(|| panic!("{text} is not allowed")) += 1;
    }
    let square = |count: &usize| (*count as f64 - PER_TEXT as f64).powi(2) / PER_TEXT as f64;
    let freedom = (all.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    ((seen.values().map(square).sum::<f64>() / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

#[test]
fn every_compliant_password_is_equally_likely() {
    for (row, tight) in TIGHT.iter().enumerate() {
        let (generator, mut rng) = (tight.generator(), StdRng::seed_from_u64(42));
        let found = deviation(&tight.all(), || {
            generator
                .generate(&mut rng, &Forbidden::default())
                .unwrap()
                .expose()
                .to_owned()
        });
        assert!(found.abs() < 4.0, "row {row}: {found} standard deviations");
    }
}

#[test]
fn the_same_test_catches_one_of_each_then_shuffle() {
    for (row, tight) in TIGHT
        .iter()
        .enumerate()
        .filter(|(_, tight)| tight.forbid.is_empty())
    {
        let mut rng = StdRng::seed_from_u64(42);
        let found = deviation(&tight.all(), || tight.naive(&mut rng));
        assert!(found > 20.0, "row {row}: {found} standard deviations");
    }
}

#[test]
fn terms_of_an_account_leave_the_rest_equally_likely() {
    let tight = &TIGHT[0];
    let (generator, mut rng) = (tight.generator(), StdRng::seed_from_u64(43));
    let names = Forbidden::new(["ab", "BA", "777"]);
    let mut all = tight.all();
    all.retain(|text| !names.is_in(text));
    let found = deviation(&all, || {
        generator
            .generate(&mut rng, &names)
            .unwrap()
            .expose()
            .to_owned()
    });
    assert!(found.abs() < 4.0, "{found} standard deviations");
    assert_eq!(
        generator.entropy_bits_for(&names).unwrap(),
        (all.len() as f64).log2()
    );
}

#[test]
fn the_entropy_is_the_logarithm_of_the_number_of_passwords() {
    for (row, tight) in TIGHT.iter().enumerate() {
        let expected = (tight.all().len() as f64).log2();
        assert_eq!(
            tight.generator().entropy_bits().unwrap(),
            expected,
            "row {row}"
        );
    }
}

/// Only a few words have no vowel but `u`, so these phrases come from the exact count.
#[test]
fn every_compliant_passphrase_is_equally_likely() {
    let forbid = ["a", "e", "i", "o", "c", "s", "b", "t", "d"]
        .map(str::to_owned)
        .to_vec();
    let rules = PassphraseRules {
        words: 2,
        digits: 1,
        forbid,
        ..PassphraseRules::default()
    };
    let generator = Generator::of_passphrases(&PassphrasePolicy::new(rules).unwrap()).unwrap();
    let words: Vec<String> = diceware_wordlists::EFF_LONG_WORDLIST
        .iter()
        .filter(|word| !word.contains(|c: char| "aeiocsbtd-".contains(c)))
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect();
    assert!((3..60).contains(&words.len()), "{words:?}");
    let mut all = Vec::new();
    for (one, two) in words
        .iter()
        .flat_map(|one| words.iter().map(move |two| (one, two)))
    {
        all.extend((2..=9).map(|digit| format!("{one}-{two}-{digit}")));
    }
    let mut rng = StdRng::seed_from_u64(44);
    // One statistic over parts of the phrases: a draw from the exact count is too slow for one over all of them.
    let draws = 400;
    let mut seen = BTreeMap::new();
    for _ in 0..draws {
        let text = generator.generate(&mut rng, &Forbidden::default()).unwrap();
        assert!(
            all.iter().any(|phrase| phrase == text.expose()),
            "not allowed"
        );
        *seen
            .entry(text.expose().split('-').next().unwrap().to_owned())
            .or_insert(0usize) += 1;
    }
    let expected = draws as f64 / words.len() as f64;
    let statistic: f64 = words
        .iter()
        .map(|word| (*seen.get(word).unwrap_or(&0) as f64 - expected).powi(2) / expected)
        .sum();
    let freedom = (words.len() - 1) as f64;
    assert!(
        statistic < freedom + 4.0 * (2.0 * freedom).sqrt(),
        "{statistic} with {freedom} degrees of freedom"
    );
    assert_eq!(generator.entropy_bits().unwrap(), (all.len() as f64).log2());
}

#[test]
fn forbidden_terms_across_two_words_are_counted() {
    let rules = PassphraseRules {
        words: 2,
        digits: 1,
        ..PassphraseRules::default()
    };
    let generator = Generator::of_passphrases(&PassphrasePolicy::new(rules).unwrap()).unwrap();
    let words: Vec<&str> = diceware_wordlists::EFF_LONG_WORDLIST
        .iter()
        .copied()
        .filter(|word| !word.contains('-'))
        .collect();
    let count = |test: fn(&str) -> bool| words.iter().filter(|word| test(word)).count();
    let (ending, starting) = (
        count(|word| word.ends_with('s')),
        count(|word| word.starts_with('a')),
    );
    let left = (words.len().pow(2) - ending * starting) * 8;
    assert!(ending > 0 && starting > 0);
    assert_eq!(
        generator
            .entropy_bits_for(&Forbidden::new(["s-a"]))
            .unwrap(),
        (left as f64).log2()
    );

    let free = words.iter().filter(|word| !word.contains("cat")).count();
    let left = free.pow(2) * 8;
    assert_eq!(
        generator
            .entropy_bits_for(&Forbidden::new(["CAT"]))
            .unwrap(),
        (left as f64).log2()
    );
    let mut rng = StdRng::seed_from_u64(45);
    for _ in 0..2000 {
        let phrase = generator
            .generate(&mut rng, &Forbidden::new(["cat"]))
            .unwrap();
        assert!(!phrase.expose().to_lowercase().contains("cat"));
    }
}
