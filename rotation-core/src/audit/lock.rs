//! One process at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::AuditError;

/// How long others may hold the file: they write one group at a time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for whoever holds the file, but not for ever.
pub(super) fn lock(
    file: &File,
    path: &Path,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<(), AuditError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(AuditError::io("lock", path, error.into())),
        }
    }
}
