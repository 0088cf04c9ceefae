//! One line: sealed when it is written, checked when it is read.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::{AuditBreak, AuditError};
use crate::{Event, Problem, RunId, TenantId};

/// In bytes, its end included. Most have some hundreds; the report of a run that failed all over has some ten thousands.
pub(super) const LONGEST: u64 = 4 << 20;

/// For what the chain adds to an event: a number and two hashes.
const ROOM: u64 = 1024;

/// In hexadecimal digits.
pub(super) const HASH_LENGTH: usize = 64;

/// One record of what happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Its number, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as [`EventKind`](crate::EventKind) is named in JSON; `torn` marks what a crash left half-written.
    pub event: String,
    /// In which run; `None` for `torn`.
    pub run_id: Option<RunId>,
    /// In which tenant; `None` for `torn`.
    pub tenant: Option<TenantId>,
    /// The SHA-256 in its last field: with it as the head, [`verify`](crate::AuditFile::verify) proves everything up to here.
    pub hash: String,
    /// Everything that stands in the line, those above included.
    pub fields: Map<String, Value>,
}

impl AuditRecord {
    pub(super) fn new(line: Line, fields: Map<String, Value>) -> Self {
        let Line {
            seq,
            at,
            event,
            run_id,
            tenant,
            hash,
            ..
        } = line;
        Self {
            seq,
            at,
            event,
            run_id,
            tenant,
            hash,
            fields,
        }
    }
}

/// What every line has.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) event: String,
    pub(super) run_id: Option<RunId>,
    pub(super) tenant: Option<TenantId>,
    pub(super) torn: Option<Torn>,
    prev: String,
    pub(super) hash: String,
}

/// What a crash left between two records.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Torn {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The fields of a record that are not the chain's.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) at: Timestamp,
    fields: String,
}

impl Content {
    pub(super) fn of_event(event: &Event) -> Result<Self, AuditError> {
        let unusable = |why: String| {
            let problem = Problem::new(format!("an event cannot be recorded: {why}"));
            AuditError::Unusable(problem.with_fix("report this as a fault of this program"))
        };
        let content = Self::new(event.at, event).map_err(|error| unusable(error.to_string()))?;
        if content.fields.len() as u64 > LONGEST - ROOM {
            let length = content.fields.len();
            return Err(unusable(format!(
                "it has {length} bytes, expected at most {}",
                LONGEST - ROOM
            )));
        }
        Ok(content)
    }

    /// Answers for what a crash left.
    pub(super) fn of_torn(at: Timestamp, torn: &Torn) -> serde_json::Result<Self> {
        #[derive(Serialize)]
        struct Marker<'a> {
            at: Timestamp,
            event: &'static str,
            torn: &'a Torn,
        }
        let event = "torn";
        Self::new(at, &Marker { at, event, torn })
    }

    fn new(at: Timestamp, object: &impl Serialize) -> serde_json::Result<Self> {
        let json = serde_json::to_string(object)?;
        let fields = json
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let fields = fields
            .ok_or_else(|| serde::ser::Error::custom("not a JSON object"))?
            .to_owned();
        Ok(Self { at, fields })
    }
}

/// In which way a line is not the record that belongs there.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub(super) kind: AuditBreak,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Flaw {
    pub(super) fn new(
        kind: AuditBreak,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self {
            kind,
            found,
            expected,
        }
    }

    pub(super) fn at(self, path: &Path, line: u64) -> AuditError {
        let (
            path,
            Self {
                kind,
                found,
                expected,
            },
        ) = (path.to_owned(), self);
        AuditError::Broken {
            path,
            line,
            kind,
            found,
            expected,
        }
    }
}

/// A record's place in the chain and in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// Its number, from 1; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
    /// At which byte its line begins.
    pub(super) start: u64,
    /// At which byte the next one does.
    pub(super) end: u64,
}

impl Head {
    /// Before the first record.
    pub(super) fn none() -> Self {
        Self {
            seq: 0,
            hash: "0".repeat(HASH_LENGTH),
            start: 0,
            end: 0,
        }
    }

    /// The record of `length` bytes that follows after `gap` bytes.
    pub(super) fn next(&self, hash: String, gap: u64, length: u64) -> Self {
        let start = self.end + gap;
        Self {
            seq: self.seq + 1,
            hash,
            start,
            end: start + length,
        }
    }
}

/// Writes `content` as the record after `head`, which begins `gap` bytes after that one's end.
pub(super) fn seal(content: &Content, head: &Head, gap: u64) -> (String, Head) {
    let mut line = format!(
        "{{\"seq\":{},{},\"prev\":\"{}\"",
        head.seq + 1,
        content.fields,
        head.hash
    );
    let hash = hash(line.as_bytes());
    line.push_str(&format!(",\"hash\":\"{hash}\"}}\n"));
    let head = head.next(hash, gap, line.len() as u64);
    (line, head)
}

/// Reads the record after `head`.
pub(super) fn open(line: &[u8], head: &Head) -> Result<Line, Flaw> {
    let expected = format!("record {}", head.seq + 1);
    let Some(text) = line.strip_suffix(b"\n") else {
        let found = format!("a line that ends after {} bytes", line.len());
        return Err(Flaw::new(AuditBreak::CutShort, found, expected));
    };
    if let Some((content, stated)) = split(text) {
        let actual = hash(content);
        if actual.as_bytes() != stated {
            let found = format!("content with hash {actual}");
            let expected = format!(
                "hash {} as the line says",
                String::from_utf8_lossy(stated).escape_debug()
            );
            return Err(Flaw::new(AuditBreak::Altered, found, expected));
        }
    }
    let parsed: Line = serde_json::from_slice(text).map_err(|error| {
        let (kind, found) = match error.classify() {
            serde_json::error::Category::Eof => (
                AuditBreak::CutShort,
                format!("a line that ends after {} bytes", line.len()),
            ),
            serde_json::error::Category::Data => (
                AuditBreak::Altered,
                format!("a line that is no record ({error})"),
            ),
            _ => (
                AuditBreak::NotJson,
                format!("something that is not JSON ({error})"),
            ),
        };
        Flaw::new(kind, found, expected.clone())
    })?;
    if split(text).is_none() {
        let found = "a line that does not end with its hash";
        return Err(Flaw::new(AuditBreak::Altered, found, expected));
    }
    if (parsed.seq, &parsed.prev) != (head.seq + 1, &head.hash) {
        let found = format!(
            "record {} that follows hash {}",
            parsed.seq,
            parsed.prev.escape_debug()
        );
        let expected = format!("{expected} that follows hash {}", head.hash);
        return Err(Flaw::new(AuditBreak::OutOfOrder, found, expected));
    }
    Ok(parsed)
}

/// Whether `line` is the record with this number and this hash.
pub(super) fn is_sealed(line: &[u8], seq: u64, hash: &str) -> bool {
    let number = format!("{{\"seq\":{seq},");
    line.strip_suffix(b"\n")
        .and_then(split)
        .is_some_and(|(content, stated)| {
            content.starts_with(number.as_bytes())
                && stated == hash.as_bytes()
                && self::hash(content) == hash
        })
}

/// What is hashed, and the hash beside it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, hash) = text
        .strip_suffix(b"\"}")?
        .split_at_checked(text.len().checked_sub(HASH_LENGTH + 2)?)?;
    Some((content.strip_suffix(b",\"hash\":\"")?, hash))
}

pub(super) fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
