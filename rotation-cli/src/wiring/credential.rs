//! What a tenant signs in with: as its configuration says, else as the environment says.

use std::path::{Path, PathBuf};

use std::collections::{HashMap, HashSet};

use backend_graph::{
    AzurePipelines, CertificateError, ClientCertificate, Credential, DeviceCode, DevicePrompt,
    FederatedToken, GitHubActions,
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::at::At;
use super::secret::{self, SecretPlace};
use crate::config::{self, ConfigError, CredentialKind, Step, below};
use crate::output;

/// The first byte of a PKCS #12 file, and of no PEM.
const DER: u8 = 0x30;

/// Names that Azure's own tools give these variables
/// (<https://learn.microsoft.com/dotnet/api/azure.identity.environmentcredential>,
/// <https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html>).
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const CERTIFICATE_PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";
const SECRET: &str = "AZURE_CLIENT_SECRET";
/// Names that GitHub gives these (<https://docs.github.com/actions/reference/security/oidc>).
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// Names that Azure Pipelines gives these, the last two in a step that has the task or maps them
/// (<https://learn.microsoft.com/azure/devops/release-notes/2024/sprint-240-update>).
const PIPELINES_URL: &str = "SYSTEM_OIDCREQUESTURI";
const PIPELINES_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
const PIPELINES_CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";

/// A credential, and how it was found if the configuration does not say.
struct Found {
    credential: Credential,
    note: Option<&'static str>,
}

/// What the tenants of one process share.
#[derive(Default)]
pub(super) struct Credentials {
    told: HashSet<&'static str>,
    /// Whoever signs in, by app.
    people: HashMap<Option<String>, DeviceCode>,
    /// What was found for a partner's tenant, which is good for its customers too, by its id.
    found: HashMap<String, Credential>,
}

impl Credentials {
    /// What `tenant` signs in with. If the environment says, the choice is shown, once for all tenants that it is found for.
    ///
    /// # Errors
    /// If what is configured is not there or cannot be used, or if there is nothing.
    pub(super) fn of(
        &mut self,
        at: &At<'_>,
        tenant: &config::Tenant,
    ) -> Result<Credential, ConfigError> {
        if let Some(found) = self.found.get(&tenant.id) {
            return Ok(found.clone());
        }
        let found = self.find(at, tenant)?;
        if tenant.customers.is_some() {
            self.found.insert(tenant.id.clone(), found.clone());
        }
        Ok(found)
    }

    fn find(&mut self, at: &At<'_>, tenant: &config::Tenant) -> Result<Credential, ConfigError> {
        let found = match &tenant.credential {
            Some(configured) => {
                let owner = format!("tenant {}", tenant.id);
                return self.configured(at, owner, tenant.client_id.as_ref(), configured);
            }
            None => of_environment(at, tenant)?,
        };
        if let Some(note) = found.note.filter(|note| self.told.insert(note)) {
            output::note(note);
        }
        Ok(found.credential)
    }

    /// What `owner` signs in with, as `credential` at `at` says; a person by the app `client_id`.
    ///
    /// # Errors
    /// If it is not there or cannot be used.
    pub(super) fn configured(
        &mut self,
        at: &At<'_>,
        owner: String,
        client_id: Option<&String>,
        credential: &config::Credential,
    ) -> Result<Credential, ConfigError> {
        let person = self.people.entry(client_id.cloned());
        let person = person.or_insert_with(|| DeviceCode::new(show)).clone();
        let steps = at.steps(&["credential"]);
        let configured = Configured {
            at,
            owner,
            credential,
            person,
            steps,
        };
        configured.read()
    }
}

/// Tells the person at the terminal how to sign in.
fn show(prompt: &DevicePrompt) {
    let minutes = prompt.good_for.as_secs() / 60;
    output::note(&format!(
        "to sign in to tenant {}, open {} within {minutes} minutes and enter the code {}",
        prompt.tenant, prompt.page, prompt.code
    ));
}

/// The credential of the configuration, and its place there.
struct Configured<'a> {
    at: &'a At<'a>,
    /// In words: a tenant, or whoever sets tenants up.
    owner: String,
    credential: &'a config::Credential,
    /// Who signs in, if a person does.
    person: DeviceCode,
    steps: Vec<Step<'a>>,
}

impl Configured<'_> {
    fn read(&self) -> Result<Credential, ConfigError> {
        let credential = self.credential;
        let (env, file) = (credential.env.as_deref(), credential.file.as_deref());
        match credential.kind {
            // refused when the configuration was read
            CredentialKind::AccessToken | CredentialKind::Interactive => {
                let message = "this kind of credential is for `backend = \"powershell\"`";
                Err(self.at.config.document().error(&self.steps, message))
            }
            CredentialKind::AzureCli => Ok(Credential::AzureCli),
            CredentialKind::Certificate => self.certificate(env, file),
            CredentialKind::ClientSecret => {
                let secret = self.secret("client secret", env, file)?;
                Ok(Credential::ClientSecret(secret))
            }
            CredentialKind::Federated => self.federated(env, file).map(Credential::Federated),
            CredentialKind::DeviceCode => Ok(Credential::DeviceCode(self.person.clone())),
            CredentialKind::ManagedIdentity => Ok(Credential::ManagedIdentity {
                client_id: credential.client_id.clone(),
            }),
        }
    }

    fn certificate(
        &self,
        env: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Credential, ConfigError> {
        if let Some(file) = file
            && let Some(opened) = self.pkcs12(file)?
        {
            return Ok(Credential::Certificate(opened));
        }
        let mut pem = self.secret("certificate", env, file)?;
        let mut key = "file";
        if env.is_some() {
            key = "env";
        }
        if let Some(key_file) = self.credential.key_file.as_deref() {
            let what = format!("the private key of {}", self.owner);
            let place = self.place(&what);
            let private = place.of_file("key_file", key_file)?;
            pem = joined(&pem, &private);
        }
        let certificate = ClientCertificate::from_pem(pem.expose_secret());
        let certificate = certificate.map_err(|error| {
            let what = format!("the certificate of {}", self.owner);
            let steps = below(&self.steps, Step::Key(key));
            let message = format!("{what} cannot be used: {error}");
            self.at
                .config
                .document()
                .error(&steps, message)
                .with_help(error.fix())
        })?;
        Ok(Credential::Certificate(certificate))
    }

    /// What is in `file` if that is no text, as PEM is.
    fn pkcs12(&self, file: &Path) -> Result<Option<ClientCertificate>, ConfigError> {
        let path = self.at.config.document().resolve(file);
        let (env, passphrase) = (
            self.credential.passphrase_env.as_deref(),
            self.credential.passphrase_file.as_deref(),
        );
        let bytes = match secret::read_bytes(&path) {
            Ok(bytes) if bytes.first() == Some(&DER) => bytes,
            // whoever reads it as PEM says what is wrong
            _ => return Ok(None),
        };
        let what = format!("the passphrase of the certificate of {}", self.owner);
        let place = self.place(&what);
        let passphrase = match (env, passphrase) {
            (Some(name), _) => place.of_variable("passphrase_env", name)?,
            (None, Some(file)) => place.of_file("passphrase_file", file)?,
            (None, None) => SecretString::default(),
        };
        let opened = ClientCertificate::from_pkcs12(&bytes, &passphrase);
        opened.map(Some).map_err(|error| {
            let message = format!("the certificate of {} cannot be used: {error}", self.owner);
            let steps = below(&self.steps, Step::Key("file"));
            let error_at = self.at.config.document().error(&steps, message);
            error_at.with_help(error.fix())
        })
    }

    fn federated(
        &self,
        env: Option<&str>,
        file: Option<&Path>,
    ) -> Result<FederatedToken, ConfigError> {
        if let Some(file) = file {
            let path = self.at.config.document().resolve(file);
            return Ok(FederatedToken::File(path));
        }
        if let Some(connection) = self.credential.azure_pipelines.as_deref() {
            return self.azure_pipelines(connection, env);
        }
        if env.is_some() {
            let token = self.secret("federated token", env, None)?;
            return Ok(FederatedToken::Given(token));
        }
        let error = |message: String| {
            let steps = below(&self.steps, Step::Key("github"));
            self.at.config.document().error(&steps, message)
        };
        let github = github().ok_or_else(|| {
            error(format!(
                "GitHub Actions lets this job have no token: {GITHUB_URL} and {GITHUB_TOKEN} are not set"
            ))
            .with_help("give the job `permissions: id-token: write`; elsewhere than in GitHub Actions name `file` or `env`")
        })?;
        let github = github.map_err(|wrong| error(wrong.to_string()))?;
        Ok(FederatedToken::GitHub(github))
    }

    fn azure_pipelines(
        &self,
        connection: &str,
        env: Option<&str>,
    ) -> Result<FederatedToken, ConfigError> {
        let error = |message: String| {
            let steps = below(&self.steps, Step::Key("azure_pipelines"));
            self.at.config.document().error(&steps, message)
        };
        let name = env.unwrap_or(PIPELINES_TOKEN);
        let (Some(url), Some(token)) = (variable(PIPELINES_URL), variable(name)) else {
            let message = format!(
                "Azure Pipelines lets this job have no token: {PIPELINES_URL} and {name} are not set"
            );
            return Err(error(message).with_help(
                "give the step `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`; elsewhere than in Azure Pipelines name `file` or `env`",
            ));
        };
        let pipelines = AzurePipelines::new(url.expose_secret(), &token, connection);
        let pipelines = pipelines.map_err(|wrong| error(wrong.to_string()))?;
        Ok(FederatedToken::AzurePipelines(pipelines))
    }

    fn secret(
        &self,
        what: &str,
        env: Option<&str>,
        file: Option<&Path>,
    ) -> Result<SecretString, ConfigError> {
        let what = format!("the {what} of {}", self.owner);
        self.place(&what).read(env, file)
    }

    fn place<'p>(&'p self, what: &'p str) -> SecretPlace<'p> {
        SecretPlace {
            document: self.at.config.document(),
            steps: &self.steps,
            what,
        }
    }
}

/// In the order in which Azure's own tools look; but never a managed identity, which a machine may have without anybody
/// having meant it for this.
fn of_environment(at: &At<'_>, tenant: &config::Tenant) -> Result<Found, ConfigError> {
    let found = |credential, note| {
        Ok(Found {
            credential,
            note: Some(note),
        })
    };
    if let Some(path) = variable(TOKEN_FILE) {
        let token = FederatedToken::File(PathBuf::from(path.expose_secret()));
        return found(
            Credential::Federated(token),
            "signing in with the federated token named by AZURE_FEDERATED_TOKEN_FILE",
        );
    }
    if let Some(github) = github() {
        let github = github.map_err(|error| at.error(&[], error.to_string()))?;
        return found(
            Credential::Federated(FederatedToken::GitHub(github)),
            "signing in with the token that GitHub Actions gives this job",
        );
    }
    let pipelines = (
        variable(PIPELINES_URL),
        variable(PIPELINES_TOKEN),
        variable(PIPELINES_CONNECTION),
    );
    if let (Some(url), Some(token), Some(connection)) = pipelines {
        let pipelines =
            AzurePipelines::new(url.expose_secret(), &token, connection.expose_secret());
        let pipelines = pipelines.map_err(|error| at.error(&[], error.to_string()))?;
        return found(
            Credential::Federated(FederatedToken::AzurePipelines(pipelines)),
            "signing in with the token that Azure Pipelines gives this job",
        );
    }
    if let Some(path) = variable(CERTIFICATE) {
        let certificate = certificate_at(Path::new(path.expose_secret()));
        let certificate = certificate.map_err(|(message, fix)| {
            let message = format!("the certificate named by {CERTIFICATE} {message}");
            at.error(&[], message).with_help(fix)
        })?;
        return found(
            Credential::Certificate(certificate),
            "signing in with the certificate named by AZURE_CLIENT_CERTIFICATE_PATH",
        );
    }
    if let Some(secret) = variable(SECRET) {
        return found(
            Credential::ClientSecret(secret),
            "signing in with the client secret in AZURE_CLIENT_SECRET",
        );
    }
    let message = format!(
        "tenant {} has no `credential`, and the environment has none either: looked for {TOKEN_FILE}, {GITHUB_URL} with \
         {GITHUB_TOKEN}, {PIPELINES_URL} with {PIPELINES_TOKEN} and {PIPELINES_CONNECTION}, {CERTIFICATE} and {SECRET}",
        tenant.id
    );
    Err(at.error(&[], message).with_help(
        "set one of them where this program is started, or add `credential`: `rotation init` in an empty directory shows how",
    ))
}

fn certificate_at(path: &Path) -> Result<ClientCertificate, (String, &'static str)> {
    if let Ok(bytes) = secret::read_bytes(path)
        && bytes.first() == Some(&DER)
    {
        let passphrase = variable(CERTIFICATE_PASSWORD).unwrap_or_default();
        let opened = ClientCertificate::from_pkcs12(&bytes, &passphrase);
        return opened.map_err(|error| {
            let message = format!("cannot be used ({}): {error}", path.display());
            (message, error.fix())
        });
    }
    let pem = secret::read(path).map_err(|error| {
        let message = format!("cannot be read from {}: {error}", path.display());
        (message, "name a PEM file with certificate and private key")
    })?;
    ClientCertificate::from_pem(pem.expose_secret()).map_err(|error: CertificateError| {
        let message = format!("cannot be used ({}): {error}", path.display());
        (message, error.fix())
    })
}

/// `None` where GitHub lets the job have no token.
fn github() -> Option<Result<GitHubActions, backend_graph::ConfigError>> {
    let (url, token) = (variable(GITHUB_URL)?, variable(GITHUB_TOKEN)?);
    Some(GitHubActions::new(url.expose_secret(), &token))
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<SecretString> {
    let value = Zeroizing::new(std::env::var(name).ok()?);
    (!value.trim().is_empty()).then(|| secret::exact(&value))
}

fn joined(first: &SecretString, second: &SecretString) -> SecretString {
    let (first, second) = (first.expose_secret(), second.expose_secret());
    let mut both = Zeroizing::new(String::with_capacity(first.len() + second.len() + 1));
    both.push_str(first);
    both.push('\n');
    both.push_str(second);
    secret::exact(&both)
}
