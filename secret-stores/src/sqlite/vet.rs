//! Looks at a file before anything is written to it: is it a store of ours, of a version we know, and sound?

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use rotation_core::StoreError;
use rusqlite::Connection;

use super::{connect, error, file, schema};

/// The header of every SQLite file, <https://sqlite.org/fileformat2.html#the_database_header>.
const HEADER_LEN: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const PAGE_SIZE_AT: usize = 16;
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Refuses a file that is not ours, newer than us, or cut short, by its header and length alone: SQLite is not asked to
/// open what is not ours.
pub(super) fn header(path: &Path) -> Result<(), StoreError> {
    let header = Header::read(path).map_err(|error| error::file(path, "read", error))?;
    if header.bytes.is_empty() {
        return Err(error::damaged(format!(
            "{} is empty, which a store file never is: something cut it short, or it is not ours",
            path.display()
        )));
    }
    let (Some(application), Some(version), true) = (
        header.number(APPLICATION_ID_AT),
        header.number(USER_VERSION_AT),
        header.bytes.starts_with(MAGIC),
    ) else {
        return Err(not_ours(path, "it is not a SQLite database"));
    };
    if application != schema::APPLICATION_ID {
        return Err(not_ours(path, "it is a SQLite database of another program"));
    }
    known_version(path, version)?;
    // SQLite takes what is missing of the last page for zeros. While there is a log, that page may be in there.
    if header.file_len % header.page_size() != 0 && !file::has_wal(path) {
        return Err(error::damaged(format!(
            "{} is damaged: it ends in the middle of a page",
            path.display()
        )));
    }
    Ok(())
}

struct Header {
    bytes: Vec<u8>,
    file_len: u64,
}

impl Header {
    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let file_len = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        file.take(HEADER_LEN as u64).read_to_end(&mut bytes)?;
        Ok(Self { bytes, file_len })
    }

    fn number(&self, at: usize) -> Option<i32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(i32::from_be_bytes(*bytes))
    }

    fn page_size(&self) -> u64 {
        let bytes = self.bytes.get(PAGE_SIZE_AT..).and_then(<[u8]>::first_chunk);
        match bytes.map(|bytes| u16::from_be_bytes(*bytes)) {
            None | Some(0 | 1) => 65_536,
            Some(size) => size.into(),
        }
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
