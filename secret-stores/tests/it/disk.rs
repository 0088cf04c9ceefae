//! Disks that fail for real: one that is full (a small file system in memory), a write that is refused (a limit of the
//! file's size), an `fsync` that fails (injected into the process by `strace`). Each time: an error that says what to
//! do, nothing lost of what was answered, and the same handle goes on once the disk is well.
//!
//! What these need may be missing; then they say so and pass, unless `ROTATION_REQUIRE_SERVERS=1` demands it.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rotation_core::{Commit, NewVersion, Problem, RunId, SecretStore, StoreError, VersionState};
use secret_stores::SqliteStore;

use crate::workshop::{HOUR, LATER, Workshop, account, skip, stage_leased, version_by};

/// Tells this test binary, started again in other circumstances, where to work.
const DIRECTORY: &str = "DISK_TEST_DIRECTORY";

/// Mounts a file system of 2 MB that nobody else sees, and that is gone with the process.
const SMALL: &str = r#"mount -t tmpfs -o size=2m none "$DISK_TEST_DIRECTORY" && exec "$@""#;

/// Lets no file grow beyond 100 KB, with an error instead of a signal.
const LIMITED: &str = r#"trap "" XFSZ && ulimit -S -f 200 && exec "$@""#;

#[test]
fn never_lost_a_full_disk_is_told_and_survived() {
    let circumstances = ["unshare", "-rm", "sh", "-c", SMALL, "sh"];
    run_in(&circumstances, "disk::the_process_on_a_full_disk");
}

#[test]
fn never_lost_a_refused_write_is_told_and_survived() {
    let circumstances = ["sh", "-c", LIMITED, "sh"];
    run_in(&circumstances, "disk::the_process_that_may_not_write");
}

#[test]
fn never_lost_a_failed_fsync_is_told_and_survived() {
    // Counted for each thread: after all that it takes to make the file, in the midst of what the writer makes durable.
    let inject = "inject=fsync,fdatasync:error=EIO:when=30..32";
    let circumstances = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    run_in(&circumstances, "disk::the_process_whose_fsync_fails");
}

#[tokio::test]
#[ignore = "is started by a test above"]
async fn the_process_on_a_full_disk() {
    let Some(shop) = started() else { return };
    let ballast = shop.path.with_extension("ballast");
    fs::write(&ballast, vec![0xa5; 512 * 1024]).unwrap();
    let (store, run) = begin(&shop).await;
    let (mut staged, failed, problem) = stage_until_it_fails(&store, run).await;
    assert!(problem.message.contains("the disk is full"), "{problem}");
    let fix = problem.fix.unwrap();
    assert!(fix.contains("free some space"), "{fix}");

    // As long as it is full the answer is the same, and what was answered can be read.
    assert!(stage_leased(&store, &failed).await.is_err());
    expect_staged(&shop, &staged).await;

    fs::remove_file(ballast).unwrap();
    // The same version again, as the engine does it.
    stage_leased(&store, &failed).await.unwrap();
    staged.push(failed);
    finish(&shop, store, &staged).await;
}

#[tokio::test]
#[ignore = "is started by a test above"]
async fn the_process_that_may_not_write() {
    let Some(shop) = started() else { return };
    let (store, run) = begin(&shop).await;
    let (mut staged, failed, problem) = stage_until_it_fails(&store, run).await;
    assert!(
        problem.message.contains("cannot read or write"),
        "{problem}"
    );
    assert!(problem.fix.unwrap().contains("disk errors"));
    assert!(stage_leased(&store, &failed).await.is_err());
    expect_staged(&shop, &staged).await;

    let pid = std::process::id().to_string();
    let lifted = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited:"])
        .status();
    assert!(lifted.unwrap().success());
    stage_leased(&store, &failed).await.unwrap();
    staged.push(failed);
    finish(&shop, store, &staged).await;
}

#[tokio::test]
#[ignore = "is started by a test above"]
async fn the_process_whose_fsync_fails() {
    let Some(shop) = started() else { return };
    let (store, run) = begin(&shop).await;
    let (mut staged, failed, problem) = stage_until_it_fails(&store, run).await;
    assert!(
        problem.message.contains("cannot read or write"),
        "{problem}"
    );
    // Whether it was staged is not known, so it is staged again until that is answered.
    let mut failures = 1;
    while let Err(error) = stage_leased(&store, &failed).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        failures += 1;
    }
    assert_eq!(failures, 3);
    staged.push(failed);
    finish(&shop, store, &staged).await;
}

/// Runs an ignored test of this binary as these words before it arrange.
fn run_in(circumstances: &[&str], test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let start = |program: &Path, arguments: &[&str]| {
        Command::new(circumstances[0])
            .args(&circumstances[1..])
            .arg(program)
            .args(arguments)
            .env(DIRECTORY, directory.path())
            .stdin(Stdio::null())
            .output()
    };
    match start(Path::new("true"), &[]) {
        Ok(output) if output.status.success() => {}
        _ => {
            skip(test, &circumstances.join(" "));
            return;
        }
    }
    let arguments = [test, "--exact", "--ignored", "--nocapture"];
    let output = start(&env::current_exe().unwrap(), &arguments).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{errors}");
    assert!(printed.contains("1 passed"), "{printed}{errors}");
}

fn started() -> Option<Workshop> {
    env::var_os(DIRECTORY).map(|directory| Workshop::in_directory(Path::new(&directory)))
}

async fn begin(shop: &Workshop) -> (SqliteStore, RunId) {
    let store = shop.open().await;
    let run = RunId::new();
    let lease = version_by(run, &account(), "").lease();
    store.lease(&lease, HOUR).await.unwrap();
    (store, run)
}

/// What was staged, what was not, and why.
async fn stage_until_it_fails(
    store: &SqliteStore,
    run: RunId,
) -> (Vec<NewVersion>, NewVersion, Problem) {
    let mut staged = Vec::new();
    for number in 0..100_000 {
        let version = version_by(run, &account(), &format!("password-{number}"));
        match stage_leased(store, &version).await {
            Ok(()) => staged.push(version),
            Err(StoreError::Unavailable { problem, .. }) => return (staged, version, problem),
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("nothing failed");
}

/// All of these are there and open; what nobody had an answer for may be there too.
async fn expect_staged(shop: &Workshop, staged: &[NewVersion]) {
    let revealed = shop.reveal().await.unwrap();
    assert!(revealed.len() >= staged.len());
    for version in staged {
        let (_, password) = revealed
            .iter()
            .find(|(found, _)| found.key == version.key)
            .unwrap();
        assert_eq!(password.expose(), version.password.expose());
    }
}

/// The same handle goes on, and the next one finds everything as it was answered.
async fn finish(shop: &Workshop, store: SqliteStore, staged: &[NewVersion]) {
    assert!(staged.len() > 1);
    let commit = |version: &NewVersion| Commit::new(version.key.clone(), LATER);
    // At once, for which there is space.
    let commits: Vec<_> = staged.iter().map(commit).collect();
    for answer in store.commit(&commits).await {
        answer.unwrap();
    }
    store.close().await;
    shop.open().await.close().await;
    expect_staged(shop, staged).await;
    let revealed = shop.reveal().await.unwrap();
    assert_eq!(revealed.len(), staged.len());
    for (version, _) in revealed {
        assert_eq!(version.state, VersionState::Current);
    }
}
