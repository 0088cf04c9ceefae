//! Secrets from where the configuration says they are: a variable of the environment, or a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::{ConfigError, Document, Step, below};

/// A file with a secret in it is small; whatever is larger is another file.
const LONGEST: usize = 64 * 1024;

/// The place in a configuration that names where a secret is.
pub(super) struct SecretPlace<'a> {
    pub(super) document: &'a Document,
    /// The way to the table with `env` or `file`.
    pub(super) steps: &'a [Step<'a>],
    /// What it is, as in "the client secret of tenant contoso.com".
    pub(super) what: &'a str,
}

impl SecretPlace<'_> {
    /// The secret that `env` or `file` has.
    ///
    /// # Errors
    /// Unless exactly one of them is named, and has it.
    pub(super) fn read(
        &self,
        env: Option<&str>,
        file: Option<&Path>,
    ) -> Result<SecretString, ConfigError> {
        match (env, file) {
            (Some(name), None) => self.of_variable("env", name),
            (None, Some(file)) => self.of_file("file", file),
            (Some(_), Some(_)) | (None, None) => Err(self.document.error(
                self.steps,
                format!(
                    "{} stands in one place: expected either `env`, the name of a variable, or `file`",
                    self.what
                ),
            )),
        }
    }

    /// The secret in `file`, which the configuration names at `key`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of_file(&self, key: &str, file: &Path) -> Result<SecretString, ConfigError> {
        let path = self.document.resolve(file);
        read(&path).map_err(|error| {
            let (what, path) = (self.what, path.display());
            self.error(key, format!("cannot read {what} from {path}: {error}"))
        })
    }

    /// The secret in the variable `name`, which the configuration names at `key`.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn of_variable(&self, key: &str, name: &str) -> Result<SecretString, ConfigError> {
        let wrong = |how: &str| {
            let what = self.what;
            self.error(
                key,
                format!("the environment variable {name} with {what} {how}"),
            )
        };
        if !is_name(name) {
            let message = format!(
                "`{key}` is the name of a variable, not {} itself",
                self.what
            );
            return Err(self.document.error(&[], message));
        }
        match std::env::var(name) {
            Ok(value) if value.trim().is_empty() => Err(wrong("is empty")),
            Ok(value) => Ok(exact(&Zeroizing::new(value))),
            Err(std::env::VarError::NotPresent) => Err(wrong("is not set")
                .with_help("set it where this program is started, from the secrets of your CI")),
            Err(std::env::VarError::NotUnicode(_)) => Err(wrong("is not text")),
        }
    }

    fn error(&self, key: &str, message: String) -> ConfigError {
        let steps = below(self.steps, Step::Key(key));
        self.document.error(&steps, message)
    }
}

/// Whether a variable could be called so (POSIX, "Environment Variables"); a secret hardly ever could.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What `path` has, text or not.
pub(super) fn read_bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // one byte more than is read, so that the buffer never grows and leaves a copy behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    File::open(path)?
        .take(LONGEST as u64)
        .read_to_end(&mut bytes)?;
    if bytes.len() == LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The secret that `path` has.
pub(super) fn read(path: &Path) -> io::Result<SecretString> {
    let bytes = read_bytes(path)?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        // it says where, and not what
        io::Error::new(io::ErrorKind::InvalidData, error)
    })?;
    Ok(exact(text))
}

/// Without the line end that editors add, in a buffer that need not shrink.
pub(super) fn exact(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text.trim_end_matches(['\r', '\n'])))
}
