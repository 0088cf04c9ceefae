//! A process that is killed while it stages: whatever it had an answer for is there, and its lease outlives it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use futures::stream::{self, StreamExt};
use rotation_core::{RunId, SecretStore, StoreError, VersionState};
use secret_stores::{Recipients, SqliteStore};

use crate::workshop::{HOUR, Workshop, account, commit, stage, stage_leased, version_by};

/// Tells this test binary, started again, which file to write; and to whom to seal.
const PATH: &str = "KILL_TEST_PATH";
const RECIPIENT: &str = "KILL_TEST_RECIPIENT";
const CHILD: &str = "kill::the_process_that_is_killed";
const KILLS: u64 = 12;

#[tokio::test]
async fn never_lost_whatever_was_answered_survives_a_kill() {
    let shop = Workshop::new();
    let mut answered = Vec::new();
    for kill in 0..KILLS {
        answered.extend(answers_until_killed(
            &shop,
            Duration::from_millis(20 + 17 * kill),
        ));
        the_lease_of_the_dead_holds_until_it_is_released(&shop).await;
    }
    assert!(answered.len() > 100, "only {} answers", answered.len());

    // The next process finds a sound file, and goes on with it.
    shop.open().await.close().await;
    let revealed = shop.reveal().await.unwrap();
    let found: std::collections::HashMap<_, _> = revealed
        .iter()
        .map(|(version, password)| {
            assert_eq!(password.expose(), version.key.account.account.as_str());
            (version.key.version.to_string(), version.state)
        })
        .collect();
    for line in &answered {
        let (what, id) = line.split_once(' ').unwrap();
        let state = found.get(id).unwrap_or_else(|| panic!("{line}: lost"));
        match what {
            "staged" => {}
            "committed" => assert_eq!(*state, VersionState::Current, "{line}"),
            other => panic!("{other}"),
        }
    }
}

/// Whatever the killed process left pending belongs to its run until its lease ends.
async fn the_lease_of_the_dead_holds_until_it_is_released(shop: &Workshop) {
    let leases = shop.reader().await.leases().await.unwrap();
    let [(dead, _)] = leases.as_slice() else {
        panic!("expected the lease of the killed run alone, found {leases:?}");
    };
    let revealed = shop.reveal().await.unwrap();
    let (left, _) = revealed
        .iter()
        .find(|(version, _)| version.run == dead.run && version.state == VersionState::Pending)
        .unwrap();
    let account = &left.key.account;
    let fresh = version_by(RunId::new(), account, account.account.as_str());
    let store = shop.open().await;
    let answer = stage(&store, &fresh).await;
    let leased = matches!(&answer, Err(StoreError::Leased { run, .. }) if *run == dead.run);
    assert!(leased, "{answer:?}");
    store.release(dead).await.unwrap();
    stage(&store, &fresh).await.unwrap();
    store.release(&fresh.lease()).await.unwrap();
    store.close().await;
}

fn answers_until_killed(shop: &Workshop, after: Duration) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([CHILD, "--exact", "--ignored", "--nocapture"])
        .env(PATH, &shop.path)
        .env(RECIPIENT, &shop.keys.public)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The clock starts with the first answer, so that each life has some.
    let first = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("staged "))
        .unwrap();
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    std::iter::once(first)
        .chain(rest)
        .filter_map(|line| {
            // A line that was cut by the kill was not an answer.
            let start = line.find("staged ").or_else(|| line.find("committed "))?;
            line.strip_suffix('.').map(|line| line[start..].to_owned())
        })
        .collect()
}

#[tokio::test]
#[ignore = "is started, and killed, by the test above"]
async fn the_process_that_is_killed() {
    let (Ok(path), Ok(recipient)) = (env::var(PATH), env::var(RECIPIENT)) else {
        return;
    };
    let recipients = Recipients::parse([recipient]).unwrap();
    let store = SqliteStore::open(path, &recipients).await.unwrap();
    let (run, template) = (RunId::new(), account());
    let lease = version_by(run, &template, "").lease();
    store.lease(&lease, HOUR).await.unwrap();
    stream::iter(0..1_000_000)
        .for_each_concurrent(16, async |number| {
            // The account's id is its password, so that the parent can tell a wrong one.
            let account = account();
            let version = version_by(run, &account, account.account.as_str());
            stage_leased(&store, &version).await.unwrap();
            answer("staged", &version.key.version.to_string());
            if number % 2 == 0 {
                commit(&store, &version.key).await.unwrap();
                answer("committed", &version.key.version.to_string());
            } else {
                // Renewed in the midst of it all.
                store.lease(&lease, HOUR).await.unwrap();
            }
        })
        .await;
}

fn answer(what: &str, id: &str) {
    // In one write, which a kill does not cut; not by `println!`, which the test harness may keep.
    let line = format!("{what} {id}.\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().lock().flush().unwrap();
}
