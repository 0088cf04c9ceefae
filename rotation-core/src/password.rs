use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// A password on its way from the generator to the store and the directory.
///
/// Wiped when dropped, never printed, never serialised, never compared: the only way to the text is
/// [`Password::expose`]. It cannot be cloned, so that one password has one buffer.
pub struct Password(SecretString);

impl Password {
    /// Takes over `text`, which is wiped together with this value.
    ///
    /// The text moves without a copy when its capacity equals its length; otherwise it is copied once into an
    /// exact buffer and the original is wiped, because shrinking in place may leave a copy behind.
    #[must_use]
    pub fn new(mut text: Zeroizing<String>) -> Self {
        if text.capacity() == text.len() {
            return Self(SecretString::from(std::mem::take(&mut *text)));
        }
        let mut exact = String::with_capacity(text.len());
        exact.push_str(&text);
        Self(SecretString::from(exact))
    }

    /// The text itself. Every caller of this method is a place where a password leaves our care.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_text() {
        let password = Password::new(Zeroizing::new("hunter2".to_owned()));
        assert_eq!(format!("{password:?}"), "Password { .. }");
    }

    #[test]
    fn keeps_the_text_whatever_the_spare_capacity() {
        for spare in [0, 1, 100] {
            let mut text = String::with_capacity(7 + spare);
            text.push_str("hunter2");
            assert_eq!(Password::new(Zeroizing::new(text)).expose(), "hunter2");
        }
    }
}
