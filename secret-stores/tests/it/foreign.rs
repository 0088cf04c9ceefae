//! Another program with a SQLite of its own opens the file and closes it while a store is open. The last one to leave
//! removes the write-ahead log, so it must see that it is not the last: by a lock that the operating system takes from a
//! process as soon as that closes *any* descriptor of the file.

use std::process::Command;

use rotation_core::VersionId;
use secret_stores::{SqliteReader, SqliteStore};

use crate::workshop::{Workshop, skip, stage, version};

/// Prints the ids of the versions staged in the file.
const PROGRAM: &str = r"
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for (version,) in connection.execute('SELECT hex(version) FROM log WHERE version IS NOT NULL ORDER BY seq'):
    print(version)
connection.close()
";

#[tokio::test]
async fn never_lost_another_program_passes_by_a_second_writer() {
    another_program_passes_by(async |shop| {
        shop.open().await;
    })
    .await;
}

#[tokio::test]
async fn never_lost_another_program_passes_by_a_second_writer_that_stays() {
    another_program_passes_by(async |shop| shop.open().await).await;
}

#[tokio::test]
async fn never_lost_another_program_passes_by_a_reader() {
    another_program_passes_by(async |shop| -> SqliteReader { shop.reader().await }).await;
}

#[tokio::test]
async fn never_lost_another_program_passes_by_a_read() {
    another_program_passes_by(async |shop| {
        shop.reveal().await.unwrap();
    })
    .await;
}

/// A second handle is opened, then the other program comes and goes, then more is staged: all of it is in the file.
async fn another_program_passes_by<T>(second: impl AsyncFnOnce(&Workshop) -> T) {
    let python = Command::new("python3")
        .args(["-c", "import sqlite3"])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        skip("foreign", "python3 with sqlite3");
        return;
    }
    let shop = Workshop::new();
    let store = shop.open().await;
    let mut staged = stage_some(&store).await;
    let second = second(&shop).await;
    assert_eq!(seen_by_another(&shop), staged);
    staged.extend(stage_some(&store).await);
    assert_eq!(seen_by_another(&shop), staged);
    drop(second);
    staged.extend(stage_some(&store).await);
    assert_eq!(seen_by_another(&shop), staged);
    store.close().await;
    assert_eq!(seen_by_another(&shop), staged);
}

async fn stage_some(store: &SqliteStore) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..5 {
        let version = version("a-password");
        stage(store, &version).await.unwrap();
        ids.push(hex(version.key.version));
    }
    ids
}

fn seen_by_another(shop: &Workshop) -> Vec<String> {
    let output = Command::new("python3")
        .args(["-c", PROGRAM])
        .arg(&shop.path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(str::to_owned).collect()
}

fn hex(version: VersionId) -> String {
    let bytes = version.as_bytes().iter();
    bytes.map(|byte| format!("{byte:02X}")).collect()
}
