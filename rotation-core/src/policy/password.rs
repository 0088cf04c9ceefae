use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::class::{ENTRA_CHARACTERS, ENTRA_CLASSES, ENTRA_LENGTHS};
use super::{Class, Collision, Forbidden, PolicyError, Rule};

/// Symbols that need no quoting in POSIX shells, CSV, JSON and the value of an INI or `.env` line.
const CAREFUL_SYMBOLS: &str = "+-./:=@_";

/// Characters that people confuse when they read a password aloud or type it from paper.
const LOOK_ALIKES: &str = "0O1lI|";

/// What a password must look like, as written in a configuration; a [`PasswordPolicy`] once it is known to make sense.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordRules {
    /// Length in characters, 8 to 256; 24 by default.
    pub length: usize,
    /// The classes to draw from; by default all but [`Class::Space`].
    pub classes: BTreeSet<Class>,
    /// Least number of lower-case letters; by default 1 where the class is used.
    pub min_lower: Option<usize>,
    /// Least number of upper-case letters; by default 1 where the class is used.
    pub min_upper: Option<usize>,
    /// Least number of digits; by default 1 where the class is used.
    pub min_digit: Option<usize>,
    /// Least number of symbols; by default 1 where the class is used.
    pub min_symbol: Option<usize>,
    /// The symbols to draw from; by default `+-./:=@_`, which need no quoting in shells and CSV.
    pub symbols: String,
    /// Leave out `0`, `O`, `1`, `l`, `I` and `|`, which look alike; on by default.
    pub exclude_look_alikes: bool,
    /// More characters to leave out.
    pub exclude_characters: String,
    /// Terms that no password may contain, matched as described at [`Forbidden`].
    pub forbid: Vec<String>,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self {
            length: 24,
            classes: BTreeSet::from([Class::Lower, Class::Upper, Class::Digit, Class::Symbol]),
            min_lower: None,
            min_upper: None,
            min_digit: None,
            min_symbol: None,
            symbols: CAREFUL_SYMBOLS.to_owned(),
            exclude_look_alikes: true,
            exclude_characters: String::new(),
            forbid: Vec::new(),
        }
    }
}

impl PasswordRules {
    fn is_excluded(&self, character: char) -> bool {
        self.exclude_characters.contains(character)
            || (self.exclude_look_alikes && LOOK_ALIKES.contains(character))
    }

    /// The field that sets the minimum of `class`, and its value; a space is never required.
    fn minimum(&self, class: Class) -> (&'static str, usize) {
        let (field, minimum) = match class {
            Class::Lower => ("min_lower", self.min_lower),
            Class::Upper => ("min_upper", self.min_upper),
            Class::Digit => ("min_digit", self.min_digit),
            Class::Symbol => ("min_symbol", self.min_symbol),
            Class::Space => return ("classes", 0),
        };
        (
            field,
            minimum.unwrap_or_else(|| usize::from(self.classes.contains(&class))),
        )
    }

    fn pool(&self, class: Class) -> Result<Pool, Collision> {
        let used = self.classes.contains(&class);
        let is_in = |c: char| {
            used && Class::of(c) == Some(class)
                && (class != Class::Symbol || self.symbols.contains(c))
                && !self.is_excluded(c)
        };
        let characters: Vec<u8> = ENTRA_CHARACTERS.filter(|&c| is_in(c.into())).collect();
        let (field, minimum) = self.minimum(class);
        if minimum > 0 && characters.is_empty() {
            return Err(Collision::new(
                Rule::new(field, format!("at least {minimum} {class}")),
                self.emptied(class),
            ));
        }
        Ok(Pool {
            class,
            characters,
            minimum,
        })
    }

    /// The rule that leaves nothing of `class`.
    fn emptied(&self, class: Class) -> Rule {
        if !self.classes.contains(&class) {
            Rule::new("classes", format!("{class} is not used"))
        } else if class == Class::Symbol && self.symbols.is_empty() {
            Rule::new("symbols", "no symbol is listed")
        } else {
            Rule::new(
                "exclude_characters",
                format!("no {class} left after excluding {}", self.exclusions()),
            )
        }
    }

    fn exclusions(&self) -> String {
        match (self.exclude_look_alikes, self.exclude_characters.as_str()) {
            (true, "") => "look-alikes".to_owned(),
            (true, exclude) => format!("look-alikes and {exclude:?}"),
            (false, exclude) => format!("{exclude:?}"),
        }
    }
}

/// The characters of one class that a policy uses, in ASCII, each once, and how many of them a password has at least.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pool {
    pub(crate) class: Class,
    pub(crate) characters: Vec<u8>,
    pub(crate) minimum: usize,
}

/// Rules for passwords that Entra ID accepts and that do not contradict each other.
///
/// Whether the forbidden terms leave a password is decided by [`Generator::new`](crate::Generator::new),
/// which has to count for it.
///
/// ```
/// use rotation_core::{PasswordPolicy, PasswordRules};
///
/// let rules = PasswordRules { length: 32, min_digit: Some(4), ..PasswordRules::default() };
/// assert!(PasswordPolicy::new(rules).is_ok());
///
/// let rules = PasswordRules { length: 12, min_digit: Some(10), ..PasswordRules::default() };
/// assert_eq!(
///     PasswordPolicy::new(rules).unwrap_err().to_string(),
///     "no password satisfies both `min_*`: minimum 1 lower + 1 upper + 10 digit + 1 symbol = 13 characters \
///      and `length`: 12 characters",
/// );
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "PasswordRules", into = "PasswordRules")]
pub struct PasswordPolicy {
    rules: PasswordRules,
    pools: Vec<Pool>,
    forbidden: Forbidden,
}

impl PasswordPolicy {
    /// Checks `rules` one by one and against each other and Entra ID.
    ///
    /// # Errors
    ///
    /// - [`PolicyError::Field`]: `symbols` holds something else than symbols, or `forbid` an empty term
    /// - [`PolicyError::Collision`]: two rules contradict each other, or one contradicts Entra ID
    pub fn new(rules: PasswordRules) -> Result<Self, PolicyError> {
        check_symbols(&rules.symbols)?;
        check_terms(&rules.forbid)?;
        if !ENTRA_LENGTHS.contains(&rules.length) {
            let length = Rule::new("length", format!("{} characters", rules.length));
            return Err(Collision::new(length, Rule::entra_lengths()).into());
        }
        let mut pools = [
            Class::Lower,
            Class::Upper,
            Class::Digit,
            Class::Symbol,
            Class::Space,
        ]
        .into_iter()
        .map(|class| rules.pool(class))
        .collect::<Result<Vec<Pool>, Collision>>()?;
        check_minimums(&pools, rules.length)?;
        pools.retain(|pool| !pool.characters.is_empty());
        let forbidden = Forbidden::new(&rules.forbid);
        Ok(Self {
            rules,
            pools,
            forbidden,
        })
    }

    /// The rules as they were given.
    #[must_use]
    pub fn rules(&self) -> &PasswordRules {
        &self.rules
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        &self.pools
    }

    pub(crate) fn forbidden(&self) -> &Forbidden {
        &self.forbidden
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        // Tested: the example of `Generator` begins with it.
        Self::new(PasswordRules::default()).expect("the default rules are a policy")
    }
}

impl TryFrom<PasswordRules> for PasswordPolicy {
    type Error = PolicyError;

    fn try_from(rules: PasswordRules) -> Result<Self, PolicyError> {
        Self::new(rules)
    }
}

impl From<PasswordPolicy> for PasswordRules {
    fn from(policy: PasswordPolicy) -> Self {
        policy.rules
    }
}

fn check_symbols(symbols: &str) -> Result<(), PolicyError> {
    match symbols
        .chars()
        .find(|&c| Class::of(c) != Some(Class::Symbol))
    {
        None => Ok(()),
        Some(c) => Err(PolicyError::Field {
            field: "symbols",
            found: format!("{c:?}"),
            expected: "printable ASCII other than letters, digits and the space, which is a class of its own",
        }),
    }
}

/// An empty term is part of every password, so it can only be a mistake.
pub(super) fn check_terms(terms: &[String]) -> Result<(), PolicyError> {
    if terms.iter().any(String::is_empty) {
        return Err(PolicyError::Field {
            field: "forbid",
            found: "an empty term".to_owned(),
            expected: "terms of one character or more",
        });
    }
    Ok(())
}

fn check_minimums(pools: &[Pool], length: usize) -> Result<(), Collision> {
    let required: Vec<&Pool> = pools.iter().filter(|pool| pool.minimum > 0).collect();
    let total = required
        .iter()
        .fold(0usize, |sum, pool| sum.saturating_add(pool.minimum));
    let list: Vec<String> = required
        .iter()
        .map(|pool| format!("{} {}", pool.minimum, pool.class))
        .collect();
    if total > length {
        return Err(Collision::new(
            Rule::new(
                "min_*",
                format!("minimum {} = {total} characters", list.join(" + ")),
            ),
            Rule::new("length", format!("{length} characters")),
        ));
    }
    if required
        .iter()
        .filter(|pool| pool.class.counts_for_entra())
        .count()
        < ENTRA_CLASSES
    {
        let found = if list.is_empty() {
            "none".to_owned()
        } else {
            list.join(" and ")
        };
        return Err(Collision::new(
            Rule::new("min_*", format!("the minimums guarantee {found}")),
            Rule::entra_classes(),
        ));
    }
    Ok(())
}
