//! The decisions on one tenant's accounts, on disk until the last of them is made.
//!
//! So tenants are read at the same time and stand in the plan one after the other, each whole or not at all, and memory
//! does not grow with their accounts.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use rotation_core::PlanEntry;
use tempfile::TempPath;

use crate::file;

/// The lines of a plan to be, in a file that is gone with this.
pub(super) struct Spool {
    out: BufWriter<File>,
    path: TempPath,
}

/// The same, finished: it holds no file open while it waits.
pub(super) struct Spooled(TempPath);

impl Spool {
    /// An empty one beside the plan at `path`, or where temporary files go.
    pub(super) fn new(path: Option<&Path>) -> io::Result<Self> {
        let folder = path.map_or_else(std::env::temp_dir, |path| file::directory(path).to_owned());
        let (file, path) = tempfile::Builder::new()
            .prefix(".rotation-plan-")
            .tempfile_in(folder)?
            .into_parts();
        Ok(Self {
            out: BufWriter::new(file),
            path,
        })
    }

    /// Adds an account.
    pub(super) fn add(&mut self, entry: &PlanEntry) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, entry)?;
        self.out.write_all(b"\n")
    }

    /// Nothing is added any more.
    pub(super) fn finish(mut self) -> io::Result<Spooled> {
        self.out.flush()?;
        Ok(Spooled(self.path))
    }
}

impl Spooled {
    /// Gives every account, in the order in which they were added.
    pub(super) fn read(self, mut take: impl FnMut(&PlanEntry) -> io::Result<()>) -> io::Result<()> {
        let lines = BufReader::new(File::open(&self.0)?);
        for entry in serde_json::Deserializer::from_reader(lines).into_iter() {
            let mut entry: PlanEntry = entry?;
            // it is not read back: it follows from the decision
            entry.reason = entry.decision.to_string();
            take(&entry)?;
        }
        Ok(())
    }
}
