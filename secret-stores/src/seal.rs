//! Seals passwords so that only a private key opens them.
//!
//! A store draws one [`DataKey`] when it is opened, keeps that key wrapped with `age` to all recipients, and forgets
//! it when it is closed. Each password is sealed with AES-256-GCM-SIV (RFC 8452) under the data key, bound to the
//! [`Label`] of its version: a sealed value moved to another account or version does not open.

use std::fmt;
use std::io::{self, Read, Write};

use age::{DecryptError, Decryptor, Encryptor};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use rotation_core::{Password, RunId, VersionKey};
use zeroize::Zeroizing;

use crate::{Identities, Recipients};

const DATA_KEY_LEN: usize = 32;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// It was altered, or belongs elsewhere.
    #[error("it was altered or belongs to another version")]
    Altered,
    /// None of the private keys fits.
    #[error("none of the private keys given is one of its recipients")]
    NoMatchingKey,
    /// `age` failed.
    #[error("it is not a key wrapped by age")]
    Wrapping(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cryptographic library failed: its source of randomness does not work.
    #[error("the cryptographic library failed")]
    Library,
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

/// What a sealed password is bound to.
pub(crate) struct Label(Vec<u8>);

impl Label {
    pub(crate) fn new(key: &VersionKey, run: RunId) -> Self {
        let parts = [
            key.account.tenant.as_str().as_bytes(),
            key.account.account.as_str().as_bytes(),
            run.as_bytes(),
            key.version.as_bytes(),
        ];
        let mut label = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
        for part in parts {
            // The length before each part keeps ("ab", "c") apart from ("a", "bc").
            label.extend_from_slice(&(part.len() as u64).to_be_bytes());
            label.extend_from_slice(part);
        }
        Self(label)
    }
}

/// A symmetric key that lives in memory only as long as the store that drew it.
pub(crate) struct DataKey(RandomizedNonceKey);

impl DataKey {
    /// A fresh key, and the same key wrapped to `recipients`.
    pub(crate) fn generate(recipients: &Recipients) -> Result<(Self, Vec<u8>), SealError> {
        let mut key = Zeroizing::new([0; DATA_KEY_LEN]);
        rand::fill(&mut *key)?;
        let wrapped = wrap(&*key, recipients).map_err(|error| SealError::Wrapping(error.into()))?;
        Ok((Self::from_bytes(&key)?, wrapped))
    }

    /// The key that [`generate`](Self::generate) wrapped.
    pub(crate) fn unwrap(wrapped: &[u8], identities: &Identities) -> Result<Self, SealError> {
        let decryptor = Decryptor::new_buffered(wrapped).map_err(no_key)?;
        let mut reader = decryptor.decrypt(identities.iter()).map_err(no_key)?;
        let mut key = Zeroizing::new([0; DATA_KEY_LEN]);
        reader.read_exact(&mut *key).map_err(cut)?;
        // Reading on to the end is what makes `age` authenticate that this is the end.
        if reader.read(&mut [0]).map_err(cut)? != 0 {
            return Err(SealError::Altered);
        }
        Self::from_bytes(&key)
    }

    fn from_bytes(key: &[u8; DATA_KEY_LEN]) -> Result<Self, SealError> {
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM_SIV, key)?))
    }

    /// Seals `password`: nonce, ciphertext, tag.
    pub(crate) fn seal(&self, label: &Label, password: &Password) -> Result<Vec<u8>, SealError> {
        let text = password.expose().as_bytes();
        // At its final size from the start: growing would leave a copy of the text behind.
        let size = NONCE_LEN + text.len() + AES_256_GCM_SIV.tag_len();
        let mut sealed = Zeroizing::new(Vec::with_capacity(size));
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(text);
        let (head, body) = sealed.split_at_mut(NONCE_LEN);
        let (nonce, tag) = self
            .0
            .seal_in_place_separate_tag(Aad::from(&label.0), body)?;
        head.copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(std::mem::take(&mut *sealed))
    }

    /// Opens what [`seal`](Self::seal) sealed under the same label.
    pub(crate) fn open(&self, label: &Label, sealed: &[u8]) -> Result<Password, SealError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Altered)?;
        let mut body = Zeroizing::new(body.to_vec());
        let text = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(&label.0),
                &mut body,
            )
            .map_err(|_| SealError::Altered)?;
        let text = std::str::from_utf8(text).map_err(|_| SealError::Altered)?;
        Ok(Password::new(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").finish_non_exhaustive()
    }
}

fn wrap(key: &[u8], recipients: &Recipients) -> io::Result<Vec<u8>> {
    let encryptor = Encryptor::with_recipients(recipients.iter()).map_err(io::Error::other)?;
    let mut wrapped = Vec::new();
    let mut writer = encryptor.wrap_output(&mut wrapped)?;
    writer.write_all(key)?;
    writer.finish()?;
    Ok(wrapped)
}

fn no_key(error: DecryptError) -> SealError {
    match error {
        DecryptError::NoMatchingKeys => SealError::NoMatchingKey,
        other => SealError::Wrapping(other.into()),
    }
}

fn cut(error: io::Error) -> SealError {
    SealError::Wrapping(error.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rotation_core::{AccountId, AccountKey, TenantId, VersionId};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{KeyPair, keygen};

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    fn key(tenant: &str, account: &str) -> VersionKey {
        VersionKey {
            account: AccountKey {
                tenant: TenantId::new(tenant),
                account: AccountId::new(account),
            },
            version: VersionId::new(),
        }
    }

    fn identities(pair: &KeyPair) -> Identities {
        Identities::parse(pair.private.expose_secret()).unwrap()
    }

    fn data_key() -> DataKey {
        let recipients = Recipients::parse([keygen().public]).unwrap();
        DataKey::generate(&recipients).unwrap().0
    }

    #[test]
    fn every_recipient_opens_what_was_sealed() {
        let pairs = [keygen(), keygen(), keygen()];
        let recipients = Recipients::parse(pairs.iter().map(|pair| &pair.public)).unwrap();
        let (sealing, wrapped) = DataKey::generate(&recipients).unwrap();
        let label = Label::new(&key("t", "a"), RunId::new());
        let sealed = sealing.seal(&label, &password("hunter2")).unwrap();
        for pair in &pairs {
            let opening = DataKey::unwrap(&wrapped, &identities(pair)).unwrap();
            assert_eq!(opening.open(&label, &sealed).unwrap().expose(), "hunter2");
        }
    }

    #[test]
    fn nobody_else_opens_it() {
        let recipients = Recipients::parse([keygen().public]).unwrap();
        let (_, wrapped) = DataKey::generate(&recipients).unwrap();
        assert!(matches!(
            DataKey::unwrap(&wrapped, &identities(&keygen())),
            Err(SealError::NoMatchingKey)
        ));
    }

    #[test]
    fn a_wrapped_key_with_any_byte_altered_or_cut_off_is_an_error() {
        let pair = keygen();
        let recipients = Recipients::parse([&pair.public]).unwrap();
        let (_, wrapped) = DataKey::generate(&recipients).unwrap();
        let identities = identities(&pair);
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert!(DataKey::unwrap(&altered, &identities).is_err(), "byte {at}");
            assert!(
                DataKey::unwrap(&wrapped[..at], &identities).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_label_is_unambiguous() {
        let (run, version) = (RunId::new(), VersionId::new());
        let label = |tenant, account| {
            let mut key = key(tenant, account);
            key.version = version;
            Label::new(&key, run).0
        };
        assert_ne!(label("ab", "c"), label("a", "bc"));
        assert_ne!(label("", "a"), label("a", ""));
    }

    #[test]
    fn sealing_the_same_password_twice_differs() {
        let data_key = data_key();
        let label = Label::new(&key("t", "a"), RunId::new());
        let seal = || data_key.seal(&label, &password("hunter2")).unwrap();
        assert_ne!(seal(), seal());
    }

    proptest! {
        #[test]
        fn opens_to_exactly_what_was_sealed(text in "\\PC{0,300}") {
            let data_key = data_key();
            let label = Label::new(&key("t", "a"), RunId::new());
            let sealed = data_key.seal(&label, &password(&text)).unwrap();
            prop_assert_eq!(sealed.len(), text.len() + 28);
            let opened = data_key.open(&label, &sealed).unwrap();
            prop_assert_eq!(opened.expose(), text);
        }

        #[test]
        fn an_altered_or_moved_value_never_opens(at in 0usize..35, bit in 0u8..8, cut in 0usize..35) {
            let data_key = data_key();
            let label = Label::new(&key("t", "a"), RunId::new());
            let sealed = data_key.seal(&label, &password("hunter2")).unwrap();
            let mut altered = sealed.clone();
            altered[at] ^= 1 << bit;
            prop_assert!(matches!(data_key.open(&label, &altered), Err(SealError::Altered)));
            prop_assert!(matches!(data_key.open(&label, &sealed[..cut]), Err(SealError::Altered)));
            let elsewhere = Label::new(&key("t", "a"), RunId::new());
            prop_assert!(matches!(data_key.open(&elsewhere, &sealed), Err(SealError::Altered)));
        }
    }
}
