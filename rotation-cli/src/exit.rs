//! How the program ends: what its exit code says, and an error with the code that goes with it.

use std::process::ExitCode;

use miette::Report;

/// What the exit code says. Scripts rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything wanted is done.
    Done,
    /// Finished, but some accounts failed, were denied or are unsettled.
    Incomplete,
    /// Interrupted; what was begun is safe.
    Interrupted,
    /// The preflight said no: nothing was sent.
    Preflight,
    /// Stopped before its time: by the canary, the circuit breaker, or a lease or an audit record that was lost.
    Stopped,
    /// A wrong command line or configuration.
    Usage,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Preflight => 4,
            Self::Stopped => 5,
            // as a shell reports a process ended by SIGINT: 128 + 2
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) report: Report,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(report: impl Into<Report>) -> Self {
        Self {
            exit: Exit::Usage,
            report: report.into(),
        }
    }

    /// Something that must hold before anything is sent does not.
    pub(crate) fn preflight(report: impl Into<Report>) -> Self {
        Self {
            exit: Exit::Preflight,
            report: report.into(),
        }
    }

    /// The same problem, found before anything was sent.
    pub(crate) fn at_preflight(self) -> Self {
        Self {
            exit: Exit::Preflight,
            ..self
        }
    }

    /// A signal came before anything was sent.
    pub(crate) fn interrupted() -> Self {
        Self {
            exit: Exit::Interrupted,
            report: miette::miette!("interrupted before anything was sent"),
        }
    }
}
