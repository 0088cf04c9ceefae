//! Looks at a file before anything is written to it: is it a store of ours, of a version we know, and sound?

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rotation_core::StoreError;
use rusqlite::{Connection, ErrorCode};

use super::{connect, error, file, schema};

/// The least a SQLite file has, <https://sqlite.org/fileformat2.html#the_database_header>.
const HEADER_LEN: u64 = 100;

/// Refuses a file that is not ours, newer than us, or cut short, by its header and length alone: nothing that is not ours
/// is read any further.
pub(super) fn header(path: &Path) -> Result<(), StoreError> {
    let len = fs::metadata(path)
        .map_err(|error| error::file(path, "read", error))?
        .len();
    if len == 0 {
        return Err(error::damaged(format!(
            "{} is empty, which a store file never is: something cut it short, or it is not ours",
            path.display()
        )));
    }
    let header = match Header::read(path) {
        Ok(header) if len >= HEADER_LEN => header,
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::NotADatabase) => {
            return Err(error::sqlite(path, error));
        }
        _ => return Err(not_ours(path, "it is not a SQLite database")),
    };
    if header.application != schema::APPLICATION_ID {
        return Err(not_ours(path, "it is a SQLite database of another program"));
    }
    known_version(path, header.version)?;
    // SQLite takes what is missing of the last page for zeros. While there is a log, that page may be in there.
    if !len.is_multiple_of(header.page_size.into()) && !file::has_wal(path) {
        return Err(error::damaged(format!(
            "{} is damaged: it ends in the middle of a page",
            path.display()
        )));
    }
    Ok(())
}

struct Header {
    application: i32,
    version: i32,
    page_size: u32,
}

impl Header {
    /// By SQLite, never by opening the file beside it: when a process closes any descriptor of a file, the operating
    /// system takes away all locks that it has there, and a store open elsewhere in this process would lose its own.
    fn read(path: &Path) -> rusqlite::Result<Self> {
        let connection = connect::header(path)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok(Self {
            application: number("application_id")?,
            version: number("user_version")?,
            // Last, for it is known once the header was read.
            page_size: connection.pragma_query_value(None, "page_size", |row| row.get(0))?,
        })
    }
}

/// Refuses a file that is newer than us, damaged, or has other tables than ours, by reading it from end to end.
///
/// Writes nothing, not even the files that SQLite keeps beside a database: only if there is a write-ahead log must it
/// be read too, and SQLite has its files there already.
pub(super) fn contents(path: &Path) -> Result<(), StoreError> {
    let with_wal = || inspect(&connect::read_only(path)?, path);
    if file::has_wal(path) {
        return with_wal();
    }
    let before = stamp(path)?;
    match connect::immutable(path).and_then(|connection| inspect(&connection, path)) {
        // Another process began to write meanwhile, so what was seen proves nothing.
        Err(_) if file::has_wal(path) || stamp(path)? != before => with_wal(),
        verdict => verdict,
    }
}

/// Refuses a file that is newer than us or has other tables than ours.
pub(super) fn tables(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |error| error::sqlite(path, error);
    // Both of one moment: another process may be bringing the file to the latest version.
    let snapshot = connection.unchecked_transaction().map_err(sqlite)?;
    let version = schema::version(&snapshot).map_err(sqlite)?;
    known_version(path, version)?;
    if schema::is_genuine(&snapshot, version).map_err(sqlite)? {
        return Ok(());
    }
    Err(error::damaged(format!(
        "the tables of {} are not those of a store of version {version}",
        path.display()
    )))
}

fn inspect(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    tables(connection, path)?;
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", (), |row| row.get(0))
        .map_err(|error| error::sqlite(path, error))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(error::damaged(format!(
        "{} is damaged: {finding}",
        path.display()
    )))
}

fn known_version(path: &Path, version: i32) -> Result<(), StoreError> {
    let latest = schema::latest();
    if version > latest {
        let message = format!(
            "{} is of version {version}, and this program knows versions up to {latest}",
            path.display()
        );
        return Err(error::unusable(
            message,
            "use the newer program that wrote it",
        ));
    }
    if version < 1 {
        let message = format!("{} is damaged: its version is {version}", path.display());
        return Err(error::damaged(message));
    }
    Ok(())
}

fn not_ours(path: &Path, why: &str) -> StoreError {
    error::unusable(
        format!("{} is not a store: {why}", path.display()),
        "name another file in [store] path; this one was left as it is",
    )
}

fn stamp(path: &Path) -> Result<(u64, SystemTime), StoreError> {
    fs::metadata(path)
        .and_then(|metadata| Ok((metadata.len(), metadata.modified()?)))
        .map_err(|error| error::file(path, "read", error))
}
