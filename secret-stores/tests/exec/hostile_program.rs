//! Programs that hang, die, talk nonsense or refuse: clear errors, the next call works, nothing is lost or shown.

use std::path::PathBuf;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use rotation_core::{SecretReader, SecretStore, Select, StoreError, VersionState};
use secret_stores::{ExecConfig, ExecReader, ExecStore};

use crate::workshop::{Workshop, commit, stage};

/// Long enough for a program that answers, also on a busy machine; a test that waits for a program that hangs takes it.
const BRIEF: Duration = Duration::from_secs(5);

const PASSWORD: &str = "hunter2-\"quoted\"";

/// What a program does wrong, and what the error says then.
const FAULTS: &[(&str, &str)] = &[
    ("dies-before", "ended before it answered: exit status: 3"),
    ("dies-after", "ended before it answered: exit status: 3"),
    ("killed-after", "ended before it answered: signal: 9"),
    ("hangs", "did not answer within 5s, and was killed"),
    ("hangs-after", "did not answer within 5s, and was killed"),
    ("prose", "wrote a line that is no answer"),
    ("wrong-shape", "wrote a line that is no answer"),
    ("other-id", "wrote an answer to what was not asked"),
    ("endless-line", "wrote a line without end"),
    ("not-utf8", "wrote a line that is no answer"),
    ("closes-stdin", "did not answer within 5s, and was killed"),
    ("closes-stdout", "ended before it answered"),
    ("leaves-a-child", "did not answer within 5s, and was killed"),
    ("refuses", "the vault is  [31mfull"),
    ("asks-to-retry", "the vault is locked"),
    (
        "betrays",
        "its words are withheld, for they may hold a password",
    ),
    ("betrays-escaped", "its words are withheld"),
    ("betrays-encoded", "its words are withheld"),
    ("mute", "it does not say why"),
];

/// Says what `error` says, and checks that it has a fix and no secret.
fn told(error: &StoreError) -> String {
    let (StoreError::Unavailable { problem, .. } | StoreError::Unusable(problem)) = error else {
        panic!("{error:?}");
    };
    assert!(problem.fix.is_some(), "{problem}");
    let all = format!("{error:?}{error}");
    for secret in ["hunter2", "aHVudGVy", "quoted", "dropped"] {
        assert!(!all.contains(secret), "{all}");
    }
    problem.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_whatever_the_program_does_to_any_request() {
    let ops = ["stage", "commit", "discard"];
    let cells = ops
        .into_iter()
        .flat_map(|op| FAULTS.iter().map(move |fault| (op, fault)));
    let cells: Vec<_> = cells.collect();
    let count = cells.len();
    stream::iter(cells)
        .for_each_concurrent(4, |(op, (fault, expected))| play(op, fault, expected))
        .await;
    println!("{count} faults of a program");
}

/// Keeps a password and drops another, with one fault on the way.
async fn play(op: &str, fault: &str, expected: &str) {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let cell = format!("{op}:{fault}");
    let config = workshop.hostile(&cell).with_timeout(BRIEF);
    let store = ExecStore::open(config).await.unwrap();
    workshop.lease(&store).await;
    let one = workshop.version(1, PASSWORD);
    let two = workshop.version(2, "dropped");

    let mut errors = Vec::new();
    let staged = stage(&store, &one).await;
    if let Err(error) = staged {
        errors.push(error);
        stage(&store, &one).await.unwrap();
    }
    assert!(workshop.kept().contains(&PASSWORD.to_owned()), "{cell}");
    if let Err(error) = commit(&store, &one).await {
        errors.push(error);
        // Whether or not it is current, it is there.
        assert_eq!(workshop.found().await[0].0, PASSWORD, "{cell}");
        commit(&store, &one).await.unwrap();
    }
    stage(&store, &two).await.unwrap();
    if let Err(error) = store.discard(&two.key).await {
        errors.push(error);
        store.discard(&two.key).await.unwrap();
    }

    assert_eq!(errors.len(), 1, "{cell}");
    let said = told(&errors[0]);
    assert!(said.contains(expected), "{cell}: {said}");
    let is_definite = ["refuses", "mute"].contains(&fault) || fault.starts_with("betrays");
    let found_definite = matches!(errors[0], StoreError::Unusable(_));
    assert_eq!(found_definite, is_definite, "{cell}");
    let expected = [(PASSWORD.to_owned(), VersionState::Current)];
    assert_eq!(workshop.found().await, expected, "{cell}");
    assert_eq!(workshop.kept(), [PASSWORD], "{cell}");
    assert_eq!(workshop.current(1), PASSWORD, "{cell}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_no_such_program_is_told_at_once() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let plain = workshop.path("plain");
    std::fs::write(&plain, "no program").unwrap();
    let folder = workshop.directory.path().to_owned();
    let config = |program: PathBuf| ExecConfig::new(program, workshop.path("ledger.db"));
    let shell = |script: &str| workshop.config("sh", &["-c", script]).with_timeout(BRIEF);
    let hostile = |fault: &str| workshop.hostile(fault).with_timeout(BRIEF);
    let cases = [
        (config(workshop.path("missing")), true, "No such file"),
        (config(plain), true, "Permission denied"),
        (config(folder), true, "Permission denied"),
        (shell("exit 7"), false, "exit status: 7"),
        (
            shell("echo Welcome; cat"),
            true,
            "wrote a line that is no answer",
        ),
        (shell("sleep 60"), false, "did not answer within 5s"),
        (
            hostile("hello:protocol-2"),
            true,
            "version 2 of the protocol, expected 1",
        ),
        (
            hostile("hello:no-protocol"),
            true,
            "no version of the protocol",
        ),
        (hostile("hello:refuses"), true, "is not ready: the vault is"),
        (
            hostile("hello:asks-to-retry"),
            false,
            "is not ready: the vault is locked",
        ),
    ];
    for (config, is_unusable, expected) in cases {
        let what = format!("{:?} {:?}", config.program, config.args);
        let error = ExecStore::open(config).await.unwrap_err();
        let said = told(&error);
        assert!(said.contains(expected), "{what}: {said}");
        let found = matches!(error, StoreError::Unusable(_));
        assert_eq!(found, is_unusable, "{what}: {said}");
        assert!(!workshop.path("ledger.db").exists(), "{what}");
        std::fs::remove_file(workshop.path("struck")).ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_who_waits_for_a_program_that_hangs_is_told_at_once() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let config = workshop.hostile("stage:hangs").with_timeout(BRIEF);
    let store = ExecStore::open(config).await.unwrap();
    workshop.lease(&store).await;
    let batch: Vec<_> = (0..500)
        .map(|number| workshop.version(number, &format!("password-{number:03}")))
        .collect();
    let answers = store.stage(&batch).await;
    assert!(answers.iter().all(Result::is_err));
    let answers = store.stage(&batch).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(workshop.kept().len(), 500);
}

/// Twenty requests take it longer than it has for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_may_take_its_time_for_each_request() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let config = workshop.hostile("any:slow").with_timeout(BRIEF);
    let store = ExecStore::open(config).await.unwrap();
    workshop.lease(&store).await;
    let batch: Vec<_> = (0..20)
        .map(|number| workshop.version(number, &format!("password-{number}")))
        .collect();
    let answers = store.stage(&batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_leaves_one_request_out_is_not_waited_for_forever() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let config = workshop.hostile("stage:leaves-one-out").with_timeout(BRIEF);
    let store = ExecStore::open(config).await.unwrap();
    workshop.lease(&store).await;
    let batch: Vec<_> = (0..20)
        .map(|number| workshop.version(number, &format!("password-{number}")))
        .collect();
    let answers = store.stage(&batch).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(failed, 1, "{answers:?}");
    assert!(answers[0].is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_may_flood_its_standard_error_and_answer_in_any_order() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    for fault in ["stage:floods-stderr", "any:backwards"] {
        let run = rotation_core::RunId::new();
        let store = ExecStore::open(workshop.hostile(fault)).await.unwrap();
        let batch: Vec<_> = (0..16)
            .map(|number| workshop.version_of(run, number, &format!("{fault}-{number}")))
            .collect();
        crate::workshop::hold(&store, &batch[0].lease()).await;
        let answers = store.stage(&batch).await;
        assert!(answers.iter().all(Result::is_ok), "{fault}: {answers:?}");
        store.release(&batch[0].lease()).await.unwrap();
    }
    assert_eq!(workshop.kept().len(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_cannot_read_says_so_and_one_that_claims_to_is_held_to_it() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    let new = workshop.version(1, PASSWORD);
    stage(&store, &new).await.unwrap();
    for (fault, expected) in [
        ("hello:cannot-reveal", "is kept by the program"),
        ("reveal:no-password", "answered without the password"),
        ("reveal:dies-before", "exit status: 3"),
    ] {
        std::fs::remove_file(workshop.path("struck")).ok();
        let reader = ExecReader::open(workshop.hostile(fault)).await.unwrap();
        let revealed = reader.reveal(Select::All).try_collect::<Vec<_>>().await;
        let said = told(&revealed.unwrap_err());
        assert!(said.contains(expected), "{fault}: {said}");
    }
    let sqlite = secret_stores::SqliteReader::open(
        workshop.path("ledger.db"),
        secret_stores::Identities::none(),
    );
    let sqlite = sqlite.await.unwrap();
    let revealed = sqlite.reveal(Select::All).try_collect::<Vec<_>>().await;
    let said = told(&revealed.unwrap_err());
    assert!(said.contains("is kept by the program"), "{said}");
}
