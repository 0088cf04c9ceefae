use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rotation_core::Problem;

use crate::overheard::Overheard;

/// Why a process is of no more use.
#[derive(Debug)]
pub(super) enum End {
    Ended(Option<ExitStatus>),
    Idle,
    Nonsense(&'static str),
    Pipe(io::Error),
    Silent(Duration),
    /// Nobody asks any more.
    Unasked,
}

impl End {
    /// What to say of it, with the last line that it printed.
    pub(super) fn problem(&self, overheard: &Overheard) -> Problem {
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
                .with_fix("is `program` really PowerShell? start it by hand and look")
            }
            Self::Idle | Self::Unasked => Problem::new("the PowerShell worker was ended"),
            Self::Nonsense(what) => Problem::new(format!(
                "the PowerShell worker wrote {what}, expected one answer to each request; it was killed{said}"
            ))
            .with_fix("see what else writes to its standard output"),
            Self::Pipe(error) => Problem::new(format!(
                "the PowerShell worker does not take requests: {error}{said}"
            ))
            .with_fix("is `program` really PowerShell? start it by hand and look"),
            Self::Silent(limit) => Problem::new(format!(
                "the PowerShell worker did not answer within {limit:?}, and was killed{said}"
            ))
            .with_fix("find out what it waits for, or raise the time limit"),
        }
    }
}
