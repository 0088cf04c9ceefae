//! The conversation with one process.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use super::end::End;
use super::process::{GRACE, finish};
use super::{Lost, Reply};
use crate::ear::{Ear, Heard};
use crate::overheard::Overheard;
use crate::protocol::{Answer, Says};
use crate::secret::Secret;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// The most items that the parts of one answer may have, where they are gathered.
const MOST_ITEMS: usize = 1 << 20;

/// The most bytes of them.
const MOST_BYTES: usize = 64 << 20;

/// What a process that answers twice wrote.
const UNASKED: &str = "an answer that nobody asked for";

/// A request on its way to the process.
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) lines: Zeroizing<Vec<u8>>,
    pub(super) secret: Option<Secret>,
    pub(super) limit: Duration,
    pub(super) parts: Parts,
    pub(super) reply: oneshot::Sender<Result<Reply, Lost>>,
}

/// Where the parts of an answer go.
pub(super) enum Parts {
    /// There must be none.
    None,
    Gathered,
    To(mpsc::Sender<Vec<Value>>),
}

/// The conversation with a process.
pub(super) struct Talk {
    stdin: ChildStdin,
    stdout: ChildStdout,
    piece: Zeroizing<Vec<u8>>,
    ear: Ear,
    overheard: Arc<Overheard>,
    /// After how long without a request the process is told to end.
    idle: Option<Duration>,
}

/// A request that the process took and did not answer.
struct Unanswered {
    reply: oneshot::Sender<Result<Reply, Lost>>,
    is_written: bool,
}

impl Talk {
    pub(super) fn new(
        stdin: ChildStdin,
        stdout: ChildStdout,
        ear: Ear,
        overheard: Arc<Overheard>,
        idle: Option<Duration>,
    ) -> Self {
        Self {
            stdin,
            stdout,
            piece: Zeroizing::new(vec![0; PIECE]),
            ear,
            overheard,
            idle,
        }
    }

    /// Serves one request after the other until there is an end to it, which is told when the process is gone.
    pub(super) async fn run(
        mut self,
        mut asks: mpsc::Receiver<Asked>,
        child: Child,
        told: Arc<OnceLock<End>>,
    ) {
        let (end, unanswered) = self.converse(&mut asks).await;
        asks.close();
        drop(self.stdin);
        // Before anyone hears of it: what asks again must not meet the old process.
        let end = finish(child, end).await;
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
        parts: Parts,
    ) -> Result<Reply, End> {
        let mut lines = Some(lines);
        // Why nothing more is written; what it said until then is still worth hearing.
        let mut broken = None;
        let mut items = Vec::new();
        let mut bytes = 0;
        let mut silent_since = Instant::now();
        loop {
            let mut heard = Vec::new();
            let is_sent = lines.is_none();
            self.listen(|answer| match answer {
                _ if !is_sent => Err(End::Nonsense("an answer to what it was not asked yet")),
                answer if answer.id == id => {
                    let is_last = !matches!(answer.says, Says::Part(_));
                    heard.push(answer);
                    // What follows is not looked at before the next request.
                    Ok(is_last)
                }
                _ => Err(End::Nonsense("an answer to another request")),
            })?;
            for Answer { says, length, .. } in heard {
                match (says, &parts) {
                    (Says::Ok(ok), _) => return Ok(Reply::Done { items, ok }),
                    (Says::Error(record), _) => return Ok(Reply::Failed(record)),
                    (Says::Part(_), Parts::None) => {
                        return Err(End::Nonsense("items that it was not asked for"));
                    }
                    // It says that work goes on.
                    (Says::Part(part), _) if part.is_empty() => {}
                    (Says::Part(part), Parts::To(parts)) => {
                        parts.send(part).await.map_err(|_| End::Unasked)?;
                    }
                    (Says::Part(part), Parts::Gathered) => {
                        bytes += length;
                        if items.len() + part.len() > MOST_ITEMS || bytes > MOST_BYTES {
                            return Err(End::Nonsense("an answer without end"));
                        }
                        items.extend(part);
                    }
                }
                silent_since = Instant::now();
            }
            // Asked here too, for a process that never stops talking leaves no turn to a timer.
            let limit = if broken.is_some() { GRACE } else { limit };
            if silent_since.elapsed() >= limit {
                return Err(broken.map_or(End::Silent(limit), End::Pipe));
            }
            let rest = lines.as_ref().and_then(|lines| lines.get(*sent..));
            let rest = rest.filter(|_| broken.is_none());
            tokio::select! {
                read = self.stdout.read(&mut self.piece) => take(&mut self.ear, &self.piece, read)?,
                written = self.stdin.write(rest.unwrap_or_default()), if rest.is_some() => match written {
                    Ok(0) => broken = Some(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        *sent += count;
                        if rest.is_some_and(|rest| rest.len() == count) {
                            lines = None;
                        }
                    }
                    Err(error) => broken = Some(error),
                },
                () = left(&parts) => return Err(End::Unasked),
                () = sleep_until(silent_since + limit) => {}
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
async fn left(parts: &Parts) {
    match parts {
        Parts::To(parts) => parts.closed().await,
        Parts::None | Parts::Gathered => std::future::pending().await,
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
