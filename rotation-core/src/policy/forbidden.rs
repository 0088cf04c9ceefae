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
    /// The kinds of their first characters, a bit for each; and of their second ones, all if one has none.
    firsts: u64,
    seconds: u64,
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
        let bits = |at: usize, none: u64| {
            let bytes = terms.iter().map(|term| term.as_bytes().get(at));
            bytes.fold(0, |bits, byte| {
                bits | byte.map_or(none, |byte| 1 << kind(*byte))
            })
        };
        let (firsts, seconds) = (bits(0, 0), bits(1, u64::MAX));
        Self {
            terms,
            firsts,
            seconds,
        }
    }

    /// Whether `text` contains one of the terms.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.may_be_in(text) && {
            let ends = (0..text.len()).filter_map(|at| text.as_bytes().get(at..));
            let mut ends = ends.flat_map(|end| self.terms.iter().map(move |term| (end, term)));
            ends.any(|(end, term)| begins(end, term))
        }
    }

    /// Whether two characters are such as a term begins with; hardly ever. Takes no branch on them, which none could foresee.
    fn may_be_in(&self, text: &str) -> bool {
        let (mut first, mut found) = (0, 0);
        for byte in text.bytes() {
            let kind = kind(byte);
            found |= first & (self.seconds >> kind);
            first = self.firsts >> kind;
        }
        (found | first & (self.seconds >> END)) & 1 == 1
    }

    /// The terms, folded, each once.
    pub(crate) fn terms(&self) -> &[String] {
        &self.terms
    }
}

/// Whether `text` begins with a folded `term`.
fn begins(text: &[u8], term: &str) -> bool {
    let beginning = text.get(..term.len());
    beginning.is_some_and(|beginning| beginning.iter().copied().map(fold).eq(term.bytes()))
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
    look_up(&FOLDED, byte)
}

/// Of what kind `byte` is, below 64: letters each of their own, and some signs of the same.
fn kind(byte: u8) -> u8 {
    look_up(&KINDS, byte)
}

/// Looked up, since what is folded is random, and no branch on it can be foreseen.
static FOLDED: [u8; 256] = tables().0;
static KINDS: [u8; 256] = tables().1;

/// Where the text has ended: no character is of this kind.
const END: u8 = 63;

const fn tables() -> ([u8; 256], [u8; 256]) {
    let (mut folded, mut kinds) = ([0; 256], [0; 256]);
    let (mut rest, mut rest_of_kinds): (&mut [u8], &mut [u8]) = (&mut folded, &mut kinds);
    let mut byte = 0u8;
    while let ([first, others @ ..], [kind, other_kinds @ ..]) = (rest, rest_of_kinds) {
        *first = match byte {
            b'0' => b'o',
            b'1' => b'l',
            b'$' => b's',
            b'@' => b'a',
            _ => byte.to_ascii_lowercase(),
        };
        *kind = match *first {
            letter @ b'a'..=b'z' => letter - b'a',
            sign => 26 + sign % (END - 26),
        };
        byte = byte.wrapping_add(1);
        (rest, rest_of_kinds) = (others, other_kinds);
    }
    (folded, kinds)
}

fn look_up(table: &[u8; 256], byte: u8) -> u8 {
    // an index of a byte is never out of range
    table.get(usize::from(byte)).copied().unwrap_or(byte)
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

    #[test]
    fn terms_of_any_length_match_anywhere() {
        let forbidden = Forbidden::new(["x", "ab", "abcd"]);
        for (text, found) in [
            ("x", true),
            ("..X", true),
            ("X.", true),
            ("aab", true),
            ("ab", true),
            ("@B", true),
            ("a", false),
            ("b", false),
            ("a.b", false),
            ("é\u{0}", false),
            ("", false),
        ] {
            assert_eq!(forbidden.is_in(text), found, "{text}");
        }
        assert!(!Forbidden::default().is_in("anything"));
    }
}
