//! Files that appear whole or not at all, for their owner only.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file under a temporary name beside `path`, mode 0600, that takes its place once it is complete.
#[derive(Debug)]
pub(crate) struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Begins a file.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let directory = directory(path);
        // that it is missing is said without the name of a draft, which would mean nothing to a person
        directory.metadata()?;
        Ok(Self {
            file: NamedTempFile::new_in(directory)?,
            path: path.to_owned(),
        })
    }

    /// Makes the file durable under its name, in place of one that may be there.
    pub(crate) fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path)?;
        sync_directory(&self.path)
    }

    /// Makes the file durable under its name, unless there is one already.
    pub(crate) fn create(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(&self.path)?;
        sync_directory(&self.path)
    }
}

impl Write for Draft {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// Writes a new file, never over an existing one.
pub(crate) fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut draft = Draft::new(path)?;
    draft.write_all(contents)?;
    draft.create()
}

/// Opens a file, new ones for their owner only, so that what is written follows what is there.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The one that holds the file `path`.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes a new name durable. Windows has no such call, and needs none.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory(path))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut draft = Draft::new(&directory.path().join("plan.json")).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.txt");
        create(&path, b"one").unwrap();
        let error = create(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        append(&path).unwrap().write_all(b" and two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one and two");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        create(&one, b"").unwrap();
        append(&two).unwrap();
        for path in [one, two] {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
}
