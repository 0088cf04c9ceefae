//! Files that are not ours, newer than us, or damaged: refused with a message that says so, and left as they are.

use std::fs;

use rotation_core::StoreError;
use rusqlite::Connection;
use secret_stores::{Identities, SqliteReader};

use crate::workshop::{Workshop, contents};

/// What was done to the file, how, and what the message says.
type Case = (&'static str, fn(&Workshop), &'static str);

const CASES: &[Case] = &[
    (
        "empty",
        |shop| fs::write(&shop.path, "").unwrap(),
        "is empty",
    ),
    (
        "text",
        |shop| fs::write(&shop.path, "hello").unwrap(),
        "not a SQLite database",
    ),
    (
        "long text",
        |shop| fs::write(&shop.path, "hello ".repeat(5000)).unwrap(),
        "not a SQLite database",
    ),
    (
        "cut within the header",
        |shop| cut(shop, |_| 60),
        "not a SQLite database",
    ),
    (
        "cut after the first page",
        |shop| cut(shop, |_| 4096),
        "is damaged",
    ),
    (
        "cut in the middle of a page",
        |shop| cut(shop, |len| len - 1000),
        "is damaged",
    ),
    (
        "the last byte missing",
        |shop| cut(shop, |len| len - 1),
        "is damaged",
    ),
    (
        "a database of another program",
        |shop| {
            fs::remove_file(&shop.path).unwrap();
            execute(shop, "CREATE TABLE log (seq INTEGER PRIMARY KEY)");
        },
        "of another program",
    ),
    (
        "a newer store",
        |shop| execute(shop, "PRAGMA user_version = 99"),
        "version 99, and this program knows versions up to 2",
    ),
    (
        "a version that never was",
        |shop| execute(shop, "PRAGMA user_version = 0"),
        "its version is 0",
    ),
    (
        "a trigger that forgets what is written",
        |shop| {
            execute(
                shop,
                "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log; END",
            );
        },
        "the tables of",
    ),
    (
        "a table missing",
        |shop| execute(shop, "DROP TABLE log"),
        "the tables of",
    ),
    (
        "a page of zeros",
        |shop| overwrite(shop, 4096, &[0; 4096]),
        "is damaged",
    ),
    (
        "a page of noise",
        |shop| overwrite(shop, 2 * 4096, &[0xa5; 4096]),
        "is damaged",
    ),
];

#[tokio::test]
async fn a_bad_file_is_refused_and_left_as_it_is() {
    for (what, spoil, expected) in CASES {
        let (shop, _) = Workshop::new().with_one_version().await;
        spoil(&shop);
        let before = contents(shop.directory.path());
        let error = shop.try_open().await.expect_err(what);
        assert!(
            matches!(error, StoreError::Unusable(_)),
            "{what}: {error:?}"
        );
        let message = error.to_string();
        assert!(message.contains(expected), "{what}: {message}");
        assert!(message.contains("rotation.db"), "{what}: {message}");
        assert!(
            contents(shop.directory.path()) == before,
            "{what}: the files changed"
        );
    }
}

#[tokio::test]
async fn a_reader_refuses_what_is_not_a_store_of_ours_too() {
    for (what, spoil, expected) in &CASES[..12] {
        let (shop, _) = Workshop::new().with_one_version().await;
        spoil(&shop);
        let before = fs::read(&shop.path).unwrap();
        let error = SqliteReader::open(&shop.path, Identities::none())
            .await
            .expect_err(what)
            .to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert!(
            fs::read(&shop.path).unwrap() == before,
            "{what}: the file changed"
        );
    }
}

#[tokio::test]
async fn truncation_at_any_place_is_refused() {
    let (shop, _) = Workshop::new().with_one_version().await;
    let whole = fs::read(&shop.path).unwrap();
    for len in (0..whole.len()).step_by(509) {
        fs::write(&shop.path, &whole[..len]).unwrap();
        assert!(shop.try_open().await.is_err(), "cut to {len} bytes");
        assert!(
            fs::read(&shop.path).unwrap() == whole[..len],
            "cut to {len} bytes"
        );
    }
    fs::write(&shop.path, &whole).unwrap();
    assert_eq!(shop.reveal().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_file_is_refused_with_its_log_beside_it_too() {
    let (shop, _) = Workshop::new().with_one_version().await;
    // Another program that is still there has written the new version to the log only.
    let other = shop.sqlite();
    other.execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(shop.path.with_extension("db-wal").metadata().unwrap().len() > 0);
    let before = fs::read(&shop.path).unwrap();
    let error = shop.try_open().await.unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
    assert!(fs::read(&shop.path).unwrap() == before);
}

fn execute(shop: &Workshop, sql: &str) {
    let connection = Connection::open(&shop.path).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn cut(shop: &Workshop, to: impl Fn(u64) -> u64) {
    let file = fs::OpenOptions::new().write(true).open(&shop.path).unwrap();
    file.set_len(to(file.metadata().unwrap().len())).unwrap();
}

fn overwrite(shop: &Workshop, at: usize, with: &[u8]) {
    let mut bytes = fs::read(&shop.path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(&shop.path, bytes).unwrap();
}
