use std::io;
use std::path::Path;
use std::sync::Arc;

use rotation_core::{Problem, StoreError};
use rusqlite::ErrorCode;

use crate::seal::SealError;

/// What a person needs to hear when SQLite fails on the file at `path`.
pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.display();
    let Some(code) = error.sqlite_error_code() else {
        // A value of another type than the column promises: nothing of ours wrote it.
        return damaged(format!("{path} is damaged: {error}"));
    };
    let said = error.to_string();
    let passing = |message: String, fix: &str| StoreError::Unavailable {
        problem: Problem::new(message).with_fix(fix),
        source: Some(Arc::new(error)),
    };
    match code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            damaged(format!("{path} is damaged: {said}"))
        }
        ErrorCode::DiskFull => passing(
            format!("the disk is full, writing {path}"),
            "free some space; everything answered before is safe",
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => passing(
            format!("another process keeps {path} locked"),
            "wait for it to end, or end it; a store file on a network share may stay locked forever",
        ),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => unusable(
            format!("cannot open or write {path}: {said}"),
            "let this user write the file and its directory, on a file system that is not read-only",
        ),
        _ => passing(
            format!("cannot read or write {path}"),
            "look for disk errors in the system log; everything answered before is safe",
        ),
    }
}

/// What a person needs to hear when the operating system refuses `what` with the file at `path`.
pub(super) fn file(path: &Path, what: &str, error: io::Error) -> StoreError {
    let message = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Unavailable {
            problem: Problem::new(message).with_fix("free some space"),
            source: Some(Arc::new(error)),
        },
        io::ErrorKind::NotFound => unusable(message, "create the directory, or correct the path"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => unusable(
            message,
            "let this user write the file and its directory, on a file system that is not read-only",
        ),
        _ => StoreError::unavailable(message, error),
    }
}

/// Something that only a person can put right.
pub(super) fn unusable(message: String, fix: &str) -> StoreError {
    StoreError::Unusable(Problem::new(message).with_fix(fix))
}

/// The file is ours, but not as we left it.
pub(super) fn damaged(message: String) -> StoreError {
    unusable(
        message,
        "keep a copy of the file as it is, then put back the last good one from a backup",
    )
}

/// A thread of this store ended early.
pub(super) fn stopped(what: &str) -> StoreError {
    StoreError::Unavailable {
        problem: Problem::new(format!("{what} has stopped")),
        source: None,
    }
}

/// The file was there a moment ago.
pub(super) fn vanished(path: &Path) -> StoreError {
    unusable(
        format!("{} was removed while it was being opened", path.display()),
        "see what else works in that directory",
    )
}

/// Nothing can be sealed.
pub(super) fn seal(error: SealError) -> StoreError {
    StoreError::unavailable("cannot seal a password", error)
}
