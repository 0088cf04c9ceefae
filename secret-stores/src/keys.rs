use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use age::x25519;
use rotation_core::{Problem, StoreError};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// What every private key begins with, in either case.
const PRIVATE_PREFIX: &str = "AGE-SECRET-KEY-";

/// An identity file has a line or two for each key; whatever is larger is another file.
const MAX_IDENTITY_FILE: usize = 64 * 1024;

/// A key pair in the text form of `age`.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyPair {
    /// The public key, `age1…`: goes into the configuration.
    pub public: String,
    /// The private key, `AGE-SECRET-KEY-1…`: opens what was sealed to the public key.
    pub private: SecretString,
}

/// Makes a fresh key pair.
#[must_use]
pub fn keygen() -> KeyPair {
    let identity = x25519::Identity::generate();
    KeyPair {
        public: identity.to_public().to_string(),
        private: identity.to_string(),
    }
}

/// Why a key was not accepted. Shows nothing of a private key, also not of one given by mistake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The identity file cannot be read.
    #[error("cannot read the identity file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An identity that cannot be used.
    #[error("line {line} of the identity file {problem}")]
    Identity {
        /// Counted from 1.
        line: usize,
        /// What is wrong, as the rest of the sentence.
        problem: &'static str,
    },
    /// The identity file holds no key.
    #[error("the identity file holds no key: expected a line that begins with {PRIVATE_PREFIX}1")]
    NoIdentity,
    /// No public key was given.
    #[error(
        "no recipients: expected at least one public key, age1…, as `rotation keygen` prints it"
    )]
    NoRecipient,
    /// A private key where only public keys belong.
    #[error(
        "recipient {position} is a private key: put the public key, age1…, there, and since this one has now been \
         written where others may read it, make a new pair"
    )]
    PrivateKey {
        /// Counted from 1.
        position: usize,
    },
    /// A public key that cannot be used.
    #[error("recipient {position}, {found:?}, {problem}")]
    Recipient {
        /// Counted from 1.
        position: usize,
        /// The entry.
        found: String,
        /// What is wrong, as the rest of the sentence.
        problem: &'static str,
    },
}

impl From<KeyError> for StoreError {
    fn from(error: KeyError) -> Self {
        Self::Unusable(Problem::new(error.to_string()))
    }
}

/// The public keys to which secrets are sealed: each of their private keys opens them all.
#[derive(Clone)]
pub struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    /// Parses public keys in the form `age1…`.
    ///
    /// # Errors
    /// - [`KeyError::NoRecipient`] if there is none.
    /// - [`KeyError::PrivateKey`] if one of them is a private key.
    /// - [`KeyError::Recipient`] if one of them is no public key of this kind.
    pub fn parse<S: AsRef<str>>(keys: impl IntoIterator<Item = S>) -> Result<Self, KeyError> {
        let recipients = keys
            .into_iter()
            .enumerate()
            .map(|(index, key)| recipient(index + 1, key.as_ref().trim()))
            .collect::<Result<Vec<_>, _>>()?;
        if recipients.is_empty() {
            return Err(KeyError::NoRecipient);
        }
        Ok(Self(recipients))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|key| key as _)
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(ToString::to_string))
            .finish()
    }
}

fn recipient(position: usize, key: &str) -> Result<x25519::Recipient, KeyError> {
    if is_private(key) {
        return Err(KeyError::PrivateKey { position });
    }
    key.parse().map_err(|_| KeyError::Recipient {
        position,
        found: key.to_owned(),
        problem: match key {
            "" => "is empty",
            _ if key.starts_with("ssh-") => "is an SSH key: expected an age public key, age1…",
            _ if !key.starts_with("age1") => "is not an age public key, which begins with age1",
            _ => "is mistyped or of a kind that is not supported: copy the whole line age1… again",
        },
    })
}

/// The private keys that open what was sealed to their public keys.
pub struct Identities(Vec<x25519::Identity>);

impl Identities {
    /// No key: for reading which versions there are, without their passwords.
    #[must_use]
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads private keys from a file as `age-keygen` writes it.
    ///
    /// # Errors
    /// - [`KeyError::File`] if the file cannot be read.
    /// - The errors of [`parse`](Self::parse).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let text = read_private(path).map_err(|source| KeyError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Parses private keys in the form of an identity file: one a line, besides empty lines and `#` comments.
    ///
    /// # Errors
    /// - [`KeyError::Identity`] if a line is something else.
    /// - [`KeyError::NoIdentity`] if there is no key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut identities = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                identities.push(identity(index + 1, line)?);
            }
        }
        if identities.is_empty() {
            return Err(KeyError::NoIdentity);
        }
        Ok(Self(identities))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|key| key as _)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").finish_non_exhaustive()
    }
}

fn identity(line: usize, text: &str) -> Result<x25519::Identity, KeyError> {
    text.parse().map_err(|_| KeyError::Identity {
        line,
        problem: if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE") {
            "is the beginning of an encrypted file: decrypt it with `age --decrypt` first"
        } else if text.starts_with("age1") {
            "is a public key: expected the private key, AGE-SECRET-KEY-1…"
        } else if is_private(text) {
            "is a private key that is mistyped or incomplete"
        } else {
            "is no private key, which begins with AGE-SECRET-KEY-1"
        },
    })
}

fn is_private(text: &str) -> bool {
    text.get(..PRIVATE_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PRIVATE_PREFIX))
}

fn read_private(path: &Path) -> io::Result<Zeroizing<String>> {
    // One byte more than is read, so that `read_to_string` never grows the buffer and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_IDENTITY_FILE + 1));
    File::open(path)?
        .take(MAX_IDENTITY_FILE as u64)
        .read_to_string(&mut text)?;
    if text.len() == MAX_IDENTITY_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "too large for an identity file",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_pair_parses() {
        let pair = keygen();
        let public = Recipients::parse([&pair.public]).unwrap();
        assert_eq!(format!("{public:?}"), format!("[{:?}]", pair.public));
        assert!(Identities::parse(pair.private.expose_secret()).is_ok());
    }

    #[test]
    fn an_identity_file_may_hold_comments_and_several_keys() {
        let (one, two) = (keygen(), keygen());
        let text = format!(
            "# created: 2026-11-21\n# public key: {}\n{}\n\r\n  {}\r\n",
            one.public,
            one.private.expose_secret(),
            two.private.expose_secret()
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(Identities::from_file(file.path()).unwrap().0.len(), 2);
    }

    #[test]
    fn a_bad_recipient_is_named_with_what_is_wrong() {
        let good = keygen().public;
        let cut = &good[..40];
        for (bad, expected) in [
            ("", "is empty"),
            ("ssh-ed25519 AAAA", "is an SSH key"),
            ("contoso", "is not an age public key"),
            (cut, "is mistyped"),
            ("age1yubikey1qg8xydsfl", "is mistyped or of a kind"),
        ] {
            let error = Recipients::parse([good.as_str(), bad])
                .unwrap_err()
                .to_string();
            assert!(error.contains("recipient 2"), "{bad:?}: {error}");
            assert!(error.contains(expected), "{bad:?}: {error}");
        }
        assert!(matches!(
            Recipients::parse::<&str>([]),
            Err(KeyError::NoRecipient)
        ));
    }

    #[test]
    fn a_private_key_given_by_mistake_is_not_repeated() {
        let pair = keygen();
        let private = pair.private.expose_secret();
        for text in [private.to_owned(), private.to_lowercase()] {
            let error = Recipients::parse([&text]).unwrap_err();
            assert!(matches!(error, KeyError::PrivateKey { position: 1 }));
            assert!(!format!("{error} {error:?}").contains(&text[15..]));
        }
        let cut = &private[..60];
        let error = Identities::parse(cut).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&cut[15..]));
    }

    #[test]
    fn a_bad_identity_is_named_by_its_line() {
        for (bad, expected) in [
            (
                keygen().public,
                "line 2 of the identity file is a public key",
            ),
            (
                "age-encryption.org/v1".to_owned(),
                "is the beginning of an encrypted file",
            ),
            ("AGE-SECRET-KEY-1QQ".to_owned(), "mistyped or incomplete"),
            ("hunter2".to_owned(), "is no private key"),
        ] {
            let error = Identities::parse(&format!("# key\n{bad}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{bad:?}: {error}");
        }
        assert!(matches!(
            Identities::parse("# nothing\n"),
            Err(KeyError::NoIdentity)
        ));
    }

    #[test]
    fn an_identity_file_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("key.txt");
        let error = Identities::from_file(&missing).unwrap_err().to_string();
        assert!(error.contains("key.txt"), "{error}");

        let large = directory.path().join("large.txt");
        std::fs::write(&large, vec![b'#'; MAX_IDENTITY_FILE]).unwrap();
        assert!(matches!(
            Identities::from_file(&large),
            Err(KeyError::File { .. })
        ));
    }

    #[test]
    fn debug_shows_no_private_key() {
        let pair = keygen();
        let private = pair.private.expose_secret();
        let identities = Identities::parse(private).unwrap();
        assert_eq!(format!("{identities:?}"), "Identities { .. }");
        assert!(!format!("{pair:?}").contains(&private[15..]));
    }
}
