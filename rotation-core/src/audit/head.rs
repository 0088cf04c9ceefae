//! Which record is the last: kept beside the file, so that a cut at its end shows.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::AuditError;
use super::record::{self, Head};
use crate::Problem;

impl Head {
    /// What stands beside the record at `path`; `None` if nothing does.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AuditError> {
        let path = path.with_added_extension("head");
        // ours has some 120 bytes
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(1024).read_to_end(&mut text));
        match read {
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                let problem = Problem::new(format!(
                    "{}: found something else than the head of an audit record ({error})",
                    path.display()
                ));
                AuditError::Unusable(problem.with_fix(
                    "restore it from a copy, or verify the record against a head kept elsewhere, then delete this file",
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AuditError::io("read", &path, error)),
        }
    }

    /// Puts it beside the record at `path`, whole or not at all. Whoever calls this holds the file's lock.
    pub(super) fn write(&self, path: &Path) -> Result<(), AuditError> {
        let (new, path) = (
            path.with_added_extension("head.new"),
            path.with_added_extension("head"),
        );
        let write = || {
            let mut file =
                private(File::options().write(true).create(true).truncate(true)).open(&new)?;
            let mut line = serde_json::to_vec(self)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_data()?;
            // Not waiting for the directory: after a crash the older head is as good, only further behind.
            fs::rename(&new, &path)
        };
        write().map_err(|error| AuditError::io("write", &path, error))
    }

    /// Whether the record is at its place in `file`, and unchanged.
    pub(super) fn stands_in(&self, mut file: &File) -> io::Result<bool> {
        if self.seq == 0 {
            return Ok(*self == Self::none());
        }
        let mut line = Vec::new();
        file.seek(SeekFrom::Start(self.start))?;
        let length = self.end.saturating_sub(self.start).min(record::LONGEST);
        file.take(length).read_to_end(&mut line)?;
        Ok(line.len() as u64 == length && record::is_sealed(&line, self.seq, &self.hash))
    }
}

/// Makes what `options` may create readable for its owner only.
pub(super) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
