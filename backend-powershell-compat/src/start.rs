//! From a configuration to a worker that is signed in.

use std::path::{Path, PathBuf};

use entra_directory::{Remedy, SignInError};
use rotation_core::{BackendError, Problem};
use secrecy::SecretString;
use serde::Deserialize;

use crate::config::{Directory, Domain, PowerShellConfig, SignInWith, Tenant};
use crate::diagnosis::{Diagnosis, Logging};
use crate::dialect::Dialect;
use crate::failure::Failure;
use crate::locate;
use crate::protocol::{Ask, Record, SignInWords};
use crate::secret::Secret;
use crate::worker::{Reply, Worker};

/// What a person is asked to consent to, who then acts with what of it they may do anyway
/// (<https://learn.microsoft.com/graph/permissions-reference>).
const SCOPES: [&str; 7] = [
    "User-PasswordProfile.ReadWrite.All",
    "User.Read.All",
    "Domain.Read.All",
    "RoleManagement.Read.Directory",
    "GroupMember.Read.All",
    "AdministrativeUnit.Read.All",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
];

/// What a worker says of itself before any module is loaded.
#[derive(Debug, Deserialize)]
struct Hello {
    powershell: String,
    edition: String,
    #[serde(default)]
    logging: Vec<Logging>,
}

/// What became of loading a module.
#[derive(Debug, Deserialize)]
struct Loaded {
    version: Option<String>,
    /// What is installed of it, if nothing fits.
    #[serde(default)]
    found: Vec<String>,
}

/// A program and a dialect that go together.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    program: PathBuf,
    pub(crate) dialect: Dialect,
}

/// A worker that is signed in.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) worker: Worker,
    pub(crate) choice: Choice,
    pub(crate) diagnosis: Diagnosis,
}

/// Why a choice is none.
enum Wrong {
    /// Another may do.
    Choice(Problem),
    /// It is for nobody.
    All(BackendError),
}

/// Starts a worker: of `chosen` if one was chosen before, else of the first choice that can load its module.
///
/// # Errors
/// - [`BackendError::NotAuthorized`] if a person must act: nothing to start, a module that is missing or of another major
///   version, a sign-in that is refused;
/// - [`BackendError::Unavailable`] if it may pass.
pub(crate) async fn start(
    config: &PowerShellConfig,
    chosen: Option<&Choice>,
) -> Result<Started, BackendError> {
    let choices = match chosen {
        Some(chosen) => vec![chosen.clone()],
        None => choices(config)?,
    };
    let mut first = None;
    for choice in choices {
        match start_as(config, choice).await {
            Ok(started) => return Ok(started),
            Err(Wrong::All(error)) => return Err(error),
            Err(Wrong::Choice(problem)) => first = first.or(Some(problem)),
        }
    }
    let problem = first.unwrap_or_else(|| Problem::new("no dialect was left to try"));
    Err(BackendError::NotAuthorized(problem))
}

fn choices(config: &PowerShellConfig) -> Result<Vec<Choice>, BackendError> {
    let programs = locate::programs(config).map_err(BackendError::NotAuthorized)?;
    let dialects = config.dialects();
    let of_program = |program: &PathBuf| {
        let program = program.clone();
        dialects.iter().map(move |&dialect| Choice {
            program: program.clone(),
            dialect,
        })
    };
    Ok(programs.iter().flat_map(of_program).collect())
}

async fn start_as(config: &PowerShellConfig, choice: Choice) -> Result<Started, Wrong> {
    let dialect = choice.dialect;
    let idle = (!config.is_interactive()).then_some(config.idle_timeout);
    let limit = config.start_timeout;
    let script = dialect.script();
    let (worker, hello) = Worker::start(
        &choice.program,
        &script,
        &config.hidden_variables,
        limit,
        idle,
    )
    .await
    .map_err(Wrong::All)?;
    let hello = serde_json::from_value(hello).map_err(|_| {
        let problem = Problem::new("the PowerShell worker greets without its version");
        Wrong::All(BackendError::Unexpected(problem))
    })?;
    check(&choice.program, dialect, &hello).map_err(Wrong::Choice)?;
    let version = load(config, &worker, &choice).await?;
    connect(config, &worker, dialect)
        .await
        .map_err(Wrong::All)?;
    let mut diagnosis = Diagnosis::new(choice.program.clone(), dialect);
    diagnosis.powershell = hello.powershell;
    diagnosis.edition = hello.edition;
    diagnosis.module_version = version;
    diagnosis.logging = hello.logging;
    diagnosis.printed = worker.overheard();
    Ok(Started {
        worker,
        choice,
        diagnosis,
    })
}

/// Whether PowerShell itself will do.
fn check(program: &Path, dialect: Dialect, hello: &Hello) -> Result<(), Problem> {
    let mut parts = hello.powershell.split('.').map(str::parse::<u32>);
    let mut part = || parts.next().and_then(Result::ok).unwrap_or_default();
    let version = (part(), part());
    let is_desktop = hello.edition.eq_ignore_ascii_case("Desktop");
    let found = format!(
        "{} is PowerShell {} ({})",
        program.display(),
        hello.powershell,
        hello.edition
    );
    if version < (if is_desktop { (5, 1) } else { (7, 0) }) {
        let message = format!("{found}, expected 7 or later, or Windows PowerShell 5.1");
        let fix = "install PowerShell 7: https://aka.ms/powershell";
        return Err(Problem::new(message).with_fix(fix));
    }
    if dialect == Dialect::AzureAd && !is_desktop {
        let message =
            format!("{found}, and the AzureAD module loads in Windows PowerShell 5.1 alone");
        let fix = "name powershell.exe in `program`, or move to the dialect microsoft.graph";
        return Err(Problem::new(message).with_fix(fix));
    }
    Ok(())
}

/// Loads the module; its version.
async fn load(
    config: &PowerShellConfig,
    worker: &Worker,
    choice: &Choice,
) -> Result<String, Wrong> {
    let module = choice.dialect.module();
    let ask = Ask::Load {
        module: module.name,
        major: module.major,
        minimum: module.minimum,
    };
    let unexpected = || {
        let problem = Problem::new("the PowerShell worker does not say what it loaded");
        Wrong::All(BackendError::Unexpected(problem))
    };
    match worker.ask(&ask, None, config.start_timeout).await {
        Ok(Reply::Done { ok, .. }) => {
            let loaded: Loaded = serde_json::from_value(ok).map_err(|_| unexpected())?;
            if let Some(version) = loaded.version {
                return Ok(version);
            }
            let program = choice.program.display();
            let (name, major, minimum) = (module.name, module.major, module.minimum);
            let message = match loaded.found.as_slice() {
                [] => format!("module {name} is not installed for {program}"),
                found => format!(
                    "module {name} is installed for {program} as {}, expected {minimum} or later of version {major}",
                    found.join(", ")
                ),
            };
            Err(Wrong::Choice(
                Problem::new(message).with_fix(module.install),
            ))
        }
        Ok(Reply::Failed(record)) => Err(Wrong::All(BackendError::NotAuthorized(cannot_load(
            module.name,
            &record,
        )))),
        Err(lost) => Err(Wrong::All(BackendError::Unavailable(lost.problem()))),
    }
}

fn cannot_load(module: &str, record: &Record) -> Problem {
    let words = record.words();
    let is_policy = record.category.eq_ignore_ascii_case("SecurityError")
        || record
            .types
            .iter()
            .any(|kind| kind.ends_with("PSSecurityException"));
    let fix = if is_policy {
        "the execution policy forbids the module's scripts: Set-ExecutionPolicy RemoteSigned -Scope CurrentUser, unless a \
         group policy decides it"
    } else {
        "load it by hand to see why: another version of Microsoft.Graph.Authentication may be in the way"
    };
    Problem::new(format!("cannot load module {module}: {words}")).with_fix(fix)
}

async fn connect(
    config: &PowerShellConfig,
    worker: &Worker,
    dialect: Dialect,
) -> Result<(), BackendError> {
    let (words, secret) = match &config.directory {
        Directory::Domain(domain) => of_domain(domain),
        Directory::Tenant(tenant) => of_tenant(tenant, dialect),
    };
    let secret = secret.map(Secret::Credential);
    let method = words.method;
    match worker
        .ask(&Ask::Connect(words), secret, config.start_timeout)
        .await
    {
        Ok(Reply::Done { .. }) => Ok(()),
        Ok(Reply::Failed(record)) => {
            let failure = Failure::from(record);
            let passes = [
                "HttpRequestException",
                "TaskCanceledException",
                "ADServerDownException",
            ];
            let may_pass = passes.iter().any(|kind| failure.is_a(kind));
            let problem = failure.problem(&format!("cannot sign in by {method}"));
            if may_pass {
                Err(BackendError::Unavailable(problem))
            } else {
                Err(refused(problem, &config.directory))
            }
        }
        Err(lost) => Err(BackendError::Unavailable(lost.problem())),
    }
}

/// What a module said when it was refused a sign-in, explained if it names a code that is known.
fn refused(mut problem: Problem, directory: &Directory) -> BackendError {
    let code = sign_in_code(&problem.message);
    let known = code.and_then(|code| SignInError::of(&[code]));
    let fix = match (known, code, directory) {
        (Some(known), ..) => {
            problem.message += &format!(": {}", known.means);
            known.fix
        }
        (None, Some(_), _) => "look the code up at https://login.microsoftonline.com/error",
        (None, None, Directory::Domain(_)) => {
            "check `server` and `login`; the cmdlets of the module tell the same by hand"
        }
        (None, None, Directory::Tenant(_)) => {
            "check tenant, application and credential; the module's own sign-in tells the same by hand"
        }
    };
    let problem = problem.with_fix(fix);
    if known.is_some_and(|known| known.remedy == Remedy::Time) {
        BackendError::Unavailable(problem)
    } else {
        BackendError::NotAuthorized(problem)
    }
}

/// The first code of the token endpoint in what a module says.
fn sign_in_code(words: &str) -> Option<u32> {
    let (_, code) = words.split_once("AADSTS")?;
    let end = code.find(|c: char| !c.is_ascii_digit());
    code.get(..end.unwrap_or(code.len()))?.parse().ok()
}

fn of_domain(domain: &Domain) -> (SignInWords, Option<SecretString>) {
    let words = SignInWords {
        method: "windows",
        server: Some(domain.server.clone()),
        search_base: domain.search_base.clone(),
        user: domain.login.as_ref().map(|login| login.user.clone()),
        ..SignInWords::default()
    };
    let secret = domain.login.as_ref().map(|login| login.password.clone());
    (words, secret)
}

fn of_tenant(tenant: &Tenant, dialect: Dialect) -> (SignInWords, Option<SecretString>) {
    let environment = match dialect {
        Dialect::AzureAd => tenant.environment.of_azure_ad(),
        _ => tenant.environment.of_graph(),
    };
    let mut words = SignInWords {
        tenant: Some(tenant.id.clone()),
        environment: Some(environment),
        ..SignInWords::default()
    };
    let secret = match &tenant.sign_in {
        SignInWith::AccessToken(token) => {
            words.method = "access-token";
            Some(token.clone())
        }
        SignInWith::Certificate {
            client_id,
            thumbprint,
        } => {
            words.method = "certificate";
            words.client_id = Some(client_id.clone());
            words.thumbprint = Some(thumbprint.clone());
            None
        }
        SignInWith::ClientSecret { client_id, secret } => {
            words.method = "client-secret";
            words.client_id = Some(client_id.clone());
            Some(secret.clone())
        }
        SignInWith::Interactive => {
            words.method = "interactive";
            words.scopes = SCOPES.to_vec();
            None
        }
        SignInWith::ManagedIdentity { client_id } => {
            words.method = "managed-identity";
            words.client_id.clone_from(client_id);
            None
        }
    };
    (words, secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powershell_must_be_7_or_windows_powershell_5_1() {
        for (version, edition, dialect, is_fit) in [
            ("7.4.1", "Core", Dialect::MicrosoftGraph, true),
            ("7.6.0-preview.2", "Core", Dialect::MicrosoftEntra, true),
            ("10.0.0", "Core", Dialect::MicrosoftGraph, true),
            ("6.2.7", "Core", Dialect::MicrosoftGraph, false),
            ("5.1.19041.4522", "Desktop", Dialect::MicrosoftGraph, true),
            ("5.0.1", "Desktop", Dialect::MicrosoftGraph, false),
            ("", "", Dialect::MicrosoftGraph, false),
            ("5.1.1", "Desktop", Dialect::AzureAd, true),
            ("7.4.1", "Core", Dialect::AzureAd, false),
        ] {
            let hello = Hello {
                powershell: version.to_owned(),
                edition: edition.to_owned(),
                logging: Vec::new(),
            };
            let found = check(Path::new("pwsh"), dialect, &hello);
            assert_eq!(found.is_ok(), is_fit, "{version} {edition}: {found:?}");
        }
    }

    #[test]
    fn the_code_of_a_sign_in_is_found_among_words() {
        for (words, code) in [
            ("x: AADSTS7000215: Invalid client secret", Some(7_000_215)),
            ("AADSTS", None),
            ("AADSTSx", None),
            ("no code", None),
            ("cut off at AADSTS50", Some(50)),
        ] {
            assert_eq!(sign_in_code(words), code, "{words}");
        }
    }
}
