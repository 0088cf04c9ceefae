//! Which passwords the program was given, so that none of its words that hold one are repeated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rotation_core::{NewVersion, Password, VersionId, VersionKey};
use zeroize::Zeroizing;

/// So many characters of a password in a row are not there by chance.
const RUN: usize = 4;

/// The passwords that the program was given, for as long as someone else holds them too.
#[derive(Default)]
pub(super) struct Handed(Mutex<HashMap<VersionId, Weak<Password>>>);

impl Handed {
    pub(super) fn add(&self, new: &NewVersion) {
        let mut handed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if handed.len() == handed.capacity() {
            handed.retain(|_, password| password.strong_count() > 0);
        }
        handed.insert(new.key.version, Arc::downgrade(&new.password));
    }

    /// Whether what the program says of `key` can be told from its password, and holds none of those known.
    pub(super) fn may_repeat(&self, words: &str, key: Option<&VersionKey>) -> bool {
        let handed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = key.is_none_or(|key| {
            let password = handed.get(&key.version);
            password.is_some_and(|password| password.strong_count() > 0)
        });
        is_known
            && !handed
                .values()
                .filter_map(Weak::upgrade)
                .any(|password| gives_away(words, &password))
    }
}

/// Whether `words` hold a part of the password, as it is, as JSON writes it or in base64.
pub(super) fn gives_away(words: &str, password: &Password) -> bool {
    let secret = password.expose().as_bytes();
    let holds = |form: &[u8]| {
        let run = RUN.min(form.len()).max(1);
        let mut runs = form.windows(run);
        runs.any(|run| words.as_bytes().windows(run.len()).any(|part| part == run))
    };
    // JSON escapes only what no run of plain characters has, so runs of them are found as they are.
    let escaped = serde_json::to_string(password.expose()).map(Zeroizing::new);
    let is_escaped = escaped.is_ok_and(|escaped| holds(escaped.trim_matches('"').as_bytes()));
    // Something in front of it moves the groups of three bytes that base64 makes four characters of.
    let is_encoded = (0..3).any(|skipped| {
        let whole = secret.get(skipped..).unwrap_or_default();
        let whole = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
        let plain = Zeroizing::new(STANDARD_NO_PAD.encode(whole));
        let for_urls = Zeroizing::new(URL_SAFE_NO_PAD.encode(whole));
        holds(plain.as_bytes()) || holds(for_urls.as_bytes())
    });
    holds(secret) || is_escaped || is_encoded
}
