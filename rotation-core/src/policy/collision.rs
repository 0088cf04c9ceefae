use std::fmt;

use super::class::{ENTRA_CLASSES, ENTRA_LENGTHS};

/// One side of a [`Collision`]: a rule and what it comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// The field of the rules that says so, or who else does, such as `Entra ID`.
    pub name: &'static str,
    /// What the rule asks for or leaves, such as `minimum 5 digit + 20 lower = 25 characters`.
    pub says: String,
}

impl Rule {
    pub(crate) fn new(name: &'static str, says: impl Into<String>) -> Self {
        Self {
            name,
            says: says.into(),
        }
    }

    pub(crate) fn entra_lengths() -> Self {
        let (least, most) = ENTRA_LENGTHS.into_inner();
        Self::new("Entra ID", format!("accepts {least} to {most} characters"))
    }

    pub(crate) fn entra_classes() -> Self {
        Self::new(
            "Entra ID",
            format!("wants at least {ENTRA_CLASSES} of lower, upper, digit and symbol"),
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.says)
    }
}

/// Two rules that no password can satisfy together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no password satisfies both {one} and {other}")]
#[non_exhaustive]
pub struct Collision {
    /// The rule that asks.
    pub one: Rule,
    /// The rule that stands in its way.
    pub other: Rule,
}

impl Collision {
    pub(crate) fn new(one: Rule, other: Rule) -> Self {
        Self { one, other }
    }
}

/// Why a set of rules is not a policy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Two rules contradict each other: change one of them.
    #[error(transparent)]
    Collision(#[from] Collision),
    /// One rule has no meaning by itself: correct it.
    #[error("`{field}`: found {found}, expected {expected}")]
    Field {
        /// The field of the rules.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
}
