use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::MapDeserializer;

use super::{Backend, ConfigError, Document, Step, below};

/// What proves that we are the application, and where it is to be found. Which keys it has depends on its kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with `kind`, such as { kind = \"device-code\" }"
)]
pub(crate) struct Credential {
    pub(crate) kind: CredentialKind,
    pub(crate) azure_pipelines: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) github: Option<bool>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) passphrase_env: Option<String>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) thumbprint: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CredentialKind {
    AccessToken,
    AzureCli,
    Certificate,
    ClientSecret,
    DeviceCode,
    Federated,
    Interactive,
    ManagedIdentity,
}

/// The keys of a kind of credential with one backend; `None` if that cannot sign in with it.
type Keys = Option<&'static [&'static str]>;

impl CredentialKind {
    /// As it is written, and its keys with Graph and with PowerShell.
    fn keys(self) -> (&'static str, Keys, Keys) {
        match self {
            Self::AccessToken => ("access-token", None, Some(&["env", "file"])),
            Self::AzureCli => ("azure-cli", Some(&[]), None),
            Self::Certificate => {
                const GRAPH: &[&str] = &[
                    "file",
                    "key_file",
                    "env",
                    "passphrase_env",
                    "passphrase_file",
                ];
                ("certificate", Some(GRAPH), Some(&["thumbprint"]))
            }
            Self::ClientSecret => (
                "client-secret",
                Some(&["env", "file"]),
                Some(&["env", "file"]),
            ),
            Self::DeviceCode => ("device-code", Some(&[]), None),
            Self::Federated => {
                const GRAPH: &[&str] = &["file", "env", "github", "azure_pipelines"];
                ("federated", Some(GRAPH), None)
            }
            Self::Interactive => ("interactive", None, Some(&[])),
            Self::ManagedIdentity => (
                "managed-identity",
                Some(&["client_id"]),
                Some(&["client_id"]),
            ),
        }
    }
}

impl Credential {
    /// One that needs nothing but its kind, as `name` writes it.
    ///
    /// # Errors
    /// What is wrong with `name`, in words.
    pub(crate) fn of_kind(name: &str) -> Result<Self, String> {
        let table = [("kind", name)].into_iter();
        let table = MapDeserializer::<_, serde::de::value::Error>::new(table);
        let credential = Self::deserialize(table).map_err(|error| error.to_string())?;
        match credential.kind {
            CredentialKind::AzureCli
            | CredentialKind::DeviceCode
            | CredentialKind::ManagedIdentity => Ok(credential),
            _ => Err(
                "expected `azure-cli`, `device-code` or `managed-identity`: any other goes into `[setup]`"
                    .to_owned(),
            ),
        }
    }

    /// That it is of a kind that `backend` signs in with, and has the keys of its kind, at `steps` in `document`.
    pub(super) fn check(
        &self,
        document: &Document,
        steps: &[Step<'_>],
        backend: Backend,
    ) -> Result<(), ConfigError> {
        let present = [
            ("azure_pipelines", self.azure_pipelines.is_some()),
            ("client_id", self.client_id.is_some()),
            ("env", self.env.is_some()),
            ("file", self.file.is_some()),
            ("github", self.github.is_some()),
            ("key_file", self.key_file.is_some()),
            ("passphrase_env", self.passphrase_env.is_some()),
            ("passphrase_file", self.passphrase_file.is_some()),
            ("thumbprint", self.thumbprint.is_some()),
        ];
        let (name, of_graph, of_powershell) = self.kind.keys();
        let (keys, other) = match backend {
            Backend::Graph => (of_graph, "powershell"),
            Backend::PowerShell => (of_powershell, "graph"),
        };
        let Some(keys) = keys else {
            let message = format!("a credential of kind `{name}` is for `backend = \"{other}\"`");
            return Err(document.error(&below(steps, Step::Key("kind")), message));
        };
        for (key, _) in present.into_iter().filter(|(_, is_there)| *is_there) {
            if !keys.contains(&key) {
                let expected = match keys {
                    [] => "nothing but `kind`".to_owned(),
                    keys => format!("`{}`", keys.join("`, `")),
                };
                let message = format!(
                    "a credential of kind `{name}` has no key `{key}`, expected {expected}"
                );
                return Err(document.error(&below(steps, Step::Key(key)), message));
            }
        }
        match self.kind {
            CredentialKind::Certificate if backend == Backend::PowerShell => {
                if self.thumbprint.is_some() {
                    return Ok(());
                }
                let message = "PowerShell signs in with a certificate of this machine's or user's certificate store: \
                               expected its `thumbprint`";
                Err(document.error(steps, message))
            }
            CredentialKind::Certificate => self.check_certificate(document, steps),
            CredentialKind::Federated => self.check_federated(document, steps),
            CredentialKind::AccessToken
            | CredentialKind::AzureCli
            | CredentialKind::ClientSecret
            | CredentialKind::DeviceCode
            | CredentialKind::Interactive
            | CredentialKind::ManagedIdentity => Ok(()),
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
        let (env, file) = (&self.passphrase_env, &self.passphrase_file);
        if (env.is_some() || file.is_some()) && (self.file.is_none() || self.key_file.is_some()) {
            let message = "a passphrase opens a PKCS #12 file (.pfx): expected its name as `file`, and no `key_file`";
            return Err(document.error(steps, message));
        }
        if env.is_some() && file.is_some() {
            let message = "a passphrase stands in one place: expected either `passphrase_env` or `passphrase_file`";
            return Err(document.error(steps, message));
        }
        Ok(())
    }

    fn check_federated(&self, document: &Document, steps: &[Step<'_>]) -> Result<(), ConfigError> {
        if self.github == Some(false) {
            let message = "`github` is either `true` or not there";
            return Err(document.error(&below(steps, Step::Key("github")), message));
        }
        if self.azure_pipelines.is_some() && self.file.is_none() && self.github.is_none() {
            return Ok(());
        }
        let sources = [
            self.azure_pipelines.is_some(),
            self.env.is_some(),
            self.file.is_some(),
            self.github.is_some(),
        ];
        if sources.into_iter().filter(|is_there| *is_there).count() == 1 {
            return Ok(());
        }
        let message = "a federated token comes from one place: expected `file`, `env`, the name of a variable, \
                       `github = true`, or `azure_pipelines`";
        Err(document.error(steps, message))
    }
}
