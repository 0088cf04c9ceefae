//! Several processes on one file.

use std::env;
use std::process::{Child, Command};

use rotation_core::{SecretStore, VersionState};
use secret_stores::{Recipients, SqliteStore};

use crate::workshop::{Workshop, version_of};

/// Tells this test binary, started again, which file to write; to whom to seal; and which process it is.
const PATH: &str = "PROCESSES_TEST_PATH";
const RECIPIENT: &str = "PROCESSES_TEST_RECIPIENT";
const NAME: &str = "PROCESSES_TEST_NAME";
const CHILD: &str = "processes::one_of_the_processes";
const PROCESSES: usize = 3;
const ACCOUNTS: usize = 40;

#[tokio::test]
async fn processes_on_one_file_agree_on_what_is_current() {
    let shop = Workshop::new();
    let children: Vec<Child> = (0..PROCESSES)
        .map(|name| {
            Command::new(env::current_exe().unwrap())
                .args([CHILD, "--exact", "--ignored"])
                .env(PATH, &shop.path)
                .env(RECIPIENT, &shop.keys.public)
                .env(NAME, name.to_string())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let revealed = shop.reveal().await.unwrap();
    // Every process staged a version of every account, and none is lost; the log folds without a contradiction.
    assert_eq!(revealed.len(), PROCESSES * ACCOUNTS);
    for versions in revealed.chunk_by(|one, two| one.0.key.account == two.0.key.account) {
        let states: Vec<_> = versions.iter().map(|(version, _)| version.state).collect();
        assert_eq!(states.len(), PROCESSES);
        // Everyone tried to commit, so the version staged last is current, whoever came first.
        let (last, former) = states.split_last().unwrap();
        assert_eq!(*last, VersionState::Current);
        assert!(former.iter().all(|state| *state == VersionState::Previous));
    }
}

#[tokio::test]
#[ignore = "is started several times by the test above"]
async fn one_of_the_processes() {
    let Ok(path) = env::var(PATH) else {
        return;
    };
    let recipients = Recipients::parse([env::var(RECIPIENT).unwrap()]).unwrap();
    let name = env::var(NAME).unwrap();
    let store = SqliteStore::open(path, &recipients).await.unwrap();
    let mut template = crate::workshop::account();
    for number in 0..ACCOUNTS {
        template.account = rotation_core::AccountId::new(&format!("account-{number}"));
        let version = version_of(&template, &format!("password-{name}-{number}"));
        store.stage(std::slice::from_ref(&version)).await.unwrap();
        // Refused if a later version of another process is current: that is the point.
        store.commit(std::slice::from_ref(&version.key)).await;
    }
}
