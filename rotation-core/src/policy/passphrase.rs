use serde::{Deserialize, Serialize};

use super::class::{ENTRA_CLASSES, ENTRA_LENGTHS};
use super::password::check_terms;
use super::{Class, Collision, Forbidden, PolicyError, Rule};

/// The lengths of the words in the EFF large word list
/// (<https://www.eff.org/deeplinks/2016/07/new-wordlists-random-passphrases>); a test holds the list to it.
pub(crate) const WORD_LENGTHS: (usize, usize) = (3, 9);

/// What a passphrase must look like, as written in a configuration; a [`PassphrasePolicy`] once it is known to make
/// sense.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassphraseRules {
    /// Number of words; 6 by default, which alone are 77 bits.
    pub words: usize,
    /// Stands between the words: one symbol or a space; `-` by default.
    pub separator: char,
    /// Begin each word with an upper-case letter; on by default.
    pub capitalised: bool,
    /// Number of digits in a last group of their own, drawn from `2` to `9`; 2 by default.
    pub digits: usize,
    /// Terms that no passphrase may contain, matched as described at [`Forbidden`].
    pub forbid: Vec<String>,
}

impl Default for PassphraseRules {
    fn default() -> Self {
        Self {
            words: 6,
            separator: '-',
            capitalised: true,
            digits: 2,
            forbid: Vec::new(),
        }
    }
}

impl PassphraseRules {
    /// The length of a phrase whose words all have `word` characters.
    fn length(&self, word: usize) -> usize {
        let separators = (self.words + usize::from(self.digits > 0)).saturating_sub(1);
        self.words
            .saturating_mul(word)
            .saturating_add(separators)
            .saturating_add(self.digits)
    }

    /// The classes that every phrase has.
    fn classes(&self) -> Vec<Class> {
        let separated = self.words + usize::from(self.digits > 0) > 1;
        [
            (Class::Lower, self.words > 0),
            (Class::Upper, self.words > 0 && self.capitalised),
            (Class::Digit, self.digits > 0),
            (
                Class::Symbol,
                separated && Class::of(self.separator) == Some(Class::Symbol),
            ),
        ]
        .into_iter()
        .filter_map(|(class, present)| present.then_some(class))
        .collect()
    }
}

/// Rules for passphrases that Entra ID accepts, whichever words are drawn.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "PassphraseRules", into = "PassphraseRules")]
pub struct PassphrasePolicy {
    rules: PassphraseRules,
    forbidden: Forbidden,
}

impl PassphrasePolicy {
    /// Checks `rules` one by one and against Entra ID.
    ///
    /// # Errors
    ///
    /// - [`PolicyError::Field`]: `separator` is neither symbol nor space, or `forbid` has an empty term
    /// - [`PolicyError::Collision`]: some phrases would be too short or too long for Entra ID, or have too few classes
    pub fn new(rules: PassphraseRules) -> Result<Self, PolicyError> {
        // A letter or digit between the words would make one phrase out of several draws.
        if !matches!(
            Class::of(rules.separator),
            Some(Class::Symbol | Class::Space)
        ) {
            return Err(PolicyError::Field {
                field: "separator",
                found: format!("{:?}", rules.separator),
                expected: "one symbol of printable ASCII, or a space",
            });
        }
        check_terms(&rules.forbid)?;
        if rules.words > *ENTRA_LENGTHS.end() || rules.digits > *ENTRA_LENGTHS.end() {
            let asked = format!("{} words and {} digits", rules.words, rules.digits);
            return Err(Collision::new(Rule::new("words", asked), Rule::entra_lengths()).into());
        }
        let (least, most) = (rules.length(WORD_LENGTHS.0), rules.length(WORD_LENGTHS.1));
        if least < *ENTRA_LENGTHS.start() || most > *ENTRA_LENGTHS.end() {
            let found = format!(
                "{} words of {} to {} letters and {} digits make {least} to {most} characters",
                rules.words, WORD_LENGTHS.0, WORD_LENGTHS.1, rules.digits
            );
            return Err(Collision::new(Rule::new("words", found), Rule::entra_lengths()).into());
        }
        let classes = rules.classes();
        if classes.len() < ENTRA_CLASSES {
            let names: Vec<String> = classes.iter().map(Class::to_string).collect();
            let found = format!("every phrase has {}", names.join(" and "));
            let asked = Rule::new("capitalised, digits, separator", found);
            return Err(Collision::new(asked, Rule::entra_classes()).into());
        }
        let forbidden = Forbidden::new(&rules.forbid);
        Ok(Self { rules, forbidden })
    }

    /// The rules as they were given.
    #[must_use]
    pub fn rules(&self) -> &PassphraseRules {
        &self.rules
    }

    pub(crate) fn forbidden(&self) -> &Forbidden {
        &self.forbidden
    }

    /// The length of the longest phrase.
    pub(crate) fn longest(&self) -> usize {
        self.rules.length(WORD_LENGTHS.1)
    }
}

impl TryFrom<PassphraseRules> for PassphrasePolicy {
    type Error = PolicyError;

    fn try_from(rules: PassphraseRules) -> Result<Self, PolicyError> {
        Self::new(rules)
    }
}

impl From<PassphrasePolicy> for PassphraseRules {
    fn from(policy: PassphrasePolicy) -> Self {
        policy.rules
    }
}
