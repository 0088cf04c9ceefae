use std::fmt;

/// A promise of a trait that an implementation does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The case that found it, as a sentence.
    pub case: &'static str,
    /// What was found, and what was expected. Never a password.
    pub found: String,
}

impl Violation {
    pub(super) fn new(case: &'static str, found: String) -> Self {
        Self { case, found }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.found)
    }
}
