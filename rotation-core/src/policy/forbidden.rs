/// The shortest part of a name that Entra ID looks for
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad>).
const SHORTEST_PART: usize = 4;

/// The shortest whole user name that Windows looks for; shorter ones would forbid too much
/// (<https://learn.microsoft.com/windows/security/threat-protection/security-policy-settings/password-must-meet-complexity-requirements>).
const SHORTEST_USER_NAME: usize = 3;

/// Terms that a password must not contain, read as Entra ID reads them: case does not matter, and `0`, `1`, `$` and
/// `@` are `o`, `l`, `s` and `a`. So the term `solaris` also forbids `S0l@r1$` written with those signs.
///
/// Empty terms are dropped, and so are terms with characters outside ASCII, which no password can contain.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Forbidden {
    terms: Vec<String>,
}

impl Forbidden {
    /// Forbids each of `terms`.
    #[must_use]
    pub fn new<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> Self {
        let mut terms: Vec<String> = terms
            .into_iter()
            .map(|term| term.as_ref().to_lowercase())
            .filter(|term| !term.is_empty() && term.is_ascii())
            .map(|term| term.bytes().map(fold).map(char::from).collect())
            .collect();
        terms.sort_unstable();
        terms.dedup();
        Self { terms }
    }

    /// Whether `text` contains one of the terms.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.terms.iter().any(|term| {
            let mut windows = text.windows(term.len());
            windows.any(|window| window.iter().copied().map(fold).eq(term.bytes()))
        })
    }

    /// The terms, folded, each once.
    pub(crate) fn terms(&self) -> &[String] {
        &self.terms
    }
}

/// What the password of an account must not contain of its names.
///
/// These are the parts of both names between characters that are neither letter nor digit, from four characters on,
/// as in the substring rule of Entra ID (which reads the tenant's name too; it is a part of `user_name` after the `@`),
/// and from three characters on the whole of `user_name` before the `@`.
///
/// ```
/// use rotation_core::forbidden_parts;
///
/// let forbidden = forbidden_parts("kim.o@contoso.com", "Kim Olsson");
/// for text in ["My0lss0n", "xKIM.Ox", "contoso7"] {
///     assert!(forbidden.is_in(text), "{text}");
/// }
/// assert!(!forbidden.is_in("Kim-o"));
/// ```
#[must_use]
pub fn forbidden_parts(user_name: &str, display_name: &str) -> Forbidden {
    let whole = user_name.split('@').next().unwrap_or_default();
    let parts = [user_name, display_name]
        .into_iter()
        .flat_map(|name| name.split(|c: char| !c.is_alphanumeric()))
        .filter(|part| part.chars().count() >= SHORTEST_PART);
    Forbidden::new(parts.chain((whole.chars().count() >= SHORTEST_USER_NAME).then_some(whole)))
}

/// The character as which Entra ID reads `byte` when it looks for a term
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad>).
pub(crate) fn fold(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' => b'l',
        b'$' => b's',
        b'@' => b'a',
        _ => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (user_name, display_name, expected) in [
            ("", "", &[][..]),
            ("bo@x.com", "Bo Li", &[]),
            ("bob@x.com", "Bob", &["bob"]),
            (
                "j.doe@contoso.com",
                "Doe, Jane",
                &["contoso", "j.doe", "jane"],
            ),
            (
                "anna_b.com#EXT#@x.onmicrosoft.com",
                "",
                &["anna", "anna_b.com#ext#", "onmicrosoft"],
            ),
            ("müller", "Jürgen MÜLLER-Lang", &["lang"]),
            ("ab12@x.com", "", &["abl2"]),
        ] {
            let forbidden = forbidden_parts(user_name, display_name);
            assert_eq!(forbidden.terms(), expected, "{user_name} {display_name}");
        }
    }

    #[test]
    fn terms_match_as_entra_reads_them() {
        let forbidden = Forbidden::new(["Solar1s", "", "é"]);
        for (text, found) in [
            ("S0L@R1$", true),
            ("xsolarlsx", true),
            ("solari", false),
            ("", false),
        ] {
            assert_eq!(forbidden.is_in(text), found, "{text}");
        }
    }
}
