//! The events of a run as JSON lines.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rotation_core::Event;

use crate::exit::Failure;
use crate::file;

/// A file that takes every event of a run, a line each, as it happens.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Opens the file `path`. What earlier runs wrote stays: events are evidence, and each names its run.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = file::append(path).map_err(|error| {
            Failure::usage(miette::miette!(
                help = "name a file in a folder that exists",
                "cannot write {}: {error}",
                path.display()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Adds an event. An error says what could not be written where.
    pub(crate) fn write(&mut self, event: &Event) -> Result<(), String> {
        let line = serde_json::to_vec(event).map_err(|error| error.to_string());
        line.and_then(|mut line| {
            line.push(b'\n');
            self.file
                .write_all(&line)
                .map_err(|error| error.to_string())
        })
        .map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }
}
