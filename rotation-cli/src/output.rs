//! Where words go: data to stdout, everything else to stderr, secrets past every buffer that is not wiped.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget};
use miette::IntoDiagnostic;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Prints a line of data.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(|out| writeln!(out, "{text}"))
}

/// Prints `value` as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    write(|out| {
        serde_json::to_writer(&mut *out, value)?;
        writeln!(out)
    })
}

/// Writes data to stdout. A reader who has seen enough (`| head`) is no error.
pub(crate) fn write(data: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    data(&mut out)
        .and_then(|()| out.flush())
        .or_else(allow_broken_pipe)
        .into_diagnostic()
        .map_err(Failure::usage)
}

/// So many accounts, for people.
pub(crate) fn accounts(number: u64) -> String {
    match number {
        1 => "1 account".to_owned(),
        _ => format!("{number} accounts"),
    }
}

/// So much time, for people: in two units, which say enough.
pub(crate) fn span(time: Duration) -> String {
    let seconds = Duration::from_secs(time.as_secs_f64().round() as u64);
    let text = humantime::format_duration(seconds).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Tells a person something on stderr, above what stays in place there.
pub(crate) fn note(text: &str) {
    // where stderr is gone there is nobody to tell
    let tell = || drop(writeln!(io::stderr(), "{text}"));
    match SCREEN.get() {
        Some(screen) => screen.suspend(tell),
        None => tell(),
    }
}

/// The lines that stay in place at the lower end of a terminal.
pub(crate) fn screen() -> &'static ProgressBar {
    SCREEN.get_or_init(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
}

static SCREEN: OnceLock<ProgressBar> = OnceLock::new();

/// Whether a person looks at stderr.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A table of two or more columns, for people: bare, so that it can be cut and pasted.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if !header.is_empty() {
        table.set_header(header.iter().map(|name| name.to_uppercase()));
    }
    table
}

/// Stdout for secrets: its one buffer has a fixed size, so that it never leaves a copy behind, and is wiped.
pub(crate) struct SecretOutput {
    out: File,
    buffer: Zeroizing<Vec<u8>>,
}

impl SecretOutput {
    /// Larger than any row, smaller than what a pipe takes at once.
    const CAPACITY: usize = 16 * 1024;

    /// Writes `secrets` to stdout. A reader who has seen enough (`| head`) is no error.
    pub(crate) fn stdout(secrets: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), Failure> {
        Self::open()
            .and_then(|mut out| {
                secrets(&mut out)?;
                out.flush()
            })
            .or_else(allow_broken_pipe)
            .into_diagnostic()
            .map_err(Failure::usage)
    }

    /// The standard library's stdout keeps what it wrote in a buffer of its own; a duplicate of its file does not.
    pub(crate) fn open() -> io::Result<Self> {
        #[cfg(unix)]
        let out = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
        #[cfg(windows)]
        let out = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
        Ok(Self {
            out: File::from(out),
            buffer: Zeroizing::new(Vec::with_capacity(Self::CAPACITY)),
        })
    }
}

impl Write for SecretOutput {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == Self::CAPACITY {
            self.flush()?;
        }
        let room = Self::CAPACITY - self.buffer.len();
        let (fits, _rest) = data.split_at(data.len().min(room));
        self.buffer.extend_from_slice(fits);
        Ok(fits.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.out.flush()
    }
}

/// What a failed write to stdout comes to.
pub(crate) fn allow_broken_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_for_secrets_never_grows() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut out = SecretOutput {
            out: file.reopen().unwrap(),
            buffer: Zeroizing::new(Vec::with_capacity(SecretOutput::CAPACITY)),
        };
        let capacity = out.buffer.capacity();
        let row = [b'x'; 1000];
        for _ in 0..50 {
            out.write_all(&row).unwrap();
            assert_eq!(out.buffer.capacity(), capacity);
        }
        out.flush().unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), row.repeat(50));
    }
}
