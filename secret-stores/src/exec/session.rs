//! One process of the program, from its first line to its end.

use std::collections::HashMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rotation_core::{Password, Problem, StoreError};
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::{Zeroize, Zeroizing};

use super::ExecConfig;
use super::handed::{Handed, gives_away};
use super::protocol::{Answer, PROTOCOL, Request};

/// How many requests may be unanswered at once.
const WINDOW: u32 = 32;

/// The longest line that is taken for an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How much of the program's own words an error repeats, in characters.
const LONGEST_WORDS: usize = 200;

/// Said instead of the program's own words.
const WITHHELD: &str = "its words are withheld, for they may hold a password";

/// Nobody waits for longer, and adding it to a time does not overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a process may take to end by itself once it closed a pipe.
const GRACE: Duration = Duration::from_secs(2);

/// Asks one process. Once this is dropped and every answer is there, the process is told to end.
pub(super) struct Session {
    program: String,
    handed: Arc<Handed>,
    asks: mpsc::Sender<Asked>,
    next_id: AtomicU64,
    /// Why the process is of no more use, once it is not.
    end: Arc<OnceLock<End>>,
    task: JoinHandle<()>,
    can_reveal: bool,
}

/// A request on its way to the process.
struct Asked {
    id: u64,
    line: Zeroizing<Vec<u8>>,
    waiting: Waiting,
}

/// Who waits for an answer.
struct Waiting {
    /// The password that the request hands over.
    secret: Option<Arc<Password>>,
    reply: oneshot::Sender<Answer>,
}

/// Why a process is of no more use.
#[derive(Debug)]
enum End {
    Ended(Option<ExitStatus>),
    Nonsense(&'static str),
    Pipe(io::Error),
    Silent(Duration),
    /// Nobody asks any more.
    Unasked,
}

impl Session {
    /// Starts the program and greets it.
    pub(super) async fn start(
        config: &ExecConfig,
        handed: Arc<Handed>,
    ) -> Result<Self, StoreError> {
        let program = config.program.display().to_string();
        let (child, stdin, stdout) =
            spawn(config).map_err(|error| cannot_start(&program, error))?;
        let (asks, asked) = mpsc::channel(WINDOW as usize);
        let end = Arc::new(OnceLock::new());
        let talk = Talk {
            stdin,
            stdout,
            asked,
            unsent: Zeroizing::default(),
            sent: 0,
            heard: Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER)),
            waiting: HashMap::new(),
            silent_since: Instant::now(),
            limit: config.timeout.min(LONGEST_TIMEOUT),
        };
        let mut session = Self {
            program,
            handed,
            asks,
            next_id: AtomicU64::new(0),
            end: Arc::clone(&end),
            task: tokio::spawn(talk.run(child, end)),
            can_reveal: false,
        };
        session.can_reveal = session.greet().await?;
        Ok(session)
    }

    /// Whether the program can read passwords back.
    async fn greet(&self) -> Result<bool, StoreError> {
        let hello = match self.ask(Request::Hello).await {
            Err(_) if matches!(self.end.get(), Some(End::Nonsense(_))) => {
                return Err(StoreError::Unusable(self.ended()));
            }
            answer => answer?,
        };
        if hello.protocol == Some(PROTOCOL) {
            return Ok(hello.reveal);
        }
        let found = match hello.protocol {
            Some(version) => format!("version {version} of the protocol"),
            None => "no version of the protocol".to_owned(),
        };
        let message = format!(
            "program {} answers that it speaks {found}, expected {PROTOCOL}",
            self.program
        );
        let fix = "use a program that follows docs/exec-store.md";
        Err(StoreError::Unusable(Problem::new(message).with_fix(fix)))
    }

    pub(super) fn can_reveal(&self) -> bool {
        self.can_reveal
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// The answer to one request, if it is yes.
    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Answer, StoreError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = request
            .line(id)
            .map_err(|error| StoreError::unavailable("cannot write a request as JSON", error))?;
        let (reply, answer) = oneshot::channel();
        if let Some(new) = request.new_version() {
            self.handed.add(new);
        }
        let secret = request.secret();
        let waiting = Waiting { secret, reply };
        let asked = Asked { id, line, waiting };
        let answer = match self.asks.send(asked).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        match answer {
            Some(answer) if answer.ok => Ok(answer),
            Some(answer) => Err(self.refused(request, &answer)),
            None => Err(StoreError::Unavailable {
                problem: self.ended(),
                source: None,
            }),
        }
    }

    /// Waits until the process has answered everything and ended.
    pub(super) async fn close(self) {
        drop(self.asks);
        // An error means that it was stopped already.
        self.task.await.ok();
    }

    fn refused(&self, request: Request<'_>, answer: &Answer) -> StoreError {
        let program = &self.program;
        let words = words(answer.error.as_ref());
        let may_repeat = self.handed.may_repeat(&words, request.key());
        let words = if may_repeat { words.as_str() } else { WITHHELD };
        let message = match request.key() {
            Some(key) => format!(
                "program {program} did not {} version {} of account {}: {words}",
                request.op(),
                key.version,
                key.account
            ),
            None => format!("program {program} is not ready: {words}"),
        };
        let problem = Problem::new(message).with_fix("put right what the program says");
        if answer.retry {
            StoreError::Unavailable {
                problem,
                source: None,
            }
        } else {
            StoreError::Unusable(problem)
        }
    }

    fn ended(&self) -> Problem {
        let program = &self.program;
        match self.end.get() {
            Some(End::Ended(status)) => {
                let status = status.map_or_else(
                    || "it closed its output".to_owned(),
                    |status| status.to_string(),
                );
                Problem::new(format!("program {program} ended before it answered: {status}")).with_fix(
                    "run it by hand to see why: its standard error is not shown here, for it may hold a password",
                )
            }
            Some(End::Nonsense(what)) => Problem::new(format!(
                "program {program} wrote {what} to its standard output, expected one answer to each request, \
                 a line of JSON"
            ))
            .with_fix("let it write nothing else there: docs/exec-store.md"),
            Some(End::Pipe(error)) => {
                Problem::new(format!("program {program} does not take requests: {error}"))
                    .with_fix("let it read its standard input until that ends")
            }
            Some(End::Silent(limit)) => Problem::new(format!(
                "program {program} did not answer within {limit:?}, and was killed"
            ))
            .with_fix("find out what it waits for, or raise [store] timeout"),
            Some(End::Unasked) | None => Problem::new(format!("program {program} was stopped")),
        }
    }
}

/// The conversation with a process.
struct Talk {
    stdin: ChildStdin,
    stdout: ChildStdout,
    asked: mpsc::Receiver<Asked>,
    /// The line that is being written, and how much of it is.
    unsent: Zeroizing<Vec<u8>>,
    sent: usize,
    /// What was read and is not a whole line yet.
    heard: Zeroizing<Vec<u8>>,
    /// By id, and since when an answer is waited for.
    waiting: HashMap<u64, (Instant, Waiting)>,
    /// Since when the process owes an answer: its last one, or the first request after it had answered all.
    silent_since: Instant,
    limit: Duration,
}

impl Talk {
    async fn run(mut self, child: Child, told: Arc<OnceLock<End>>) {
        let end = self.converse().await;
        drop(self.stdin);
        let end = finish(child, end, self.limit).await;
        // Before `asked` and `waiting` are dropped, which is how others hear that there is an end.
        told.set(end).ok();
    }

    async fn converse(&mut self) -> End {
        let mut is_open = true;
        loop {
            let is_sending = self.sent < self.unsent.len();
            if !is_open && !is_sending && self.waiting.is_empty() {
                return End::Unasked;
            }
            let until = self.patience();
            tokio::select! {
                biased;
                read = self.stdout.read_buf(&mut *self.heard) => match read {
                    Ok(0) => return End::Ended(None),
                    Ok(_) => {
                        if let Err(what) = self.hear() {
                            return End::Nonsense(what);
                        }
                    }
                    Err(error) => return End::Pipe(error),
                },
                written = self.stdin.write(self.unsent.get(self.sent..).unwrap_or_default()), if is_sending => match written {
                    Ok(0) => return End::Pipe(io::ErrorKind::WriteZero.into()),
                    Ok(count) => self.has_sent(count),
                    Err(error) => return End::Pipe(error),
                },
                asked = self.asked.recv(), if is_open && !is_sending && self.waiting.len() < WINDOW as usize => match asked {
                    Some(asked) => self.send(asked),
                    None => is_open = false,
                },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return End::Silent(self.limit);
                }
            }
        }
    }

    /// Until when an answer must come. A program that answers one request after the other may take the limit for each,
    /// and one that leaves one out while it answers others is not waited for longer than that.
    fn patience(&self) -> Option<Instant> {
        let oldest = self.waiting.values().map(|(since, _)| *since).min()?;
        let in_turn = oldest + self.limit * WINDOW;
        Some(in_turn.min(self.silent_since + self.limit))
    }

    fn send(&mut self, asked: Asked) {
        self.unsent = asked.line;
        self.sent = 0;
        let now = Instant::now();
        if self.waiting.is_empty() {
            self.silent_since = now;
        }
        self.waiting.insert(asked.id, (now, asked.waiting));
    }

    fn has_sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.unsent.len() {
            self.sent = 0;
            self.unsent = Zeroizing::default();
        }
    }

    /// Hands over the answers in what was read; an error says what it was instead.
    fn hear(&mut self) -> Result<(), &'static str> {
        let Some(last) = self.heard.iter().rposition(|byte| *byte == b'\n') else {
            // The buffer never grows, for growing would leave a copy of a password behind.
            let has_room = self.heard.len() < LONGEST_ANSWER;
            return has_room.then_some(()).ok_or("a line without end");
        };
        let (lines, _) = self.heard.split_at(last + 1);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            // What the parser says may hold a password.
            let mut answer: Answer =
                serde_json::from_slice(line).map_err(|_| "a line that is no answer")?;
            let (_, waiting) = self
                .waiting
                .remove(&answer.id)
                .ok_or("an answer to what was not asked")?;
            self.silent_since = Instant::now();
            let secrets = self.waiting.values().map(|(_, other)| other);
            withhold(&mut answer, secrets.chain([&waiting]));
            // Whoever asked may have been dropped meanwhile.
            waiting.reply.send(answer).ok();
        }
        let rest = self.heard.len() - last - 1;
        self.heard.copy_within(last + 1.., 0);
        if let Some(done) = self.heard.get_mut(rest..) {
            done.zeroize();
        }
        self.heard.truncate(rest);
        Ok(())
    }
}

/// Takes the program's words out of `answer` if they hold a password.
fn withhold<'a>(answer: &mut Answer, waiting: impl IntoIterator<Item = &'a Waiting>) {
    let Some(words) = &answer.error else { return };
    let words = words.expose_secret();
    let mut secrets = waiting.into_iter().filter_map(|one| one.secret.as_ref());
    if secrets.any(|secret| gives_away(words, secret)) {
        answer.error = Some(SecretString::from(WITHHELD));
    }
}

/// What the program said, fit for one line of ours.
fn words(said: Option<&SecretString>) -> String {
    let said = said.map_or("", |said| said.expose_secret()).trim();
    if said.is_empty() {
        return "it does not say why".to_owned();
    }
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    said.chars().take(LONGEST_WORDS).map(printable).collect()
}

fn spawn(config: &ExecConfig) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut command = Command::new(&config.program);
    command
        .args(&config.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may hold a password, so it is neither shown nor kept.
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // An interrupt from the terminal is for us: the program is needed until the last account is parked.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(stdin), Some(stdout)) => Ok((child, stdin, stdout)),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Sees that the process ends, and says why it did.
async fn finish(mut child: Child, end: End, limit: Duration) -> End {
    let patience = match end {
        End::Ended(_) | End::Pipe(_) => GRACE,
        End::Nonsense(_) | End::Silent(_) => Duration::ZERO,
        End::Unasked => limit,
    };
    #[cfg(unix)]
    let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let waited = timeout(patience, child.wait()).await;
    let status = waited.ok().and_then(Result::ok);
    if status.is_none() {
        // Also what it started: that would go on with an old request beside the next process.
        #[cfg(unix)]
        if let Some(group) = group {
            kill_process_group(group, Signal::KILL).ok();
        }
        // What cannot be killed is of no more use either.
        child.kill().await.ok();
    }
    match end {
        End::Ended(_) | End::Pipe(_) if status.is_some() => End::Ended(status),
        end => end,
    }
}

fn cannot_start(program: &str, error: io::Error) -> StoreError {
    let problem = Problem::new(format!("cannot start program {program}: {error}"));
    let fix = match error.kind() {
        io::ErrorKind::NotFound => {
            "name an existing program in [store] program; the interpreter in its first line must exist too"
        }
        io::ErrorKind::PermissionDenied => "make it executable: chmod +x",
        _ if error.raw_os_error() == Some(EXEC_FORMAT) => {
            "name its interpreter in its first line, like #!/usr/bin/env python3"
        }
        _ => {
            return StoreError::Unavailable {
                problem,
                source: Some(Arc::new(error)),
            };
        }
    };
    StoreError::Unusable(problem.with_fix(fix))
}

/// `ENOEXEC`: neither a binary nor a script that names its interpreter.
const EXEC_FORMAT: i32 = 8;
