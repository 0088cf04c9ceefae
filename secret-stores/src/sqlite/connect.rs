//! Opens connections to a file that was vetted.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use rotation_core::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{error, file, schema};

/// How long a write waits for another process: its group commits take milliseconds, a checkpoint perhaps a second.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long folding the write-ahead log waits for those who read it: writers wait along with it.
const FOLD_TIMEOUT: Duration = Duration::from_secs(1);

/// Every connection is used by one thread at a time, so SQLite need not lock.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

/// Opens the file for writing, durably, and brings it to the latest version.
pub(super) fn read_write(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let mut connection = writable(path)?;
        // With FULL, a commit has reached the disk when it returns; with NORMAL a power cut may undo it.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        schema::migrate(&mut connection, schema::MIGRATIONS)?;
        Ok(connection)
    };
    open().map_err(|error| error::sqlite(path, error))
}

/// Puts what is in the write-ahead log into the file, as far as nobody still reads it, so that what was removed is gone
/// from both.
pub(super) fn fold_wal(path: &Path) -> Result<(), StoreError> {
    let fold = || {
        let connection = writable(path)?;
        connection.busy_timeout(FOLD_TIMEOUT)?;
        // Says whether somebody was in the way, which is no failure: the next one does the rest.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
    };
    fold().map_err(|error| error::sqlite(path, error))
}

fn writable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = FLAGS | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = harden(Connection::open_with_flags(path, flags)?)?;
    // What is removed is overwritten with zeros.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Opens the file for reading, along with whatever other processes write.
pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let flags = FLAGS | OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = harden(Connection::open_with_flags(path, flags)?)?;
        // Opening is lazy: only reading shows whether the files beside it can be opened too.
        schema::version(&connection)?;
        Ok(connection)
    };
    match open() {
        // Where SQLite may not create the files beside it, nobody else writes either.
        Err(error) if is_read_only_place(&error) && !file::has_wal(path) => immutable(path),
        result => result.map_err(|error| error::sqlite(path, error)),
    }
}

/// Opens the file for reading, without the files beside it. What it shows is right only if nobody writes meanwhile.
pub(super) fn immutable(path: &Path) -> Result<Connection, StoreError> {
    untouched(path)
        .and_then(harden)
        .map_err(|error| error::sqlite(path, error))
}

/// Opens whatever file it is, to read the header and nothing more.
pub(super) fn header(path: &Path) -> rusqlite::Result<Connection> {
    let connection = untouched(path)?;
    // Without this, SQLite does not give the header of a file that is shorter than that says. As one is while its log is
    // being folded into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    Ok(connection)
}

/// Opens the file without a lock on it and without the files beside it.
fn untouched(path: &Path) -> rusqlite::Result<Connection> {
    let flags = FLAGS | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{}?immutable=1", escaped(path)), flags)
}

/// Makes a hostile file harmless: no functions or virtual tables run from its schema, damaged pages are noticed.
fn harden(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn is_read_only_place(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// The path as a URI wants it: every byte that could mean something there is written as a number.
fn escaped(path: &Path) -> String {
    let mut uri = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(uri, "%{byte:02X}").ok();
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kill cannot show that a commit reaches the disk, only a power cut could; so the settings are checked.
    #[test]
    fn never_lost_a_commit_reaches_the_disk_before_it_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rotation.db");
        file::create(&path).unwrap();
        let connection = read_write(&path).unwrap();
        let synchronous: i64 = connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        let journal: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        // 2 is FULL.
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    }

    #[test]
    fn the_header_is_read_also_of_a_file_that_is_still_growing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rotation.db");
        file::create(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..4096]).unwrap();
        let version = schema::version(&header(&path).unwrap()).unwrap();
        assert_eq!(version, schema::latest());
    }

    #[test]
    fn a_path_is_escaped_byte_by_byte() {
        let escaped = escaped(Path::new("/a b/100%?#&=ü.db"));
        assert_eq!(escaped, "/a%20b/100%25%3F%23%26%3D%C3%BC.db");
    }
}
