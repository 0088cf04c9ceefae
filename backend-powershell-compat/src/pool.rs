use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rotation_core::{BackendError, Outcome, Problem};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::PowerShellConfig;
use crate::diagnosis::Diagnosis;
use crate::dialect::Dialect;
use crate::protocol::Ask;
use crate::secret::Secret;
use crate::start::{Choice, Started, start};
use crate::turns::Turns;
use crate::worker::{Lost, Reply, Worker};

/// How many workers in a row may turn out dead before they are told anything.
const ATTEMPTS: usize = 4;

/// The workers of one directory, started when they are needed and again when they have ended.
pub(crate) struct Pool(Arc<Workers>);

struct Workers {
    config: PowerShellConfig,
    permits: Arc<Semaphore>,
    turns: Arc<Turns>,
    state: Mutex<State>,
    /// Which program and dialect go together, once that is known.
    choice: OnceCell<Choice>,
}

#[derive(Default)]
struct State {
    idle: Vec<Worker>,
    /// When the last attempt to start one failed.
    failed: Option<(Instant, BackendError)>,
    diagnosis: Option<Diagnosis>,
}

/// Ends when whoever asked has left.
type Left = oneshot::Receiver<()>;

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// No worker could be started.
    Start(BackendError),
    Lost(Lost),
}

/// A worker for one request. Dropped, it goes back to the others.
struct Taken {
    workers: Arc<Workers>,
    worker: Option<Worker>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(config: PowerShellConfig) -> Self {
        // Each worker would ask the person again.
        let count = if config.is_interactive() {
            1
        } else {
            config.workers
        };
        Self(Arc::new(Workers {
            permits: Arc::new(Semaphore::new(count)),
            turns: Arc::default(),
            config,
            state: Mutex::default(),
            choice: OnceCell::new(),
        }))
    }

    pub(crate) fn config(&self) -> &PowerShellConfig {
        &self.0.config
    }

    /// The dialect that is spoken; starts a worker to know it.
    pub(crate) async fn dialect(&self) -> Result<Dialect, BackendError> {
        if self.0.choice.get().is_none() {
            self.start().await?;
        }
        let choice = self.0.choice.get().map(|choice| choice.dialect);
        choice.ok_or_else(|| BackendError::Unexpected(Problem::new("no dialect was chosen")))
    }

    /// What the workers run on.
    pub(crate) async fn diagnosis(&self) -> Result<Diagnosis, BackendError> {
        self.start().await?;
        let diagnosis = self.0.state().diagnosis.clone();
        diagnosis.ok_or_else(|| BackendError::Unexpected(Problem::new("no worker was diagnosed")))
    }

    /// Sees that there is a worker.
    async fn start(&self) -> Result<(), BackendError> {
        let taken = self.apart(|workers, mut left| async move {
            workers.take(Instant::now(), &mut left).await.map(drop)
        });
        taken.await.unwrap_or_else(|| Err(stopped()))
    }

    /// Asks the next free worker, and another one if it is dead before it has heard anything. Whoever leaves before there
    /// was a free one has asked nothing.
    pub(crate) async fn ask(&self, ask: Ask, secret: Option<Secret>) -> Result<Reply, NoReply> {
        let reply =
            self.apart(|workers, left| async move { workers.ask(&ask, secret, left).await });
        // A task that is gone may have got anywhere.
        let lost = || Err(NoReply::Lost(Lost::Written(stopped().problem().clone())));
        reply.await.unwrap_or_else(lost)
    }

    /// Asks for what changes nothing, and once more if there is no answer.
    pub(crate) async fn read(&self, ask: Ask) -> Result<Reply, BackendError> {
        match self.ask(ask.clone(), None).await {
            Ok(reply) => Ok(reply),
            // it was tried just now
            Err(NoReply::Start(error)) => Err(error),
            Err(NoReply::Lost(_)) => Ok(self.ask(ask, None).await?),
        }
    }

    /// A worker of its own, for a listing that takes as long as its reader.
    pub(crate) async fn start_one(&self) -> Result<Worker, BackendError> {
        self.0.start_one().await
    }

    /// Does `work` in a task of its own, which goes on whether or not its caller is polled or left. A worker that is taken
    /// is so given back in any case: who waits for one might be what keeps the caller from going on. `None` if the runtime
    /// shuts down.
    async fn apart<T, W>(&self, work: impl FnOnce(Arc<Workers>, Left) -> W) -> Option<T>
    where
        T: Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let (stays, left) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let done = work(Arc::clone(&self.0), left);
        tokio::spawn(async move { drop(tell.send(done.await)) });
        let done = told.await.ok();
        drop(stays);
        done
    }
}

impl Workers {
    async fn ask(
        self: Arc<Self>,
        ask: &Ask,
        secret: Option<Secret>,
        mut left: Left,
    ) -> Result<Reply, NoReply> {
        let asked = Instant::now();
        let limit = match ask {
            Ask::Set { .. } => self.config.request_timeout,
            _ => self.config.read_timeout,
        };
        let unasked = || {
            let problem = Problem::new("nobody asks any more");
            Err(NoReply::Lost(Lost::NotWritten(problem)))
        };
        let _turn = match ask {
            Ask::Set { account, .. } => tokio::select! {
                turn = self.turns.of(account) => Some(turn),
                _ = &mut left => return unasked(),
            },
            _ => None,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let taken = Arc::clone(&self)
                .take(asked, &mut left)
                .await
                .map_err(NoReply::Start)?;
            let Some(worker) = taken.worker.as_ref().filter(|_| !has_left(&mut left)) else {
                return unasked();
            };
            let lost = match worker.ask(ask, secret.clone(), limit).await {
                Ok(reply) => return Ok(reply),
                Err(lost) => lost,
            };
            if matches!(lost, Lost::Written(_)) || attempts == ATTEMPTS {
                return Err(NoReply::Lost(lost));
            }
        }
    }

    /// A worker for what was `asked` then, as soon as one is free. Starting one is seen through even if whoever asked has left: the next one finds it
    /// started.
    async fn take(self: Arc<Self>, asked: Instant, left: &mut Left) -> Result<Taken, BackendError> {
        let permits = Arc::clone(&self.permits);
        let permit = tokio::select! {
            permit = permits.acquire_owned() => permit.map_err(|_| stopped())?,
            _ = left => return Err(stopped()),
        };
        while let Some(worker) = self.next_idle() {
            if !worker.has_ended() {
                return Ok(Taken::new(self, worker, permit));
            }
        }
        // It was tried while we waited: many who wait for a program that does not start do not each try.
        if let Some((at, error)) = &self.state().failed
            && *at > asked
        {
            return Err(error.clone());
        }
        match self.start_one().await {
            Ok(worker) => Ok(Taken::new(self, worker, permit)),
            Err(error) => {
                self.state().failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn start_one(&self) -> Result<Worker, BackendError> {
        let Started {
            worker,
            choice,
            diagnosis,
        } = start(&self.config, self.choice.get()).await?;
        // Whoever comes first decides.
        self.choice.set(choice).ok();
        let mut state = self.state();
        state.diagnosis = Some(diagnosis);
        state.failed = None;
        drop(state);
        Ok(worker)
    }

    fn next_idle(&self) -> Option<Worker> {
        self.state().idle.pop()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether whoever asked has left.
fn has_left(left: &mut Left) -> bool {
    !matches!(left.try_recv(), Err(TryRecvError::Empty))
}

impl Taken {
    fn new(workers: Arc<Workers>, worker: Worker, permit: OwnedSemaphorePermit) -> Self {
        Self {
            workers,
            worker: Some(worker),
            _permit: permit,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let worker = self.worker.take();
        let alive = worker.filter(|worker| !worker.has_ended());
        self.workers.state().idle.extend(alive);
    }
}

fn stopped() -> BackendError {
    BackendError::Unavailable(Problem::new("the PowerShell workers were stopped"))
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

impl From<NoReply> for BackendError {
    fn from(no_reply: NoReply) -> Self {
        match no_reply {
            NoReply::Start(error) => error,
            NoReply::Lost(lost) => Self::Unavailable(lost.problem()),
        }
    }
}

/// The outcome of setting a password that no worker answered for.
impl From<NoReply> for Outcome {
    fn from(no_reply: NoReply) -> Self {
        match no_reply {
            NoReply::Start(error) => Self::NotSent(error.problem().clone()),
            NoReply::Lost(lost) => lost.into(),
        }
    }
}
