//! Whether words that we did not write hold a secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// So many characters of a secret in a row are not there by chance.
const RUN: usize = 4;

/// How much of foreign words is repeated, in characters.
const LONGEST_WORDS: usize = 300;

/// Said instead of words that hold a secret.
pub(crate) const WITHHELD: &str = "its words are withheld, for they may hold a password";

/// Whether `words` hold a part of `secret`: as it is, as JSON writes it, or in base64.
pub(crate) fn gives_away(words: &str, secret: &str) -> bool {
    let holds = |form: &[u8]| {
        let run = RUN.min(form.len()).max(1);
        let mut runs = form.windows(run);
        runs.any(|run| words.as_bytes().windows(run.len()).any(|part| part == run))
    };
    let escaped = serde_json::to_string(secret).map(Zeroizing::new);
    let is_escaped = escaped.is_ok_and(|escaped| holds(escaped.trim_matches('"').as_bytes()));
    // Something in front of it moves the groups of three bytes that base64 makes four characters of.
    let is_encoded = (0..3).any(|skipped| {
        let whole = secret.as_bytes().get(skipped..).unwrap_or_default();
        let whole = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
        let plain = Zeroizing::new(STANDARD_NO_PAD.encode(whole));
        let for_urls = Zeroizing::new(URL_SAFE_NO_PAD.encode(whole));
        holds(plain.as_bytes()) || holds(for_urls.as_bytes())
    });
    holds(secret.as_bytes()) || is_escaped || is_encoded
}

/// Foreign words, fit for one line of ours.
pub(crate) fn one_line(words: &str) -> String {
    let words = words.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LONGEST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Tr0ub4dor&3-\"quoted\"";

    #[test]
    fn a_part_of_a_secret_is_found_in_every_form() {
        let encoded = STANDARD_NO_PAD.encode(format!("x{SECRET}"));
        for words in [
            SECRET,
            "value ub4d of",
            r#"3-\"quo"#,
            encoded.as_str(),
            &encoded[6..12],
        ] {
            assert!(gives_away(words, SECRET), "{words}");
        }
        for words in ["", "Insufficient privileges", "Tr0", "3-q"] {
            assert!(!gives_away(words, SECRET), "{words}");
        }
    }

    #[test]
    fn foreign_words_become_one_short_line() {
        assert_eq!(one_line(" a\r\n\u{1b}[31mb\t c\0"), "a [31mb c");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), LONGEST_WORDS);
    }
}
