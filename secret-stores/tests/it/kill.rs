//! A process that is killed while it stages: whatever it had an answer for is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use futures::stream::{self, StreamExt};
use rotation_core::{SecretStore, VersionState};
use secret_stores::{Recipients, SqliteStore};

use crate::workshop::{Workshop, version};

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
    stream::iter(0..1_000_000)
        .for_each_concurrent(16, async |number| {
            let mut version = version("to be replaced");
            // The account's id is its password, so that the parent can tell a wrong one.
            let text = version.key.account.account.as_str().to_owned();
            version.password = std::sync::Arc::new(rotation_core::Password::new(text.into()));
            store.stage(std::slice::from_ref(&version)).await.unwrap();
            answer("staged", &version.key.version.to_string());
            if number % 2 == 0 {
                store.commit(std::slice::from_ref(&version.key)).await[0]
                    .clone()
                    .unwrap();
                answer("committed", &version.key.version.to_string());
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
