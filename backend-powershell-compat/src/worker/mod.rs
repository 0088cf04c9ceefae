//! One process of PowerShell, from its first line to its end. It does one request after the other.

mod process;

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use rotation_core::{BackendError, Password, Problem};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ear::{Ear, Heard};
use crate::overheard::Overheard;
use crate::protocol::{Answer, Ask, PROTOCOL, Record, Says, lines};
use crate::redact::{WITHHELD, gives_away};

pub(crate) use process::{cannot_start, spawn};

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// The most items that the parts of one answer may have, where they are gathered.
const MOST_ITEMS: usize = 1 << 20;

/// What a process that answers twice wrote.
const UNASKED: &str = "an answer that nobody asked for";

/// What `bootstrap.ps1` prints where it may not start the worker.
const RESTRICTED: &str = "rotation: language mode";

/// What must not be shown.
#[derive(Clone)]
pub(crate) enum Secret {
    Credential(SecretString),
    Password(Arc<Password>),
}

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Credential(secret) => secret.expose_secret(),
            Self::Password(password) => password.expose(),
        }
    }
}

/// Asks one process. Once this is dropped, the process is told to end.
pub(crate) struct Worker {
    asks: mpsc::Sender<Asked>,
    next_id: AtomicU64,
    /// What each line of its answers begins with.
    mark: String,
    /// Why the process is of no more use, once it is not.
    end: Arc<OnceLock<End>>,
    overheard: Arc<Overheard>,
}

/// A request on its way to the process.
struct Asked {
    id: u64,
    lines: Zeroizing<Vec<u8>>,
    secret: Option<Secret>,
    limit: Duration,
    /// Where parts go, if they are not gathered.
    parts: Option<mpsc::Sender<Vec<Value>>>,
    reply: oneshot::Sender<Result<Reply, Lost>>,
}

/// What a process answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Done {
        /// The items of all parts.
        items: Vec<Value>,
        ok: Value,
    },
    /// It says that it failed.
    Failed(Record),
}

/// There is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// The process certainly heard nothing of the request.
    NotWritten(Problem),
    /// It may have done what was asked.
    Written(Problem),
}

impl Lost {
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::NotWritten(problem) | Self::Written(problem) => problem,
        }
    }
}

/// Why a process is of no more use.
#[derive(Debug)]
enum End {
    Ended(Option<ExitStatus>),
    Idle,
    Nonsense(&'static str),
    Pipe(io::Error),
    Silent(Duration),
    /// Nobody asks any more.
    Unasked,
}

impl Worker {
    /// Starts `program` with the constant `script`, and sees whether it speaks our protocol.
    ///
    /// # Errors
    /// - [`BackendError::NotAuthorized`] if it cannot be started, or not in a language that the worker is written in;
    /// - [`BackendError::Unavailable`] if it does not say hello within `limit`;
    /// - [`BackendError::Unexpected`] if it says something else.
    pub(crate) async fn start(
        program: &Path,
        script: &str,
        limit: Duration,
        idle: Option<Duration>,
    ) -> Result<(Self, Value), BackendError> {
        let (child, pipes) = spawn(program)
            .map_err(|error| BackendError::NotAuthorized(cannot_start(program, &error)))?;
        let mark = format!("@rotation:{}", Uuid::new_v4().simple());
        let (asks, asked) = mpsc::channel(1);
        let end = Arc::new(OnceLock::new());
        let overheard = Arc::new(Overheard::default());
        tokio::spawn(process::overhear(pipes.stderr, Arc::clone(&overheard)));
        let talk = Talk {
            stdin: pipes.stdin,
            stdout: pipes.stdout,
            piece: Zeroizing::new(vec![0; PIECE]),
            ear: Ear::new(mark.clone()),
            overheard: Arc::clone(&overheard),
            idle,
        };
        tokio::spawn(talk.run(asked, child, Arc::clone(&end)));
        let worker = Self {
            asks,
            next_id: AtomicU64::new(1),
            mark,
            end,
            overheard,
        };
        let hello = worker.greet(script, limit).await?;
        Ok((worker, hello))
    }

    /// The first line is the script, the second the handshake.
    async fn greet(&self, script: &str, limit: Duration) -> Result<Value, BackendError> {
        let hello = Ask::Hello {
            protocol: PROTOCOL,
            mark: &self.mark,
        };
        let mut first = Zeroizing::new(STANDARD.encode(script).into_bytes());
        first.push(b'\n');
        match self.send(Some(first), &hello, None, limit, None).await {
            Ok(Reply::Done { ok, .. }) if ok.get("protocol") == Some(&Value::from(PROTOCOL)) => {
                Ok(ok)
            }
            Ok(Reply::Done { ok, .. }) => {
                let found = ok.get("protocol").cloned().unwrap_or_default();
                let message = format!(
                    "PowerShell answers that it speaks version {found} of the protocol, expected {PROTOCOL}"
                );
                Err(BackendError::Unexpected(Problem::new(message)))
            }
            Ok(Reply::Failed(record)) => {
                let message = format!("PowerShell does not run the worker: {}", record.words());
                Err(BackendError::Unexpected(Problem::new(message)))
            }
            Err(lost) if self.is_restricted() => {
                let fix = "App Control or AppLocker restricts PowerShell here: let it run in FullLanguage mode for this \
                           account";
                Err(BackendError::NotAuthorized(lost.problem().with_fix(fix)))
            }
            Err(lost) => Err(BackendError::Unavailable(lost.problem())),
        }
    }

    /// Asks, and gathers whatever comes in parts.
    pub(crate) async fn ask(
        &self,
        ask: &Ask<'_>,
        secret: Option<Secret>,
        limit: Duration,
    ) -> Result<Reply, Lost> {
        self.send(None, ask, secret, limit, None).await
    }

    /// Asks for items that come in `parts`, which are waited for as long as it takes to get rid of them.
    pub(crate) async fn stream(
        &self,
        ask: &Ask<'_>,
        limit: Duration,
        parts: mpsc::Sender<Vec<Value>>,
    ) -> Result<Reply, Lost> {
        self.send(None, ask, None, limit, Some(parts)).await
    }

    async fn send(
        &self,
        before: Option<Zeroizing<Vec<u8>>>,
        ask: &Ask<'_>,
        secret: Option<Secret>,
        limit: Duration,
        parts: Option<mpsc::Sender<Vec<Value>>>,
    ) -> Result<Reply, Lost> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let exposed = secret.as_ref().map(Secret::expose);
        let lines = lines(id, ask, exposed)
            .map_err(|_| Lost::NotWritten(Problem::new("a request cannot be written as JSON")))?;
        let lines = match before {
            None => lines,
            Some(before) => Zeroizing::new([before.as_slice(), lines.as_slice()].concat()),
        };
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            id,
            lines,
            secret,
            limit,
            parts,
            reply,
        };
        if self.asks.send(asked).await.is_err() {
            return Err(Lost::NotWritten(self.why_ended()));
        }
        // Whoever took it replies, unless the runtime is shutting down.
        answer
            .await
            .unwrap_or_else(|_| Err(Lost::Written(self.why_ended())))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.asks.is_closed()
    }

    /// Whether it said that it cannot run the worker, which it can then say in no better way.
    fn is_restricted(&self) -> bool {
        let lines = self.overheard();
        lines.iter().any(|line| line.starts_with(RESTRICTED))
    }

    /// What it printed besides its answers.
    pub(crate) fn overheard(&self) -> Vec<String> {
        self.overheard.lines()
    }

    fn why_ended(&self) -> Problem {
        match self.end.get() {
            Some(end) => end.problem(&self.overheard),
            None => Problem::new("the PowerShell worker was stopped"),
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl End {
    fn problem(&self, overheard: &Overheard) -> Problem {
        let said = match overheard.lines().pop() {
            Some(line) => format!("; it printed: {line}"),
            None => String::new(),
        };
        match self {
            Self::Ended(status) => {
                let status = status.map_or_else(
                    || "it closed its output".to_owned(),
                    |status| status.to_string(),
                );
                Problem::new(format!(
                    "the PowerShell worker ended before it answered: {status}{said}"
                ))
                .with_fix("`rotation doctor` shows what it prints when it starts")
            }
            Self::Idle | Self::Unasked => Problem::new("the PowerShell worker was ended"),
            Self::Nonsense(what) => Problem::new(format!(
                "the PowerShell worker wrote {what}, expected one answer to each request; it was killed{said}"
            ))
            .with_fix("see what else writes to its standard output"),
            Self::Pipe(error) => Problem::new(format!(
                "the PowerShell worker does not take requests: {error}{said}"
            ))
            .with_fix("`rotation doctor` shows what it prints when it starts"),
            Self::Silent(limit) => Problem::new(format!(
                "the PowerShell worker did not answer within {limit:?}, and was killed{said}"
            ))
            .with_fix("find out what it waits for, or raise the time limit"),
        }
    }
}

/// The conversation with a process.
struct Talk {
    stdin: ChildStdin,
    stdout: ChildStdout,
    piece: Zeroizing<Vec<u8>>,
    ear: Ear,
    overheard: Arc<Overheard>,
    idle: Option<Duration>,
}

/// A request that the process took and did not answer.
struct Unanswered {
    reply: oneshot::Sender<Result<Reply, Lost>>,
    is_written: bool,
}

impl Talk {
    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Asked>,
        child: Child,
        told: Arc<OnceLock<End>>,
    ) {
        let (end, unanswered) = self.converse(&mut asks).await;
        asks.close();
        drop(self.stdin);
        // Before anyone hears of it: what asks again must not meet the old process.
        let end = process::finish(child, end).await;
        let problem = end.problem(&self.overheard);
        told.set(end).ok();
        if let Some(Unanswered { reply, is_written }) = unanswered {
            let lost = match is_written {
                true => Lost::Written(problem.clone()),
                false => Lost::NotWritten(problem.clone()),
            };
            reply.send(Err(lost)).ok();
        }
        while let Some(asked) = asks.recv().await {
            let lost = Lost::NotWritten(problem.clone());
            asked.reply.send(Err(lost)).ok();
        }
    }

    async fn converse(&mut self, asks: &mut mpsc::Receiver<Asked>) -> (End, Option<Unanswered>) {
        let mut idle_since = Instant::now();
        loop {
            if let Err(end) = self.listen(|_| Err(End::Nonsense(UNASKED))) {
                return (end, None);
            }
            let until = self.idle.map(|idle| idle_since + idle);
            tokio::select! {
                read = self.stdout.read(&mut self.piece) => {
                    if let Err(end) = take(&mut self.ear, &self.piece, read) {
                        return (end, None);
                    }
                }
                asked = asks.recv() => match asked {
                    None => return (End::Unasked, None),
                    // Whoever asked has left before anything was written.
                    Some(asked) if asked.reply.is_closed() => {}
                    Some(asked) => {
                        if let Err(end) = self.is_silent() {
                            let reply = asked.reply;
                            return (end, Some(Unanswered { reply, is_written: false }));
                        }
                        if let Err((end, unanswered)) = self.serve(asked).await {
                            return (end, Some(unanswered));
                        }
                        idle_since = Instant::now();
                    }
                },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return (End::Idle, None);
                }
            }
        }
    }

    /// Whether the process has not said yet what it was not asked: one that answers twice gets no other request.
    fn is_silent(&mut self) -> Result<(), End> {
        if let Some(read) = self.stdout.read(&mut self.piece).now_or_never() {
            take(&mut self.ear, &self.piece, read)?;
        }
        self.listen(|_| Err(End::Nonsense(UNASKED)))
    }

    /// One request and its answer.
    async fn serve(&mut self, asked: Asked) -> Result<(), (End, Unanswered)> {
        let Asked {
            id,
            lines,
            secret,
            limit,
            parts,
            reply,
        } = asked;
        if let Some(secret) = &secret {
            self.overheard.may_hold(secret);
        }
        let mut sent = 0;
        match self.exchange(id, lines, &mut sent, limit, parts).await {
            Ok(mut said) => {
                if let (Reply::Failed(record), Some(secret)) = (&mut said, &secret) {
                    record.withhold(secret.expose());
                }
                // Whoever asked may have been dropped meanwhile.
                reply.send(Ok(said)).ok();
                Ok(())
            }
            Err(end) => {
                let is_written = sent > 0;
                Err((end, Unanswered { reply, is_written }))
            }
        }
    }

    async fn exchange(
        &mut self,
        id: u64,
        lines: Zeroizing<Vec<u8>>,
        sent: &mut usize,
        limit: Duration,
        parts: Option<mpsc::Sender<Vec<Value>>>,
    ) -> Result<Reply, End> {
        let mut lines = Some(lines);
        let mut items = Vec::new();
        let mut silent_since = Instant::now();
        loop {
            let mut heard = Vec::new();
            let is_sent = lines.is_none();
            self.listen(|answer| match answer {
                _ if !is_sent => Err(End::Nonsense("an answer to what it was not asked yet")),
                answer if answer.id == id => {
                    heard.push(answer.says);
                    // What follows is not looked at before the next request.
                    Ok(heard.iter().any(|says| !matches!(says, Says::Part(_))))
                }
                _ => Err(End::Nonsense("an answer to another request")),
            })?;
            for says in heard {
                match (says, &parts) {
                    (Says::Ok(ok), _) => return Ok(Reply::Done { items, ok }),
                    (Says::Error(record), _) => return Ok(Reply::Failed(record)),
                    // It says that work goes on.
                    (Says::Part(part), _) if part.is_empty() => {}
                    (Says::Part(part), Some(parts)) => {
                        parts.send(part).await.map_err(|_| End::Unasked)?;
                    }
                    (Says::Part(part), None) => {
                        if items.len() + part.len() > MOST_ITEMS {
                            return Err(End::Nonsense("an answer without end"));
                        }
                        items.extend(part);
                    }
                }
                silent_since = Instant::now();
            }
            // Asked here too, for a process that never stops talking leaves no turn to a timer.
            if silent_since.elapsed() >= limit {
                return Err(End::Silent(limit));
            }
            let rest = lines.as_ref().and_then(|lines| lines.get(*sent..));
            tokio::select! {
                read = self.stdout.read(&mut self.piece) => take(&mut self.ear, &self.piece, read)?,
                written = self.stdin.write(rest.unwrap_or_default()), if rest.is_some() => match written {
                    Ok(0) => return Err(End::Pipe(io::ErrorKind::WriteZero.into())),
                    Ok(count) => {
                        *sent += count;
                        if rest.is_some_and(|rest| rest.len() == count) {
                            lines = None;
                        }
                    }
                    Err(error) => return Err(End::Pipe(error)),
                },
                () = left(parts.as_ref()) => return Err(End::Unasked),
                () = sleep_until(silent_since + limit) => return Err(End::Silent(limit)),
            }
        }
    }

    /// Goes through what was heard, until an answer was all that was waited for.
    fn listen(&mut self, mut answered: impl FnMut(Answer) -> Result<bool, End>) -> Result<(), End> {
        while let Some(heard) = self.ear.next() {
            match heard {
                Heard::Answer(answer) => {
                    if answered(answer)? {
                        return Ok(());
                    }
                }
                Heard::Nonsense(what) => return Err(End::Nonsense(what)),
                Heard::Other(line) => self.overheard.add(line),
            }
        }
        Ok(())
    }
}

/// Waits until nobody wants the parts any more.
async fn left(parts: Option<&mpsc::Sender<Vec<Value>>>) {
    match parts {
        Some(parts) => parts.closed().await,
        None => std::future::pending().await,
    }
}

fn take(ear: &mut Ear, piece: &[u8], read: io::Result<usize>) -> Result<(), End> {
    match read {
        Ok(0) => Err(End::Ended(None)),
        Ok(count) => {
            ear.hear(piece.get(..count).unwrap_or_default());
            Ok(())
        }
        Err(error) => Err(End::Pipe(error)),
    }
}

impl Record {
    /// Takes out what holds `secret`.
    fn withhold(&mut self, secret: &str) {
        let texts = self.types.iter_mut();
        let texts = texts.chain([&mut self.category, &mut self.id, &mut self.message]);
        for text in texts {
            if gives_away(text, secret) {
                WITHHELD.clone_into(text);
            }
        }
    }
}
