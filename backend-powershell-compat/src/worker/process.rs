use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rotation_core::Problem;
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::end::End;
use crate::ear::{Ear, Heard};
use crate::overheard::Overheard;

/// How long a process may take to end by itself once it closed a pipe, or was told to end.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What the process runs: it reads the worker's script from its first line, since a command line has a limit and is no
/// place for what is long. It is constant, so the arguments tell nothing.
const BOOTSTRAP: &str = include_str!("bootstrap.ps1");

pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

pub(super) fn spawn(program: &Path, hidden: &[String]) -> io::Result<(Child, Pipes)> {
    let mut command = Command::new(program);
    for name in hidden {
        command.env_remove(name);
    }
    command
        .args(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command"])
        .arg(BOOTSTRAP)
        .env("NO_COLOR", "1")
        .env("POWERSHELL_TELEMETRY_OPTOUT", "1")
        .env("POWERSHELL_UPDATECHECK", "Off")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // An interrupt from the terminal is for us: the worker is needed until the last answer is there.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            let pipes = Pipes {
                stdin,
                stdout,
                stderr,
            };
            Ok((child, pipes))
        }
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Listens to the standard error until its end.
pub(super) async fn overhear(stderr: ChildStderr, overheard: Arc<Overheard>) {
    // A mark that no line has.
    let mut ear = Ear::new("\n".to_owned());
    let mut reader = BufReader::new(stderr);
    let mut piece = vec![0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut piece).await {
        ear.hear(piece.get(..count).unwrap_or_default());
        while let Some(heard) = ear.next() {
            if let Heard::Other(line) = heard {
                overheard.add(line);
            }
        }
    }
}

/// Sees that the process ends, and says why it did.
pub(super) async fn finish(mut child: Child, end: End) -> End {
    let patience = match end {
        End::Ended(_) | End::Pipe(_) | End::Idle | End::Unasked => GRACE,
        End::Nonsense(_) | End::Silent(_) => Duration::ZERO,
    };
    #[cfg(unix)]
    let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let waited = timeout(patience, child.wait()).await;
    let status = waited.ok().and_then(Result::ok);
    if status.is_none() {
        // Also what it started: that would go on with an old request beside the next worker.
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

/// Why `program` could not be started.
pub(super) fn cannot_start(program: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot start {}: {error}", program.display()));
    problem.with_fix(match error.kind() {
        io::ErrorKind::NotFound => {
            "name an existing pwsh or powershell.exe, or install PowerShell: https://aka.ms/powershell"
        }
        io::ErrorKind::PermissionDenied => "make it executable, or allow this account to run it",
        _ => "run it by hand to see why",
    })
}
