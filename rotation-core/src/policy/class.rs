use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The lengths that Entra ID accepts, in characters
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy>).
pub(crate) const ENTRA_LENGTHS: RangeInclusive<usize> = 8..=256;

/// How many of the four classes lower, upper, digit and symbol Entra ID wants (same page).
pub(crate) const ENTRA_CLASSES: usize = 3;

/// The characters that Entra ID accepts: printable ASCII (same page).
pub(crate) const ENTRA_CHARACTERS: RangeInclusive<u8> = b' '..=b'~';

/// A class of characters, as Entra ID counts them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Class {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digit,
    /// Printable ASCII that is neither letter, digit nor space.
    Symbol,
    /// The space. Entra ID accepts it, but does not say that it counts as a symbol, so here it never does.
    Space,
}

impl Class {
    /// The class of a character; `None` for what Entra ID does not accept.
    #[must_use]
    pub fn of(character: char) -> Option<Self> {
        match character {
            'a'..='z' => Some(Self::Lower),
            'A'..='Z' => Some(Self::Upper),
            '0'..='9' => Some(Self::Digit),
            ' ' => Some(Self::Space),
            '!'..='~' => Some(Self::Symbol),
            _ => None,
        }
    }

    /// Whether characters of this class count towards the "3 of 4" of Entra ID.
    pub(crate) fn counts_for_entra(self) -> bool {
        self != Self::Space
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Digit => "digit",
            Self::Symbol => "symbol",
            Self::Space => "space",
        })
    }
}
