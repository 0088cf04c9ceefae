//! The store file as the operating system sees it: where it is, how it comes into being, who may open it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rotation_core::{RunId, StoreError};
use rusqlite::Connection;

use super::{error, schema};

/// The files that SQLite keeps beside the database, by what it appends to the name.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The file that `path` names, links resolved so that every process finds the same write-ahead log beside it; `None`
/// if there is nothing.
pub(super) fn find(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let what_to_do = "name a file in [store] path";
    match fs::metadata(path) {
        Ok(found) if found.is_file() => fs::canonicalize(path)
            .map(Some)
            .map_err(|error| error::file(path, "find", error)),
        Ok(found) => {
            let kind = if found.is_dir() {
                "a directory"
            } else {
                "no regular file"
            };
            let message = format!("{} is {kind}", path.display());
            Err(error::unusable(message, what_to_do))
        }
        // A link to nowhere: whoever could plant one would choose where the store is created.
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let message = format!("{} is a link to a file that does not exist", path.display());
            Err(error::unusable(message, what_to_do))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error::file(path, "find", error)),
    }
}

/// Creates an empty store at `path`, unless another process does so first.
///
/// The file is made under another name and linked to its own when it is complete and durable. So a store file is never
/// half made: one that is empty or cut short was damaged, and is refused rather than begun anew.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let draft = Draft::new(path)?;
    let sqlite = |error| error::sqlite(&draft.path, error);
    let mut connection = Connection::open(&draft.path).map_err(sqlite)?;
    schema::migrate(&mut connection, schema::MIGRATIONS).map_err(sqlite)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(sqlite)?;
    connection.close().map_err(|(_, error)| sqlite(error))?;
    draft
        .publish(path)
        .map_err(|error| error::file(path, "create", error))
}

/// Takes the file and those beside it away from everyone but its owner.
///
/// Tightened rather than refused: what is inside is sealed, and a CI cache that restores the file with other modes
/// should not stop a rotation.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let files = SIDE_FILES.iter().map(|suffix| beside(path, suffix));
    for file in files.chain([path.to_owned()]) {
        match restrict(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error::file(&file, "make private", error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a write-ahead log lies beside the file, with something in it or soon to be.
pub(super) fn has_wal(path: &Path) -> bool {
    beside(path, "-wal").exists()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file under a name of its own, removed unless published.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(target: &Path) -> Result<Self, StoreError> {
        let path = beside(target, &format!(".{}.new", RunId::new()));
        // Created before SQLite opens it, so that nobody else can open it at any time.
        private(OpenOptions::new().write(true).create_new(true))
            .open(&path)
            // The whole path, for SQLite takes a name that begins with "file:" for a URI.
            .and_then(|_| fs::canonicalize(&path))
            .map(|path| Self { path })
            .map_err(|error| error::file(target, "create", error))
    }

    fn publish(self, target: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        match fs::hard_link(&self.path, target) {
            // Another process was faster: its file is as good.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => result?,
        }
        drop(self);
        sync_directory(target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for suffix in SIDE_FILES.into_iter().chain([""]) {
            // Nothing is lost with a draft that stays behind.
            fs::remove_file(beside(&self.path, suffix)).ok();
        }
    }
}

/// Makes the name of a new file as durable as the file.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}
