//! Several processes on one file.

use std::collections::{HashMap, HashSet};
use std::env;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use rotation_core::{AccountId, AccountKey, RunId, SecretStore, StoreError, VersionState};
use secret_stores::{Recipients, SqliteStore};

use crate::workshop::{HOUR, LATER, Workshop, account, commit, stage_leased, states, version_by};

/// Tells this test binary, started again, which file to write; to whom to seal; and which process it is.
const PATH: &str = "PROCESSES_TEST_PATH";
const RECIPIENT: &str = "PROCESSES_TEST_RECIPIENT";
const NAME: &str = "PROCESSES_TEST_NAME";
const SHARING: &str = "processes::one_that_shares_the_work";
const CARELESS: &str = "processes::one_that_lets_go_too_early";
const PROCESSES: usize = 3;
const ACCOUNTS: usize = 40;

/// Every account is in the plan of every process, and is rotated by one of them.
#[tokio::test]
async fn one_writer_processes_share_the_work_and_touch_no_account_twice() {
    let shop = Workshop::new();
    let lines = run_all(&shop, SHARING);
    let revealed = shop.reveal().await.unwrap();
    assert_eq!(revealed.len(), ACCOUNTS);
    for (version, _) in &revealed {
        assert_eq!(version.state, VersionState::Current);
    }
    let accounts: HashSet<_> = revealed
        .iter()
        .map(|(version, _)| &version.key.account)
        .collect();
    assert_eq!(accounts.len(), ACCOUNTS);
    assert_eq!(lines.len(), ACCOUNTS, "each was committed once");
}

/// Processes that give up their lease before they commit stage over each other: what was answered is so in the end.
#[tokio::test]
async fn one_writer_processes_that_overtake_each_other_are_fenced() {
    let shop = Workshop::new();
    let answers: HashMap<_, _> = run_all(&shop, CARELESS)
        .into_iter()
        .map(|line| {
            let (what, version) = line.split_once(' ').unwrap();
            (version.to_owned(), what.to_owned())
        })
        .collect();
    // Every process staged a version of every account, and none is lost; the log folds without a contradiction.
    let revealed = shop.reveal().await.unwrap();
    assert_eq!(revealed.len(), PROCESSES * ACCOUNTS);
    for (version, _) in &revealed {
        let answer = &answers[&version.key.version.to_string()];
        let expected = match version.state {
            VersionState::Current => true,
            VersionState::Pending => false,
            VersionState::Previous => version.committed.is_some(),
        };
        assert_eq!(answer == "committed", expected, "{answer}: {version:?}");
    }
    // A handle that followed none of it stages over what is left, and settles every account.
    let store = shop.open().await;
    let template = account();
    let lease = version_by(RunId::new(), &template, "").lease();
    store.lease(&lease, HOUR).await.unwrap();
    for number in 0..ACCOUNTS {
        let account = numbered(&template, number);
        let version = version_by(lease.run, &account, "settled").with_planned_at(soon());
        stage_leased(&store, &version).await.unwrap();
        commit(&store, &version.key).await.unwrap();
        let states = states(&store, &account).await;
        let (last, former) = states.split_last().unwrap();
        assert_eq!(*last, (version.key.version, VersionState::Current));
        assert!(
            former
                .iter()
                .all(|(_, state)| *state == VersionState::Previous)
        );
    }
}

#[tokio::test]
#[ignore = "is started several times by a test above"]
async fn one_that_shares_the_work() {
    let Some((store, name)) = started().await else {
        return;
    };
    let (run, template) = (RunId::new(), account());
    let lease = version_by(run, &template, "").lease();
    store.lease(&lease, HOUR).await.unwrap();
    // Each begins elsewhere, so that they meet in the midst.
    for number in (0..ACCOUNTS).map(|number| (number + name * 11) % ACCOUNTS) {
        let version = version_by(run, &numbered(&template, number), "a-password");
        match stage_leased(&store, &version).await {
            Ok(()) => {
                commit(&store, &version.key).await.unwrap();
                say("committed", &version.key.version.to_string());
            }
            Err(StoreError::Leased { .. } | StoreError::RotatedSince { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    store.release(&lease).await.unwrap();
}

#[tokio::test]
#[ignore = "is started several times by a test above"]
async fn one_that_lets_go_too_early() {
    let Some((store, _)) = started().await else {
        return;
    };
    let (run, template) = (RunId::new(), account());
    let lease = version_by(run, &template, "").lease();
    for number in 0..ACCOUNTS {
        let version =
            version_by(run, &numbered(&template, number), "a-password").with_planned_at(soon());
        loop {
            store.lease(&lease, HOUR).await.unwrap();
            match stage_leased(&store, &version).await {
                Ok(()) => break,
                Err(StoreError::Leased { .. }) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        store.release(&lease).await.unwrap();
        match commit(&store, &version.key).await {
            Ok(()) => say("committed", &version.key.version.to_string()),
            Err(StoreError::Fenced(key)) => say("fenced", &key.version.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// What all processes said, once all have ended well.
fn run_all(shop: &Workshop, test: &str) -> Vec<String> {
    let children: Vec<_> = (0..PROCESSES)
        .map(|name| {
            Command::new(env::current_exe().unwrap())
                .args([test, "--exact", "--ignored", "--nocapture"])
                .env(PATH, &shop.path)
                .env(RECIPIENT, &shop.keys.public)
                .env(NAME, name.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut lines = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let said = text.lines().filter_map(|line| line.strip_prefix("> "));
        lines.extend(said.map(str::to_owned));
    }
    lines
}

async fn started() -> Option<(SqliteStore, usize)> {
    let path = env::var(PATH).ok()?;
    let recipients = Recipients::parse([env::var(RECIPIENT).unwrap()]).unwrap();
    let store = SqliteStore::open(path, &recipients).await.unwrap();
    Some((store, env::var(NAME).unwrap().parse().unwrap()))
}

fn say(what: &str, version: &str) {
    // On a line of its own, whatever the test harness has begun to print.
    let line = format!("\n> {what} {version}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn numbered(template: &AccountKey, number: usize) -> AccountKey {
    AccountKey {
        tenant: template.tenant.clone(),
        account: AccountId::new(&format!("account-{number}")),
    }
}

/// After every commit of these tests.
fn soon() -> Timestamp {
    LATER + Duration::from_secs(1)
}
