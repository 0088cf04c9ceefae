//! Follows the records of a file, however many there are, and tells what a crash left from what was done to it.

use std::io::{self, BufRead, Read};

use sha2::{Digest, Sha256};

use super::error::AuditBreak;
use super::record::{self, Flaw, Head, LONGEST, Line, Torn};

/// Reads on from a record.
pub(super) struct Chain<R> {
    from: R,
    /// The last record read.
    pub(super) head: Head,
    /// Its line, counted from where we began.
    pub(super) line: u64,
    /// How many lines were torn by crashes since then.
    pub(super) torn: u64,
    /// What stands after the last record and is none.
    rest: Option<Rest>,
}

/// Bytes that are not the next record, up to here. If a crash left them, the record that answers for them comes later.
pub(super) struct Rest {
    flaw: Flaw,
    lines: u64,
    bytes: u64,
    digest: Sha256,
    /// Whether a line end is missing.
    pub(super) open: bool,
}

impl<R: BufRead> Chain<R> {
    /// Reads on after `head`, where `from` stands.
    pub(super) fn new(from: R, head: Head) -> Self {
        Self {
            from,
            head,
            line: 0,
            torn: 0,
            rest: None,
        }
    }

    /// The next record, and its text; `None` at the end, and if none follows any more.
    pub(super) fn next(&mut self) -> io::Result<Option<(Line, Vec<u8>)>> {
        loop {
            let mut text = Vec::new();
            self.from
                .by_ref()
                .take(LONGEST)
                .read_until(b'\n', &mut text)?;
            if text.is_empty() {
                return Ok(None);
            }
            let (gap, lines, fits) = match (record::open(&text, &self.head), &self.rest) {
                (Ok(line), None) if line.torn.is_none() => (0, 0, Ok(line)),
                (Ok(line), Some(rest)) if line.torn.as_ref() == Some(&rest.torn()) => {
                    (rest.bytes, rest.lines, Ok(line))
                }
                (Ok(line), _) => {
                    let found = format!(
                        "record {}, which says that torn bytes stand before it",
                        line.seq
                    );
                    let expected = "exactly these bytes";
                    (
                        0,
                        0,
                        Err(Flaw::new(AuditBreak::OutOfOrder, found, expected)),
                    )
                }
                (Err(flaw), _) => (0, 0, Err(flaw)),
            };
            match fits {
                Ok(line) => {
                    self.rest = None;
                    self.torn += lines;
                    self.line += lines + 1;
                    self.head = self.head.next(line.hash.clone(), gap, text.len() as u64);
                    return Ok(Some((line, text)));
                }
                Err(flaw) => self.rest.get_or_insert_with(|| Rest::new(flaw)).add(&text),
            }
        }
    }

    /// What a crash left after the last record, given which record was durable last; the flaw if it was no crash.
    ///
    /// What came after that record was never said to be durable, so whatever is wrong with it, nothing is lost. Without
    /// that knowledge only a single last line without its end is taken for the work of a crash.
    pub(super) fn rest(&mut self, durable: Option<&Head>) -> Result<Option<Rest>, Flaw> {
        let crash = |rest: &Rest| match durable {
            Some(durable) if durable.seq <= self.head.seq => true,
            Some(_) => rest.open && rest.lines == 1,
            None => rest.open && rest.lines == 1 && self.head.seq > 0,
        };
        match &self.rest {
            Some(rest) if !crash(rest) => Err(rest.flaw.clone()),
            _ => Ok(self.rest.take()),
        }
    }
}

impl Rest {
    fn new(flaw: Flaw) -> Self {
        let digest = Sha256::new();
        Self {
            flaw,
            lines: 0,
            bytes: 0,
            digest,
            open: false,
        }
    }

    /// Goes on with the same line if that is open.
    pub(super) fn add(&mut self, text: &[u8]) {
        if !self.open {
            self.lines += 1;
        }
        self.open = !text.ends_with(b"\n");
        self.bytes += text.len() as u64;
        self.digest.update(text);
    }

    pub(super) fn torn(&self) -> Torn {
        Torn {
            lines: self.lines,
            bytes: self.bytes,
            sha256: format!("{:x}", self.digest.clone().finalize()),
        }
    }
}
