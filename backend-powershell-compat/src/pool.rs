use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rotation_core::{BackendError, Outcome, Problem};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::PowerShellConfig;
use crate::diagnosis::Diagnosis;
use crate::dialect::Dialect;
use crate::protocol::Ask;
use crate::start::{Choice, Started, start};
use crate::worker::{Lost, Reply, Secret, Worker};

/// How many workers in a row may turn out dead before they are told anything.
const ATTEMPTS: usize = 4;

/// The workers of one directory, started when they are needed and again when they have ended.
pub(crate) struct Pool(Arc<Workers>);

struct Workers {
    config: PowerShellConfig,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    /// Which program and dialect go together, once that is known.
    choice: OnceCell<Choice>,
}

#[derive(Default)]
struct State {
    idle: VecDeque<Worker>,
    /// When the last attempt to start one failed.
    failed: Option<(Instant, BackendError)>,
    diagnosis: Option<Diagnosis>,
}

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
    /// Whether a request may be under way that nobody waits for.
    is_busy: bool,
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
            self.take().await?;
        }
        let choice = self.0.choice.get().map(|choice| choice.dialect);
        choice.ok_or_else(|| BackendError::Unexpected(Problem::new("no dialect was chosen")))
    }

    /// What the workers run on.
    pub(crate) async fn diagnosis(&self) -> Result<Diagnosis, BackendError> {
        self.take().await?;
        let diagnosis = self.0.state().diagnosis.clone();
        diagnosis.ok_or_else(|| BackendError::Unexpected(Problem::new("no worker was diagnosed")))
    }

    /// Asks the next free worker, and another one if it is dead before it has heard anything.
    pub(crate) async fn ask(
        &self,
        ask: &Ask<'_>,
        secret: Option<Secret>,
    ) -> Result<Reply, NoReply> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut taken = self.take().await.map_err(NoReply::Start)?;
            let lost = match taken.ask(ask, secret.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(lost) => lost,
            };
            if matches!(lost, Lost::Written(_)) || attempts == ATTEMPTS {
                return Err(NoReply::Lost(lost));
            }
        }
    }

    /// Asks for what changes nothing, and once more if there is no answer.
    pub(crate) async fn read(&self, ask: &Ask<'_>) -> Result<Reply, BackendError> {
        match self.ask(ask, None).await {
            Ok(reply) => Ok(reply),
            Err(NoReply::Start(error @ BackendError::NotAuthorized(_))) => Err(error),
            Err(NoReply::Start(_) | NoReply::Lost(_)) => Ok(self.ask(ask, None).await?),
        }
    }

    /// A worker of its own, for a listing that takes as long as its reader.
    pub(crate) async fn start_one(&self) -> Result<Worker, BackendError> {
        self.0.start_one().await
    }

    async fn take(&self) -> Result<Taken, BackendError> {
        let asked = Instant::now();
        let permits = Arc::clone(&self.0.permits);
        let permit = permits.acquire_owned().await.map_err(|_| stopped())?;
        while let Some(worker) = self.0.next_idle() {
            if !worker.has_ended() {
                return Ok(Taken::new(&self.0, worker, permit));
            }
        }
        // It was tried while we waited: many who wait for a program that does not start do not each try.
        if let Some((at, error)) = &self.0.state().failed
            && *at > asked
        {
            return Err(error.clone());
        }
        // In a task of its own, for starting takes longer than some callers wait. The next one finds it started.
        let workers = Arc::clone(&self.0);
        let (told, taken) = oneshot::channel();
        tokio::spawn(async move {
            let started = workers.start_one().await;
            let taken = started.map(|worker| Taken::new(&workers, worker, permit));
            if let Err(error) = &taken {
                workers.state().failed = Some((Instant::now(), error.clone()));
            }
            // Whoever left leaves it to the others.
            drop(told.send(taken));
        });
        taken.await.map_err(|_| stopped())?
    }
}

impl Workers {
    async fn start_one(&self) -> Result<Worker, BackendError> {
        let Started {
            worker,
            choice,
            diagnosis,
        } = start(&self.config, self.choice.get()).await?;
        // Whoever comes first decides.
        self.choice.set(choice).ok();
        self.state().diagnosis = Some(diagnosis);
        Ok(worker)
    }

    fn next_idle(&self) -> Option<Worker> {
        self.state().idle.pop_back()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn new(workers: &Arc<Workers>, worker: Worker, permit: OwnedSemaphorePermit) -> Self {
        Self {
            workers: Arc::clone(workers),
            worker: Some(worker),
            is_busy: false,
            _permit: permit,
        }
    }

    async fn ask(&mut self, ask: &Ask<'_>, secret: Option<Secret>) -> Result<Reply, Lost> {
        let Some(worker) = &self.worker else {
            return Err(Lost::NotWritten(Problem::new("no worker was taken")));
        };
        self.is_busy = true;
        let limit = match ask {
            Ask::Set { .. } => self.workers.config.request_timeout,
            _ => self.workers.config.read_timeout,
        };
        let reply = worker.ask(ask, secret, limit).await;
        self.is_busy = false;
        reply
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else {
            return;
        };
        if worker.has_ended() {
            return;
        }
        let mut state = self.workers.state();
        // Whoever takes a busy one waits for what it is at, so it comes last.
        if self.is_busy {
            state.idle.push_front(worker);
        } else {
            state.idle.push_back(worker);
        }
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
