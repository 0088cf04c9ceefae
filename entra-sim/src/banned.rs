//! The banned password lists and the documented way of scoring against them.
//!
//! <https://learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad>

/// Microsoft keeps its global list secret; these are what everybody would put on it.
const GLOBAL: &[&str] = &[
    "abc123",
    "access",
    "admin",
    "autumn",
    "baseball",
    "changeme",
    "dragon",
    "football",
    "hello",
    "iloveyou",
    "letmein",
    "login",
    "master",
    "microsoft",
    "monkey",
    "passw0rd",
    "password",
    "princess",
    "qwerty",
    "secret",
    "shadow",
    "spring",
    "summer",
    "sunshine",
    "superman",
    "trustno1",
    "welcome",
    "winter",
    "123456",
    "12345678",
    "1q2w3e4r",
];

/// Fewer points than this and the password is refused.
const MIN_SCORE: usize = 5;
/// Names shorter than this are not looked for.
const MIN_NAME: usize = 4;

/// The global list with the tenant's own, normalised as passwords are.
#[derive(Debug)]
pub(crate) struct Banned {
    words: Vec<String>,
    /// The same by their first byte.
    by_first: Vec<Vec<String>>,
}

impl Banned {
    pub(crate) fn new(tenant_words: &[String]) -> Self {
        let own = tenant_words.iter().map(String::as_str);
        let words = GLOBAL.iter().copied().chain(own);
        let mut words: Vec<String> = words
            .filter(|word| !word.is_empty())
            .map(normalise)
            .collect();
        // The longest match counts once, instead of its parts counting each.
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        let mut by_first = vec![Vec::new(); 256];
        for word in &words {
            let first = word.bytes().next().map(usize::from);
            if let Some(begun) = first.and_then(|first| by_first.get_mut(first)) {
                begun.push(word.clone());
            }
        }
        Self { words, by_first }
    }

    /// Whether the password is refused for a user with these names.
    pub(crate) fn rejects(&self, password: &str, names: &[Option<&str>]) -> bool {
        let password = normalise(password);
        let named = names
            .iter()
            .flatten()
            .map(|name| normalise(name))
            .any(|name| name.chars().count() >= MIN_NAME && password.contains(&name));
        named
            || self
                .words
                .iter()
                .any(|word| within_one_edit(&password, word))
            || self.score(password) < MIN_SCORE
    }

    /// One point per banned word found, one per character left.
    fn score(&self, mut password: String) -> usize {
        let mut found = 0;
        if !self.occurs_in(&password) {
            return password.chars().count();
        }
        for word in &self.words {
            while let Some(at) = password.find(word.as_str()) {
                found += 1;
                // What remains must not join into a word that was never there.
                password.replace_range(at..at + word.len(), "\n");
            }
        }
        found + password.chars().filter(|c| *c != '\n').count()
    }
}

impl Banned {
    /// Whether any word occurs. Looks at words that begin like the rest of the password, of which there are few.
    fn occurs_in(&self, password: &str) -> bool {
        let bytes = password.as_bytes();
        bytes.iter().enumerate().any(|(at, first)| {
            let rest = bytes.get(at..).unwrap_or_default();
            let words = self.by_first.get(usize::from(*first));
            words
                .into_iter()
                .flatten()
                .any(|word| rest.starts_with(word.as_bytes()))
        })
    }
}

fn normalise(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' => 'l',
            '$' => 's',
            '@' => 'a',
            other => other,
        })
        .collect()
}

/// Whether at most one insertion, deletion or replacement leads from `a` to `b`.
fn within_one_edit(a: &str, b: &str) -> bool {
    let (a, b) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if b.len() - a.len() > 1 {
        return false;
    }
    let mut rest_a = a.chars();
    let mut rest_b = b.chars();
    loop {
        let (before_a, before_b) = (rest_a.clone(), rest_b.clone());
        match (rest_a.next(), rest_b.next()) {
            (None, _) => return true,
            (Some(x), Some(y)) if x == y => {}
            _ if a.len() == b.len() => return rest_a.eq(rest_b),
            _ => {
                let mut skipped = before_b;
                skipped.next();
                return before_a.eq(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_the_examples_of_the_documentation() {
        let banned = Banned::new(&["contoso".to_owned(), "blank".to_owned()]);
        assert_eq!(banned.score(normalise("C0ntos0Blank12")), 4);
        assert_eq!(banned.score(normalise("ContoS0Bl@nkf9!")), 5);
        assert!(banned.rejects("C0ntos0Blank12", &[]));
        assert!(!banned.rejects("ContoS0Bl@nkf9!", &[]));
    }

    #[test]
    fn a_password_one_edit_away_from_a_banned_word_is_rejected() {
        let banned = Banned::new(&["abcdefghij".to_owned()]);
        for near in [
            "abcdefghij",
            "abcdefghix",
            "abcdefghijk",
            "abcdefghi",
            "xbcdefghij",
        ] {
            assert!(banned.rejects(near, &[]), "{near}");
        }
        assert!(!banned.rejects("abcdefghxyz", &[]));
    }

    #[test]
    fn a_banned_word_is_found_wherever_it_stands() {
        let banned = Banned::new(&["contoso".to_owned()]);
        for word in &banned.words {
            for (before, after) in [("", "xyz"), ("x", "yz"), ("xyz", "")] {
                let password = format!("{before}{word}{after}");
                assert_eq!(banned.score(password.clone()), 4, "{password}");
            }
        }
        assert_eq!(banned.score("contos".to_owned()), 6);
    }

    #[test]
    fn names_count_from_four_letters_on() {
        let banned = Banned::new(&[]);
        assert!(banned.rejects("zz9!P0lzz8#k", &[Some("Pol"), Some("Polz")]));
        assert!(!banned.rejects("zz9!P0lzz8#k", &[Some("Pol"), None]));
    }

    #[test]
    fn one_edit_is_symmetric() {
        for (a, b, near) in [
            ("", "", true),
            ("", "a", true),
            ("abc", "abd", true),
            ("abc", "xabc", true),
            ("abc", "acb", false),
            ("abc", "abcde", false),
        ] {
            assert_eq!(within_one_edit(a, b), near, "{a} {b}");
            assert_eq!(within_one_edit(b, a), near, "{b} {a}");
        }
    }
}
