use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rotation_core::{Problem, StoreError};
use rusqlite::ErrorCode;
use tokio::task::JoinError;

use crate::seal::SealError;

/// What a person needs to hear when SQLite fails on the file at `path`.
pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.display();
    let Some(code) = error.sqlite_error_code() else {
        // A value of another type than the column promises: nothing of ours wrote it.
        return damaged(format!("{path} is damaged: {error}"));
    };
    let said = error.to_string();
    let passing = |message: String, fix: &str| passing(message, fix, error);
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
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            passing(message, "free some space", error)
        }
        io::ErrorKind::NotFound => unusable(message, "create the directory, or correct the path"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => unusable(
            message,
            "let this user write the file and its directory, on a file system that is not read-only",
        ),
        _ => passing(message, "look for disk errors in the system log", error),
    }
}

/// What may be otherwise next time.
fn passing(
    message: impl Into<String>,
    fix: &str,
    source: impl Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Unavailable {
        problem: Problem::new(message).with_fix(fix),
        source: Some(Arc::new(source)),
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
        problem: Problem::new(format!("{what} has stopped"))
            .with_fix("start again; everything answered before is safe"),
        source: None,
    }
}

/// The system gave no thread.
pub(super) fn no_thread(error: io::Error) -> StoreError {
    passing(
        "cannot start a thread",
        "raise the limit of threads or memory for this process",
        error,
    )
}

/// The work that was to block was never done to its end.
pub(super) fn interrupted(error: JoinError) -> StoreError {
    passing(
        "the store was interrupted",
        "start again; everything answered before is safe",
        error,
    )
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
    let fix = match &error {
        SealError::Library => "see that the system gives random numbers, then start again",
        _ => "check [store] recipients: each a public key that `rotation keygen` printed",
    };
    passing("cannot seal a password", fix, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        let path = Path::new("rotation.db");
        let code = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let errors = [
            sqlite(path, code(rusqlite::ffi::SQLITE_IOERR)),
            file(path, "read", io::Error::other("broken")),
            file(path, "create", io::ErrorKind::StorageFull.into()),
            no_thread(io::Error::other("too many")),
            seal(SealError::Library),
            seal(SealError::NoMatchingKey),
            stopped("the thread"),
            vanished(path),
        ];
        for error in errors {
            let (StoreError::Unavailable { problem, .. } | StoreError::Unusable(problem)) = &error
            else {
                panic!("{error:?}");
            };
            assert!(problem.fix.is_some(), "{error}");
        }
    }
}
