//! From a machine as it is to a worker that is signed in, or to a person who knows what to do.

use std::time::Duration;

use backend_powershell_compat::{
    Dialect, Directory, Logging, PowerShellBackend, PowerShellConfig, SignInWith, Tenant,
};
use rotation_core::{BackendError, Outcome, RotationBackend};
use serde_json::json;

use crate::workshop::{BRIEF, DIALECTS, SECRET, Workshop, told};

#[tokio::test]
async fn a_module_without_the_cmdlet_is_too_old() {
    let workshop = Workshop::new().await;
    workshop.set(&json!({"modules": {"Microsoft.Entra.Users": ["1.0.10"]}}));
    let backend = workshop.backend(Dialect::MicrosoftEntra);
    let error = backend.diagnose().await.unwrap_err();
    let expected = "as 1.0.10, expected 1.0.11 or later of version 1";
    assert!(error.to_string().contains(expected), "{error}");
}

/// What is wrong with a machine, and what the error says of it and of what to do.
#[rustfmt::skip]
const MACHINES: &[(&str, &str, &str)] = &[
    (r#"{"powershell": "6.2.7"}"#,
        "is PowerShell 6.2.7 (Core), expected 7 or later, or Windows PowerShell 5.1", "https://aka.ms/powershell"),
    (r#"{"powershell": "5.0.10586", "edition": "Desktop"}"#,
        "is PowerShell 5.0.10586 (Desktop)", "https://aka.ms/powershell"),
    (r#"{"modules": {}}"#,
        "module Microsoft.Graph.Users is not installed for", "Install-Module Microsoft.Graph -MinimumVersion 2.0"),
    (r#"{"modules": {"Microsoft.Graph.Users": ["1.28.0", "3.0.0"]}}"#,
        "is installed for", "Install-Module Microsoft.Graph -MinimumVersion 2.0"),
    (r#"{"modules": {"Microsoft.Graph.Users": ["1.28.0", "3.0.0"]}}"#,
        "as 1.28.0, 3.0.0, expected 2.0 or later of version 2", "-MaximumVersion 2.999"),
    (r#"{"policy": "Restricted"}"#,
        "cannot load module Microsoft.Graph.Users: running scripts is disabled", "Set-ExecutionPolicy RemoteSigned"),
];

#[tokio::test]
async fn what_is_wrong_with_a_machine_is_said_with_what_to_do() {
    for (machine, expected, fix) in MACHINES {
        let workshop = Workshop::new().await;
        workshop.set(&serde_json::from_str(machine).unwrap());
        let backend = workshop.backend(Dialect::MicrosoftGraph);
        let error = backend.diagnose().await.unwrap_err();
        let problem = error.problem();
        assert!(problem.message.contains(expected), "{problem}");
        assert!(problem.fix.as_ref().unwrap().contains(fix), "{problem:?}");
        assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
        let outcome = workshop.set_password(&backend).await;
        assert_eq!(told(&outcome), "not sent", "{machine}");
    }
}

#[tokio::test]
async fn a_program_that_is_none_is_named() {
    let workshop = Workshop::new().await;
    let plain = workshop.folder.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (program, expected, fix) in [
        (
            workshop.folder.path().join("missing"),
            "No such file",
            "aka.ms/powershell",
        ),
        (plain, "Permission denied", "executable"),
        (
            "/bin/false".into(),
            "ended before it answered: exit status: 1",
            "by hand",
        ),
        ("/bin/cat".into(), "ended before it answered", "by hand"),
    ] {
        let config = workshop
            .config(Dialect::MicrosoftGraph)
            .with_program(&program);
        let error = PowerShellBackend::new(config)
            .unwrap()
            .diagnose()
            .await
            .unwrap_err();
        let problem = error.problem();
        assert!(problem.message.contains(expected), "{problem}");
        assert!(problem.fix.as_ref().unwrap().contains(fix), "{problem:?}");
        let is_a_persons = matches!(error, BackendError::NotAuthorized(_));
        assert_eq!(is_a_persons, fix != "by hand", "{error:?}");
    }
}

#[tokio::test]
async fn whatever_is_printed_at_the_start_is_tolerated_and_kept() {
    for (fault, printed) in [
        ("banner", "Welcome to this computer!"),
        ("banner", "WARNING: your profile is old"),
        ("banner", "{\"id\":1,\"ok\":{\"protocol\":9}}"),
        ("banner", "done, without an end of line"),
        ("wide", "Willkommen!"),
        ("chatty", "a module complains"),
    ] {
        for dialect in DIALECTS {
            let workshop = Workshop::new().await;
            let backend = workshop.backend(dialect);
            workshop.fault("start", fault);
            let diagnosis = backend.diagnose().await.unwrap();
            // what comes by the standard error may come late
            let is_kept = diagnosis.printed.iter().any(|line| line.contains(printed));
            assert!(
                is_kept || fault == "chatty",
                "{fault}: {:?}",
                diagnosis.printed
            );
            assert!(diagnosis.printed.len() <= 20, "{fault}");
            let outcome = workshop.set_password(&backend).await;
            assert_eq!(told(&outcome), "applied", "{fault}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_worker_that_does_not_start_is_told_of_and_the_next_one_tried() {
    for (op, fault, expected) in [
        ("start", "dies", "ended before it answered: exit status: 3"),
        ("start", "hangs", "did not answer within 5s, and was killed"),
        (
            "start",
            "language-mode",
            "language mode ConstrainedLanguage",
        ),
        ("hello", "prose", "wrote a line that is no answer"),
        ("hello", "half-a-line", "ended before it answered"),
        (
            "hello",
            "empty-yes",
            "speaks version null of the protocol, expected 1",
        ),
        ("load", "dies-after", "ended before it answered"),
        ("load", "empty-yes", "does not say what it loaded"),
        ("connect", "hangs-before", "did not answer within 5s"),
        (
            "connect",
            "refuses",
            "cannot sign in by client-secret: a parameter is missing",
        ),
        (
            "connect",
            "loses-the-answer",
            "cannot sign in by client-secret: The response ended prematurely.",
        ),
    ] {
        let workshop = Workshop::new().await;
        let backend = workshop.backend(Dialect::MicrosoftGraph);
        workshop.fault(op, fault);
        let outcome = workshop.set_password(&backend).await;
        let Outcome::NotSent(problem) = &outcome else {
            panic!("{op} {fault}: {outcome:?}");
        };
        assert!(
            problem.message.contains(expected),
            "{op} {fault}: {problem}"
        );
        let outcome = workshop.set_password(&backend).await;
        assert_eq!(told(&outcome), "applied", "{op} {fault}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_not_shown() {
    let workshop = Workshop::new().await;
    let client_id = workshop.tenant().client_id().to_string();
    let secret = "zQ8~77-rkVt9".into();
    let tenant = Tenant::new(
        "contoso.com",
        SignInWith::ClientSecret { client_id, secret },
    );
    let mut config = workshop.config(Dialect::MicrosoftGraph);
    config.directory = Directory::Tenant(tenant);
    let backend = PowerShellBackend::new(config).unwrap();
    let error = backend.diagnose().await.unwrap_err();
    assert!(matches!(error, BackendError::NotAuthorized(_)), "{error:?}");
    let problem = error.problem();
    assert!(problem.message.contains("AADSTS7000215"), "{problem}");
    assert!(
        problem.message.ends_with(": the client secret is wrong"),
        "{problem}"
    );
    let fix = problem.fix.as_deref().unwrap();
    assert!(fix.starts_with("configure the secret's value"), "{fix}");
    assert!(!format!("{error:?}{backend:?}").contains("rkVt9"));

    let backend = workshop.backend(Dialect::MicrosoftGraph);
    workshop.fault("connect", "betrays");
    let diagnosis = backend.diagnose().await.unwrap();
    assert!(!format!("{diagnosis:?}").contains(SECRET), "{diagnosis:?}");
    assert!(
        format!("{:?}", diagnosis.printed).contains("withheld"),
        "{diagnosis:?}"
    );
}

#[tokio::test]
async fn the_module_that_is_installed_is_used_if_none_is_named() {
    for (modules, expected) in [
        (
            json!({"Microsoft.Graph.Users": ["2.0.0"], "Microsoft.Entra.Users": ["1.0.11"]}),
            Dialect::MicrosoftGraph,
        ),
        (
            json!({"Microsoft.Graph.Users": ["1.0.0"], "Microsoft.Entra.Users": ["1.0.11"]}),
            Dialect::MicrosoftEntra,
        ),
        (
            json!({"Microsoft.Entra.Users": ["1.0.11"]}),
            Dialect::MicrosoftEntra,
        ),
    ] {
        let workshop = Workshop::new().await;
        workshop.set(&json!({"modules": modules}));
        let tenant = Directory::Tenant(Tenant::new("contoso.com", workshop.sign_in()));
        let config = PowerShellConfig::new(tenant)
            .with_program(workshop.folder.path().join("pwsh"))
            .with_start_timeout(BRIEF);
        let backend = PowerShellBackend::new(config).unwrap();
        let diagnosis = backend.diagnose().await.unwrap();
        assert_eq!(diagnosis.dialect, expected);
        assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    }
}

#[tokio::test]
async fn logging_that_could_record_passwords_is_warned_of() {
    let workshop = Workshop::new().await;
    workshop.set(&json!({"logging": ["module", "script-block", "transcription"]}));
    let diagnosis = workshop
        .backend(Dialect::MicrosoftGraph)
        .diagnose()
        .await
        .unwrap();
    let all = [
        Logging::Module,
        Logging::ScriptBlock,
        Logging::Transcription,
    ];
    assert_eq!(diagnosis.logging, all);
    assert_eq!(diagnosis.warnings().len(), 3);
    assert_eq!(
        (
            diagnosis.powershell.as_str(),
            diagnosis.module_version.as_str()
        ),
        ("7.4.6", "2.25.0")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_for_a_worker_that_does_not_start_do_not_each_try() {
    let workshop = Workshop::with_accounts(120).await;
    workshop.fault("start", "hangs-stays");
    let backend = workshop.backend(Dialect::MicrosoftGraph);
    let calls = (0..40).map(|_| workshop.set_password(&backend));
    for outcome in futures::future::join_all(calls).await {
        assert_eq!(told(&outcome), "not sent");
    }
    assert!(
        workshop.processes().len() <= 4,
        "{}",
        workshop.processes().len()
    );
}

/// Starting goes on when whoever asked for it has left: the next one finds the worker.
#[tokio::test]
async fn a_start_that_takes_longer_than_its_caller_waits_is_not_in_vain() {
    let workshop = Workshop::new().await;
    let backend = workshop.backend(Dialect::MicrosoftGraph);
    let brief = Duration::from_millis(1);
    let left = tokio::time::timeout(brief, backend.caller()).await;
    assert!(left.is_err());
    backend.diagnose().await.unwrap();
    assert_eq!(told(&workshop.set_password(&backend).await), "applied");
    assert!(workshop.processes().len() <= 2);
}
