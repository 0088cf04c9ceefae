use diceware_wordlists::EFF_LONG_WORDLIST;
use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

use super::template::{Template, Token};
use crate::policy::PassphrasePolicy;

/// Digits that are not taken for a letter when read from paper.
const CLEAR_DIGITS: &str = "23456789";

/// Words, separated, and a last group of digits: `Stapler-Uncanny-Reflex-Oboe-Turbine-Sash-47`.
///
/// Every phrase can be taken apart in one way only, because no word contains a separator; so as many phrases exist as
/// there are ways to fill the slots.
pub(super) fn template(policy: &PassphrasePolicy) -> Template {
    let rules = policy.rules();
    let inner = words(rules.capitalised, Some(rules.separator));
    let last = words(rules.capitalised, None);
    let digits = CLEAR_DIGITS
        .chars()
        .map(|digit| token(digit.to_string()))
        .collect();
    let mut slots = vec![0; rules.words];
    if rules.digits == 0 {
        slots.pop();
        slots.push(1);
    }
    slots.extend(vec![2; rules.digits]);
    Template {
        kinds: vec![inner, last, digits],
        slots,
        minimums: vec![0],
    }
}

/// One of the texts of `template`, of which none is longer than `longest`, each with the same probability.
pub(super) fn draw(
    template: &Template,
    longest: usize,
    rng: &mut impl CryptoRng,
) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(longest));
    for tokens in template.tokens() {
        if let Some(token) = tokens.get(rng.random_range(0..tokens.len())) {
            text.push_str(&token.text);
        }
    }
    text
}

/// The words of the EFF large word list, of letters only: four of them contain a hyphen and are left out.
fn words(capitalised: bool, end: Option<char>) -> Vec<Token> {
    let plain = EFF_LONG_WORDLIST
        .iter()
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    let shape = |word: &&str| {
        let mut text = (*word).to_owned();
        if let Some(first) = text.get_mut(..1).filter(|_| capitalised) {
            first.make_ascii_uppercase();
        }
        text.extend(end);
        token(text)
    };
    plain.map(shape).collect()
}

fn token(text: String) -> Token {
    Token { text, class: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::WORD_LENGTHS;

    #[test]
    fn the_word_list_is_what_the_policy_relies_on() {
        let words = words(false, None);
        let distinct: BTreeSet<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!((words.len(), distinct.len()), (7772, 7772));
        let lengths = || distinct.iter().map(|word| word.len());
        assert_eq!(
            (lengths().min(), lengths().max()),
            (Some(WORD_LENGTHS.0), Some(WORD_LENGTHS.1))
        );
    }
}
