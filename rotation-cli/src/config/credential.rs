use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Document, Step, below};

/// What proves that we are the application, and where it is to be found. Which keys it has depends on its kind.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with `kind`, such as { kind = \"client-secret\", env = \"…\" }"
)]
pub(crate) struct Credential {
    pub(crate) kind: CredentialKind,
    pub(crate) client_id: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) github: Option<bool>,
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CredentialKind {
    Certificate,
    ClientSecret,
    Federated,
    ManagedIdentity,
}

impl CredentialKind {
    /// As it is written, and its keys.
    fn keys(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Certificate => ("certificate", &["file", "key_file", "env"]),
            Self::ClientSecret => ("client-secret", &["env", "file"]),
            Self::Federated => ("federated", &["file", "env", "github"]),
            Self::ManagedIdentity => ("managed-identity", &["client_id"]),
        }
    }
}

impl Credential {
    /// That it has the keys of its kind, at `steps` in `document`.
    pub(super) fn check(&self, document: &Document, steps: &[Step<'_>]) -> Result<(), ConfigError> {
        let present = [
            ("client_id", self.client_id.is_some()),
            ("env", self.env.is_some()),
            ("file", self.file.is_some()),
            ("github", self.github.is_some()),
            ("key_file", self.key_file.is_some()),
        ];
        let (name, keys) = self.kind.keys();
        for (key, _) in present.into_iter().filter(|(_, is_there)| *is_there) {
            if !keys.contains(&key) {
                let message = format!(
                    "a credential of kind `{name}` has no key `{key}`, expected `{}`",
                    keys.join("`, `")
                );
                return Err(document.error(&below(steps, Step::Key(key)), message));
            }
        }
        match self.kind {
            CredentialKind::Certificate => self.check_certificate(document, steps),
            CredentialKind::Federated => self.check_federated(document, steps),
            CredentialKind::ClientSecret | CredentialKind::ManagedIdentity => Ok(()),
        }
    }

    fn check_certificate(
        &self,
        document: &Document,
        steps: &[Step<'_>],
    ) -> Result<(), ConfigError> {
        if self.file.is_some() == self.env.is_some() {
            let message = "a certificate stands in one place: expected either `file`, a PEM file, or `env`, the name of a \
                           variable with its text";
            return Err(document.error(steps, message));
        }
        if self.key_file.is_some() && self.file.is_none() {
            let message = "`key_file` goes with `file`: expected the certificate's PEM file there";
            return Err(document.error(&below(steps, Step::Key("key_file")), message));
        }
        Ok(())
    }

    fn check_federated(&self, document: &Document, steps: &[Step<'_>]) -> Result<(), ConfigError> {
        if self.github == Some(false) {
            let message = "`github` is either `true` or not there";
            return Err(document.error(&below(steps, Step::Key("github")), message));
        }
        let sources = [
            self.env.is_some(),
            self.file.is_some(),
            self.github.is_some(),
        ];
        if sources.into_iter().filter(|is_there| *is_there).count() == 1 {
            return Ok(());
        }
        let message = "a federated token comes from one place: expected `file`, `env`, the name of a variable, or \
                       `github = true`";
        Err(document.error(steps, message))
    }
}
