//! Ctrl-C and SIGTERM: the first asks to stop, the second does not wait.

use std::io;

use tokio::sync::watch;

use crate::exit::{Exit, Failure};
use crate::output;

/// Tells that somebody asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let mut signals = Signals::new().map_err(|error| {
            Failure::usage(miette::miette!("cannot listen to signals: {error}"))
        })?;
        let (asked, seen) = watch::channel(false);
        tokio::spawn(async move {
            signals.next().await;
            asked.send_replace(true);
            output::note(
                "stopping: finishing the accounts under way (once more to exit at once; either way no password is lost)",
            );
            signals.next().await;
            output::note(
                "interrupted: the state is safe, the next `rotation apply` settles what was under way",
            );
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
        Ok(Self(seen))
    }

    /// Whether somebody asked to stop.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks to stop.
    pub(crate) async fn requested(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What `work` gives, unless somebody asks to stop first. For work that sends nothing.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.requested() => Err(Failure::interrupted()),
            result = work => result,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
