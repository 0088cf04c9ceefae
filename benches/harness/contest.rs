//! One contestant at work in a process of its own, and what it took.

use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Failure;
use super::setup::{Done, Setup, Target};
use super::simulator::Simulator;
use super::usage::Usage;

/// A process that is ready to begin. Ends with this value.
pub(crate) struct Contestant {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// What it said when it was ready.
    pub(crate) greeting: String,
}

/// What a contestant took for its accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Accounts in a second.
    pub(crate) rate: f64,
    /// Microseconds of CPU time of the contestant for each account.
    pub(crate) cpu: f64,
    /// The same of the simulator.
    pub(crate) simulator_cpu: f64,
    /// The most memory that was resident at once, in MiB.
    pub(crate) peak: f64,
    /// HTTP requests for each account, as the simulator counted them.
    pub(crate) requests: f64,
    /// Requests and items of batches that the simulator turned away.
    pub(crate) throttled: u64,
}

/// Ourselves, as a contestant.
pub(crate) fn ourselves() -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(super::contestant::AS_CONTESTANT);
    Ok(command)
}

impl Contestant {
    pub(crate) async fn start(
        mut command: Command,
        setup: &Setup,
        targets: &[Target],
    ) -> Result<Self, Failure> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = process.stdin.take().ok_or("no input")?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut told = Vec::new();
        setup.write(targets, &mut told)?;
        input.write_all(&told).await?;
        let mut output = BufReader::new(output).lines();
        let greeting = output.next_line().await?;
        Ok(Self {
            process,
            input,
            output,
            greeting: greeting.ok_or("a contestant ended before it began: see above")?,
        })
    }

    fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.process.id().ok_or("a contestant ended too soon")?)
    }

    async fn work(&mut self) -> Result<Done, Failure> {
        self.input.write_all(b"go\n").await?;
        let line = self.output.next_line().await?;
        let line = line.ok_or("a contestant ended in the middle: see above")?;
        Ok(serde_json::from_str(&line)?)
    }

    async fn end(mut self) -> Result<(), Failure> {
        drop(self.input);
        let status = self.process.wait().await?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("a contestant ended with {status}").into()),
        }
    }
}

/// Lets `command` rotate `targets`, or all accounts if `setup` says so; fails unless the simulator saw that it did.
pub(crate) async fn measure(
    command: Command,
    setup: &Setup,
    targets: &[Target],
    simulator: &Simulator,
) -> Result<Measured, Failure> {
    let mut contestant = Contestant::start(command, setup, targets).await?;
    simulator.let_time_pass().await?;
    simulator.clear_totals().await?;
    let (before, simulator_before) = (contestant.usage()?, simulator.usage()?);
    let began = Instant::now();
    let done = contestant.work().await?;
    let seconds = began.elapsed().as_secs_f64();
    let (after, simulator_after) = (contestant.usage()?, simulator.usage()?);
    let totals = simulator.totals().await?;
    contestant.end().await?;
    let expected = if targets.is_empty() {
        done.rotated
    } else {
        targets.len()
    };
    if done.rotated != expected || totals.writes < done.rotated as u64 {
        let Done { rotated } = done;
        let writes = totals.writes;
        return Err(format!(
            "{expected} accounts were to be rotated, {rotated} were, and the simulator saw {writes}"
        )
        .into());
    }
    let accounts = done.rotated as f64;
    let micros = |before: Usage, after: Usage| (after.cpu - before.cpu).as_secs_f64() * 1e6;
    Ok(Measured {
        rate: accounts / seconds,
        cpu: micros(before, after) / accounts,
        simulator_cpu: micros(simulator_before, simulator_after) / accounts,
        peak: after.peak,
        requests: totals.http_requests() as f64 / accounts,
        throttled: totals.throttled,
    })
}

/// Lets ourselves send `targets` to the least server there is; accounts in a second.
pub(crate) async fn measure_without_simulator(
    setup: &Setup,
    targets: &[Target],
) -> Result<f64, Failure> {
    let nobody = Setup {
        task: super::setup::Task::LeastServer,
        accounts: 0,
        ..setup.clone()
    };
    let server = Contestant::start(ourselves()?, &nobody, &[]).await?;
    let mut setup = setup.clone();
    setup.directory.base_url.clone_from(&server.greeting);
    let mut contestant = Contestant::start(ourselves()?, &setup, targets).await?;
    let began = Instant::now();
    let done = contestant.work().await?;
    let seconds = began.elapsed().as_secs_f64();
    contestant.end().await?;
    server.end().await?;
    Ok(done.rotated as f64 / seconds)
}
