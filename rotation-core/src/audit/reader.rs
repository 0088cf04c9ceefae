//! Reads a record back and checks it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Take};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::chain::Chain;
use super::error::{AuditBreak, AuditError};
use super::lock::lock;
use super::record::{AuditRecord, Flaw, Head, Line};
use crate::{AccountId, RunId, TenantId};

/// What a whole and unchanged audit record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditSummary {
    /// How many records.
    pub records: u64,
    /// When the first of them happened.
    pub first: Option<Timestamp>,
    /// When the last of them happened.
    pub last: Option<Timestamp>,
    /// The latest [`MOST_RUNS`](Self::MOST_RUNS) runs, as they first occur.
    pub runs: VecDeque<RunId>,
    /// The hash of the last record, zeros if there is none: keep it elsewhere, and verify against it.
    pub head: String,
    /// How many lines were torn by crashes. Their events were never said to be durable.
    pub torn: u64,
    /// Whether `….head` vouches for the end; if not, a cut there does not show.
    pub end_known: bool,
}

impl AuditSummary {
    /// More runs than a person reads, so that the summary stays small.
    pub const MOST_RUNS: usize = 100;
}

/// Which records to read; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "written with ..Default::default()"
)]
pub struct AuditFilter {
    /// Those of this run.
    pub run: Option<RunId>,
    /// Those of this tenant.
    pub tenant: Option<TenantId>,
    /// Those of this account.
    pub account: Option<AccountId>,
    /// Those at this time or later.
    pub since: Option<Timestamp>,
    /// Those before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn wants(&self, record: &AuditRecord) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let account = record
            .fields
            .get("account")
            .and_then(Value::as_str)
            .map(AccountId::new);
        fits(self.run.as_ref(), record.run_id.as_ref())
            && fits(self.tenant.as_ref(), record.tenant.as_ref())
            && fits(self.account.as_ref(), account.as_ref())
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// The records of a file as it was when this was made. Ends after the first error.
pub struct AuditReader {
    path: PathBuf,
    filter: AuditFilter,
    chain: Chain<BufReader<Take<File>>>,
    /// The head beside the file.
    durable: Option<Head>,
    ended: bool,
}

impl std::fmt::Debug for AuditReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl AuditReader {
    pub(super) fn open(path: &Path, filter: AuditFilter) -> Result<Self, AuditError> {
        let file = File::open(path).map_err(|error| AuditError::io("read", path, error))?;
        // Only long enough to see no group half-written.
        lock(&file, path, File::try_lock_shared)?;
        let unlocked = file
            .try_clone()
            .map_err(|error| AuditError::io("read", path, error))?;
        let reader = Self::new(file, path, filter)?;
        unlocked
            .unlock()
            .map_err(|error| AuditError::io("unlock", path, error))?;
        Ok(reader)
    }

    /// Reads what `file` holds now, and the head beside it.
    pub(super) fn new(file: File, path: &Path, filter: AuditFilter) -> Result<Self, AuditError> {
        let durable = Head::read(path)?;
        let length = file
            .metadata()
            .map_err(|error| AuditError::io("read", path, error))?
            .len();
        Ok(Self {
            path: path.to_owned(),
            filter,
            chain: Chain::new(
                BufReader::with_capacity(1 << 16, file.take(length)),
                Head::none(),
            ),
            durable,
            ended: false,
        })
    }

    /// Reads to the end.
    pub(super) fn verify(mut self, expected: Option<&str>) -> Result<AuditSummary, AuditError> {
        let (mut first, mut last, mut runs) = (None, None, VecDeque::new());
        let mut met = expected.is_none_or(|hash| hash == Head::none().hash);
        while let Some((line, _)) = self.step()? {
            first = first.or(Some(line.at));
            last = Some(line.at);
            met |= expected == Some(line.hash.as_str());
            if let Some(run) = line.run_id.filter(|run| !runs.contains(run)) {
                if runs.len() == AuditSummary::MOST_RUNS {
                    runs.pop_front();
                }
                runs.push_back(run);
            }
        }
        if let Some(expected) = expected.filter(|_| !met) {
            let expected = format!("a record with hash {}", expected.escape_debug());
            let flaw = Flaw::new(AuditBreak::Rewritten, "the end", expected);
            return Err(flaw.at(&self.path, self.chain.line + 1));
        }
        Ok(AuditSummary {
            records: self.chain.head.seq,
            first,
            last,
            runs,
            head: self.chain.head.hash,
            torn: self.chain.torn,
            end_known: self.durable.is_some(),
        })
    }

    /// The next record, wanted or not.
    fn step(&mut self) -> Result<Option<(Line, Vec<u8>)>, AuditError> {
        let next = self
            .chain
            .next()
            .map_err(|error| AuditError::io("read", &self.path, error))?;
        if next.is_none() {
            self.end()?;
        } else if let Some(durable) = &self.durable {
            let head = &self.chain.head;
            if head.seq == durable.seq && head != durable {
                let found = format!(
                    "record {} with hash {} at byte {}",
                    head.seq, head.hash, head.start
                );
                let expected = format!(
                    "hash {} at byte {}, as its .head says",
                    durable.hash.escape_debug(),
                    durable.start
                );
                let flaw = Flaw::new(AuditBreak::Rewritten, found, expected);
                return Err(flaw.at(&self.path, self.chain.line));
            }
        }
        Ok(next)
    }

    /// Makes sure that nothing is missing or wrong after the last record.
    fn end(&mut self) -> Result<(), AuditError> {
        let rest = self.chain.rest(self.durable.as_ref());
        let rest = rest.map_err(|flaw| flaw.at(&self.path, self.chain.line + 1))?;
        let last = self.chain.head.seq;
        if let Some(durable) = self.durable.as_ref().filter(|durable| durable.seq > last) {
            let expected = format!("{} more records, as its .head says", durable.seq - last);
            let flaw = Flaw::new(AuditBreak::EndMissing, "the end", expected);
            return Err(flaw.at(&self.path, self.chain.line + 1));
        }
        self.chain.torn += rest.map_or(0, |rest| rest.torn().lines);
        Ok(())
    }
}

impl Iterator for AuditReader {
    type Item = Result<AuditRecord, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(Some((line, text))) => {
                    // a line that was read once reads again
                    let fields: Map<String, Value> =
                        serde_json::from_slice(&text).unwrap_or_default();
                    let record = AuditRecord::new(line, fields);
                    if self.filter.wants(&record) {
                        return Some(Ok(record));
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
