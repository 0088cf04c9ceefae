use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rotation_core::{NewVersion, Password, Problem, RunId, StoreError, VersionKey};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::{DataKey, Label, SealError};
use crate::{Identities, Recipients};

/// The document of one password, as it is written.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Written<'a> {
    Plain {
        password: &'a str,
        user_name: &'a str,
    },
    Sealed {
        sealed: String,
        /// What opens it, wrapped to the recipients.
        key: &'a str,
        user_name: &'a str,
    },
}

/// The document of one password, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    password: Option<SecretString>,
    sealed: Option<String>,
    key: Option<String>,
    #[serde(rename = "user_name")]
    _user_name: String,
}

/// Seals passwords to recipients, if there are any.
pub(super) struct Sealer(Option<(DataKey, String)>);

impl Sealer {
    pub(super) fn new(recipients: Option<&Recipients>) -> Result<Self, StoreError> {
        let key = recipients
            .map(|recipients| {
                let (key, wrapped) = DataKey::generate(recipients).map_err(broken)?;
                Ok::<_, StoreError>((key, BASE64_STANDARD.encode(wrapped)))
            })
            .transpose()?;
        Ok(Self(key))
    }

    pub(super) fn document<'a>(&'a self, new: &'a NewVersion) -> Result<Written<'a>, StoreError> {
        let user_name = &new.user_name;
        let Some((data_key, wrapped)) = &self.0 else {
            let password = new.password.expose();
            return Ok(Written::Plain {
                password,
                user_name,
            });
        };
        let label = Label::new(&new.key, new.run);
        let sealed = data_key.seal(&label, &new.password).map_err(broken)?;
        Ok(Written::Sealed {
            sealed: BASE64_STANDARD.encode(sealed),
            key: wrapped,
            user_name,
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Read {
    /// The password itself.
    pub(super) fn open(
        self,
        key: &VersionKey,
        run: RunId,
        identities: &Identities,
    ) -> Result<Password, StoreError> {
        let (sealed, wrapped) = match (self.password, self.sealed, self.key) {
            (Some(password), None, None) => {
                let text = password.expose_secret().to_owned();
                return Ok(Password::new(Zeroizing::new(text)));
            }
            (None, Some(sealed), Some(wrapped)) => (sealed, wrapped),
            _ => (String::new(), String::new()),
        };
        let open = || {
            let decode = |text| BASE64_STANDARD.decode(text).map_err(|_| SealError::Altered);
            let data_key = DataKey::unwrap(&decode(wrapped)?, identities)?;
            data_key.open(&Label::new(key, run), &decode(sealed)?)
        };
        open().map_err(|error| {
            let fix = match error {
                _ if identities.is_none() => "give the private key of one of its recipients",
                SealError::NoMatchingKey => "give the private key of one of its recipients",
                _ => "put the document back from a snapshot of the server, or rotate the account",
            };
            let message = format!(
                "cannot open the password of version {} of account {}: {error}",
                key.version, key.account
            );
            StoreError::Unusable(Problem::new(message).with_fix(fix))
        })
    }
}

fn broken(error: SealError) -> StoreError {
    StoreError::unavailable("cannot seal a password", error)
}
