//! One process of PowerShell, from its first line to its end. It does one request after the other.

mod end;
mod process;
mod talk;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rotation_core::{BackendError, Problem};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ear::Ear;
use crate::overheard::Overheard;
use crate::protocol::{Ask, PROTOCOL, Record, lines};
use crate::secret::Secret;

use end::End;
use process::{cannot_start, spawn};
use talk::{Asked, Parts, Talk};

/// What `bootstrap.ps1` prints where it may not start the worker.
const RESTRICTED: &str = "rotation: language mode";

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

impl Worker {
    /// Starts `program` with the constant `script` and without the variables `hidden`, and sees whether it speaks our protocol.
    ///
    /// # Errors
    /// - [`BackendError::NotAuthorized`] if it cannot be started, or not in a language that the worker is written in;
    /// - [`BackendError::Unavailable`] if it does not say hello within `limit`;
    /// - [`BackendError::Unexpected`] if it says something else.
    pub(crate) async fn start(
        program: &Path,
        script: &str,
        hidden: &[String],
        limit: Duration,
        idle: Option<Duration>,
    ) -> Result<(Self, Value), BackendError> {
        let (child, pipes) = spawn(program, hidden)
            .map_err(|error| BackendError::NotAuthorized(cannot_start(program, &error)))?;
        let mark = format!("@rotation:{}", Uuid::new_v4().simple());
        let (asks, asked) = mpsc::channel(1);
        let end = Arc::new(OnceLock::new());
        let overheard = Arc::new(Overheard::default());
        tokio::spawn(process::overhear(pipes.stderr, Arc::clone(&overheard)));
        let ear = Ear::new(mark.clone());
        let talk = Talk::new(pipes.stdin, pipes.stdout, ear, Arc::clone(&overheard), idle);
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
            mark: self.mark.clone(),
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
        ask: &Ask,
        secret: Option<Secret>,
        limit: Duration,
    ) -> Result<Reply, Lost> {
        self.send(None, ask, secret, limit, None).await
    }

    /// Asks for items that come in `parts`, which are waited for as long as it takes to get rid of them.
    pub(crate) async fn stream(
        &self,
        ask: &Ask,
        limit: Duration,
        parts: mpsc::Sender<Vec<Value>>,
    ) -> Result<Reply, Lost> {
        self.send(None, ask, None, limit, Some(parts)).await
    }

    async fn send(
        &self,
        before: Option<Zeroizing<Vec<u8>>>,
        ask: &Ask,
        secret: Option<Secret>,
        limit: Duration,
        parts: Option<mpsc::Sender<Vec<Value>>>,
    ) -> Result<Reply, Lost> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(id, with_secret = secret.is_some(), "asks a worker");
        let exposed = secret.as_ref().map(Secret::expose);
        let lines = lines(id, ask, exposed)
            .map_err(|_| Lost::NotWritten(Problem::new("a request cannot be written as JSON")))?;
        let lines = match before {
            None => lines,
            Some(before) => Zeroizing::new([before.as_slice(), lines.as_slice()].concat()),
        };
        let parts = match parts {
            Some(parts) => Parts::To(parts),
            None if ask.has_parts() => Parts::Gathered,
            None => Parts::None,
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
