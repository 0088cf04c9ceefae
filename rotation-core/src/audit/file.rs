//! The record in a file, written in groups: whatever is appended while one group is being made durable shares the next.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::AuditLog;
use super::chain::{Chain, Rest};
use super::error::AuditError;
use super::head::private;
use super::lock::lock;
use super::reader::{AuditFilter, AuditReader, AuditSummary};
use super::record::{self, Content, Head};
use crate::{Event, Problem};

/// How many calls share one write at most.
const GROUP: usize = 1024;

/// Ends a torn line. The space keeps one that lacks nothing but its end from turning into a record.
const TORN_END: &str = " \n";

/// An [`AuditLog`] in a file of JSON lines, each bound to the one before it by its hash.
///
/// Many runs and processes may append to one file at a time, on one machine: each group is written under the file's
/// lock. Clones share one writing thread, which ends with the last of them.
///
/// What a crash leaves half-written stays in the file. The next record after it, of event `torn`, tells its length and
/// its hash, so that it does not break the chain and is not overlooked.
#[derive(Clone, Debug)]
pub struct AuditFile {
    calls: mpsc::Sender<Call>,
}

#[derive(Debug)]
struct Call {
    contents: Vec<Content>,
    reply: oneshot::Sender<Result<(), AuditError>>,
}

impl AuditFile {
    /// Opens the record at `path`, or begins one that only its owner can read. Checks the end of the record, not all of
    /// it, and blocks while it does.
    ///
    /// # Errors
    /// - [`AuditError::Broken`] if it is no audit record, or its end is not as it was written. It is left as it is.
    /// - [`AuditError::Unavailable`] if it cannot be read or written, or another process holds it for half a minute.
    /// - [`AuditError::Unusable`] if what stands in `….head` beside it is not ours.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, AuditError> {
        let mut writer = Writer {
            path: path.into(),
            head: None,
        };
        writer.begin()?;
        let path = writer.path.clone();
        let (send, calls) = mpsc::channel(GROUP);
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(calls))
            .map_err(|error| AuditError::io("start a thread for", &path, error))?;
        Ok(Self { calls: send })
    }

    /// Reads the whole record at `path`, in memory that does not grow with it, and makes sure that every line is as it was
    /// written and none is missing; with `expected`, also that the record with this hash is among them, so that what led
    /// up to it is what it was when that hash was noted. Appending may go on meanwhile. Blocks.
    ///
    /// Without `….head` beside it, a cut at its end does not show but by `expected`.
    ///
    /// # Errors
    /// - [`AuditError::Broken`] at the first line that is not as it was written.
    /// - [`AuditError::Unavailable`] if it cannot be read, or another process holds it for half a minute.
    /// - [`AuditError::Unusable`] if what stands in `….head` beside it is not ours.
    pub fn verify(
        path: impl AsRef<Path>,
        expected: Option<&str>,
    ) -> Result<AuditSummary, AuditError> {
        AuditReader::open(path.as_ref(), AuditFilter::default())?.verify(expected)
    }

    /// The hash of the last record at `path` that is durable, zeros before the first: keep it elsewhere, and
    /// [verify](Self::verify) against it. `None` if there is no record. Blocks, for one small read.
    ///
    /// # Errors
    /// - [`AuditError::Unavailable`] if it cannot be read.
    /// - [`AuditError::Unusable`] if what stands in `….head` beside it is not ours.
    pub fn head(path: impl AsRef<Path>) -> Result<Option<String>, AuditError> {
        Ok(Head::read(path.as_ref())?.map(|head| head.hash))
    }

    /// The records at `path` that `filter` wants, in order. Checks them as [`verify`](Self::verify) does while it goes
    /// on, and ends after the first error. Blocks.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for a broken record, which is the last item.
    pub fn read(path: impl AsRef<Path>, filter: AuditFilter) -> Result<AuditReader, AuditError> {
        AuditReader::open(path.as_ref(), filter)
    }
}

#[async_trait]
impl AuditLog for AuditFile {
    async fn append(&self, events: &[Event]) -> Result<(), AuditError> {
        let contents = events
            .iter()
            .map(Content::of_event)
            .collect::<Result<Vec<_>, _>>()?;
        if contents.is_empty() {
            return Ok(());
        }
        let stopped = || AuditError::Unavailable {
            problem: Problem::new("the thread that writes the audit record stopped")
                .with_fix("start again"),
            source: None,
        };
        let (reply, answer) = oneshot::channel();
        self.calls
            .send(Call { contents, reply })
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// Whoever holds the pen.
struct Writer {
    path: PathBuf,
    /// The end of the file as we left it; none before our first group.
    head: Option<Head>,
}

impl Writer {
    fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let mut group = Vec::with_capacity(GROUP);
        while calls.blocking_recv_many(&mut group, GROUP) > 0 {
            let answer = self.append(group.iter().flat_map(|call| &call.contents));
            for call in group.drain(..) {
                // whoever asked may have been dropped
                let _gone = call.reply.send(answer.clone());
            }
        }
    }

    /// Makes sure that there is a record to append to, and a head beside it before the first record is written.
    fn begin(&mut self) -> Result<(), AuditError> {
        let path = &self.path;
        let file = private(File::options().read(true).append(true).create(true)).open(path);
        let file = file.map_err(|error| AuditError::io("open", path, error))?;
        lock(&file, path, File::try_lock)?;
        let (head, _) = self.last(&file)?;
        if Head::read(path)?.is_none() {
            // What a crashed process wrote may not be durable yet, and the head must not be ahead of it.
            file.sync_all()
                .map_err(|error| AuditError::io("write", path, error))?;
            head.write(path)?;
            sync_directory(path)
                .map_err(|error| AuditError::io("write the directory of", path, error))?;
        }
        Ok(())
    }

    fn append<'a>(
        &mut self,
        contents: impl Iterator<Item = &'a Content>,
    ) -> Result<(), AuditError> {
        let path = &self.path;
        // By its name each time: it may have been moved away.
        let file = File::options().read(true).append(true).open(path);
        let file = file.map_err(|error| AuditError::io("open", path, error))?;
        lock(&file, path, File::try_lock)?;
        let (mut head, rest) = self.last(&file)?;
        let mut text = String::new();
        let mut contents = contents.peekable();
        if let (Some(mut rest), Some(first)) = (rest, contents.peek()) {
            if rest.open {
                text.push_str(TORN_END);
                rest.add(TORN_END.as_bytes());
            }
            let torn = rest.torn();
            let marker = Content::of_torn(first.at, &torn);
            let marker = marker.map_err(|error| AuditError::io("write", path, error.into()))?;
            let line;
            (line, head) = record::seal(&marker, &head, torn.bytes);
            text.push_str(&line);
        }
        for content in contents {
            let line;
            (line, head) = record::seal(content, &head, 0);
            text.push_str(&line);
        }
        write(&file, &text).map_err(|error| AuditError::io("write", path, error))?;
        head.write(path)?;
        self.head = Some(head);
        Ok(())
    }

    /// The last record, and what a crash left after it.
    fn last(&self, file: &File) -> Result<(Head, Option<Rest>), AuditError> {
        let unreadable = |error| AuditError::io("read", &self.path, error);
        let length = file.metadata().map_err(unreadable)?.len();
        if let Some(head) = self.head.as_ref().filter(|head| head.end == length) {
            return Ok((head.clone(), None));
        }
        let durable = Head::read(&self.path)?;
        let from = durable.clone().unwrap_or_else(Head::none);
        if !from.stands_in(file).map_err(unreadable)? {
            return Err(self.why_not(&from));
        }
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(from.end)).map_err(unreadable)?;
        let mut chain = Chain::new(reader, from);
        while chain.next().map_err(unreadable)?.is_some() {}
        let rest = chain
            .rest(durable.as_ref())
            .map_err(|flaw| flaw.at(&self.path, chain.line + 1))?;
        match &self.head {
            Some(ours) if ours.seq > chain.head.seq => Err(self.why_not(ours)),
            _ => Ok((chain.head, rest)),
        }
    }

    /// Why `head` is not in the file: this takes a look at all of it.
    fn why_not(&self, head: &Head) -> AuditError {
        let reader = File::open(&self.path)
            .map_err(|error| AuditError::io("read", &self.path, error))
            .and_then(|file| AuditReader::new(file, &self.path, AuditFilter::default()));
        match reader.and_then(|reader| reader.verify(Some(&head.hash))) {
            Err(error) => error,
            Ok(_) => AuditError::Unusable(Problem::new(format!(
                "{}.head: found record {} at byte {}, expected it elsewhere",
                self.path.display(),
                head.seq,
                head.start
            ))),
        }
    }
}

/// All of `text`, durably; none of it if the disk lets us take it back.
fn write(mut file: &File, text: &str) -> io::Result<()> {
    let length = file.metadata()?.len();
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_data());
    if written.is_err() {
        // What a failed sync leaves reads like what is durable until the machine stops: it must not be built upon.
        // If this fails too, the next group goes on after what of it can be read.
        let _kept = file.set_len(length);
    }
    written
}

/// Makes the names in the directory of `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
