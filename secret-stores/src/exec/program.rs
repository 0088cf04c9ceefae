use std::sync::Arc;

use futures::future::join_all;
use rotation_core::StoreError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ExecConfig;
use super::handed::Handed;
use super::protocol::Request;
use super::session::Session;

/// The program, started when it is needed and again when it has ended.
pub(super) struct Program {
    config: ExecConfig,
    last: Mutex<Last>,
    /// What one process was given, the next may say.
    handed: Arc<Handed>,
}

/// The last attempt to start it.
enum Last {
    None,
    Failed(Instant, StoreError),
    Started(Arc<Session>),
}

impl Program {
    pub(super) fn new(config: ExecConfig) -> Self {
        Self {
            config,
            last: Mutex::new(Last::None),
            handed: Arc::default(),
        }
    }

    pub(super) fn config(&self) -> &ExecConfig {
        &self.config
    }

    /// A process that runs, as far as we know.
    pub(super) async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        match &*last {
            Last::Started(session) if !session.has_ended() => return Ok(Arc::clone(session)),
            // It was tried while we waited: many who wait for a program that hangs do not each wait for it.
            Last::Failed(at, error) if *at > asked => return Err(error.clone()),
            _ => {}
        }
        match Session::start(&self.config, Arc::clone(&self.handed)).await {
            Ok(session) => {
                let session = Arc::new(session);
                *last = Last::Started(Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                *last = Last::Failed(Instant::now(), error.clone());
                Err(error)
            }
        }
    }

    /// Tells one process all of `requests`, in their order; one result for each.
    pub(super) async fn tell(&self, requests: &[Request<'_>]) -> Vec<Result<(), StoreError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return vec![Err(error); requests.len()],
        };
        let answers = requests.iter().map(|request| session.ask(*request));
        let answers = join_all(answers).await;
        answers.into_iter().map(|answer| answer.map(drop)).collect()
    }

    /// Waits until the process has ended.
    pub(super) async fn close(self) {
        if let Last::Started(session) = self.last.into_inner()
            && let Some(session) = Arc::into_inner(session)
        {
            session.close().await;
        }
    }
}
