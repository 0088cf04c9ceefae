//! How fast are many accounts rotated, beside what is possible and what users run today? Every row is a process of its own, all
//! against the same process of the simulator, over loopback, in turns.
//!
//! Run it: `cargo bench -p rotation-benches --bench bulk`
//! More or fewer: `ROTATION_BENCH_ACCOUNTS=100000`, `ROTATION_BENCH_ROUNDS=5`, `ROTATION_BENCH_MEMORY=100000` (accounts of the larger
//! tenant whose memory is measured), `ROTATION_BENCH_ROWS=SQLite` (only rows with this in their name, and the ceilings)
//! The peers: `benches/peers/graph-rs-sdk/build.sh`, `entra-sim/tests/sdk/install.sh`; the servers of stores:
//! `secret-stores/tests/servers/*.sh`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what this program is for"
)]

mod harness;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the real server that the tests of the store use"
)]
#[path = "../secret-stores/tests/postgres/cluster.rs"]
mod cluster;
#[allow(dead_code, clippy::unwrap_used, reason = "as above")]
#[path = "../secret-stores/tests/openbao/workshop.rs"]
mod openbao;
#[allow(dead_code, clippy::unwrap_used, reason = "as above")]
#[path = "../secret-stores/tests/postgres/workshop.rs"]
mod postgres;
#[allow(dead_code, clippy::unwrap_used, reason = "as above")]
#[path = "../secret-stores/tests/openbao/server.rs"]
mod server;

use std::time::Duration;

use harness::contest::{self, ourselves};
use harness::servers::Servers;
use harness::setup::{Setup, Store, Target, Task};
use harness::simulator::Simulator;
use harness::table::{Rounds, grouped};
use harness::{CONCURRENCY, Failure, contestant, median, number, peers, table};
use tokio::process::Command;

/// Less than any directory takes that is not on the same machine; Graph takes twenty times as long.
const LATENCY: Duration = Duration::from_millis(5);

/// What goes into one batch.
const BATCH: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    if contestant::is_contestant() {
        return contestant::be().await;
    }
    let accounts = number("ROTATION_BENCH_ACCOUNTS", 40_000, 100)?;
    let rounds = number("ROTATION_BENCH_ROUNDS", 3, 1)?;
    let most = number("ROTATION_BENCH_MEMORY", 1_000_000, 1_000)?;
    compare(accounts, rounds).await?;
    println!();
    memory(most / 100, most).await
}

/// One row of the table.
struct Row {
    name: &'static str,
    kind: Kind,
    /// Passwords in one request.
    batch: usize,
    concurrency: usize,
    /// Slow ones rotate but one in so many accounts.
    share: usize,
    at_once: Rounds,
    late: Rounds,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bare,
    Engine(Keeper),
    GraphRsSdk,
    PythonSdk,
}

#[derive(Clone, Copy, PartialEq)]
enum Keeper {
    Memory,
    Sqlite,
    SqliteAudited,
    Postgres,
    OpenBao,
}

impl Row {
    fn new(name: &'static str, kind: Kind, batch: usize, share: usize) -> Self {
        Self {
            name,
            kind,
            batch,
            concurrency: CONCURRENCY,
            share,
            at_once: Rounds::default(),
            late: Rounds::default(),
        }
    }

    fn is_ceiling(&self) -> bool {
        self.kind == Kind::Bare && self.concurrency > 1
    }
}

/// The ceilings first: the others are compared with them.
fn rows() -> Vec<Row> {
    use Keeper::{Memory, OpenBao, Postgres, Sqlite, SqliteAudited};
    use Kind::{Bare, Engine, GraphRsSdk, PythonSdk};
    let mut rows = vec![
        Row::new("bare loop, single", Bare, 1, 1),
        Row::new("bare loop, batch", Bare, BATCH, 1),
        Row::new("engine, single, in memory", Engine(Memory), 1, 1),
        Row::new("engine, single, SQLite", Engine(Sqlite), 1, 1),
        Row::new(
            "engine, single, SQLite, on record",
            Engine(SqliteAudited),
            1,
            1,
        ),
        Row::new("engine, single, Postgres", Engine(Postgres), 1, 2),
        Row::new("engine, single, OpenBao", Engine(OpenBao), 1, 40),
        Row::new("engine, batch, in memory", Engine(Memory), BATCH, 1),
        Row::new("engine, batch, SQLite", Engine(Sqlite), BATCH, 1),
        Row::new(
            "engine, batch, SQLite, on record",
            Engine(SqliteAudited),
            BATCH,
            1,
        ),
        Row::new("engine, batch, Postgres", Engine(Postgres), BATCH, 2),
        Row::new("engine, batch, OpenBao", Engine(OpenBao), BATCH, 40),
        Row::new("graph-rs-sdk, single", GraphRsSdk, 1, 1),
        Row::new("graph-rs-sdk, batch", GraphRsSdk, BATCH, 1),
        Row::new("msgraph-sdk for Python, single", PythonSdk, 1, 40),
        Row {
            concurrency: 1,
            ..Row::new("one after another", Bare, 1, 40)
        },
    ];
    if let Ok(part) = std::env::var("ROTATION_BENCH_ROWS") {
        rows.retain(|row| row.is_ceiling() || row.name.contains(&part));
    }
    rows
}

async fn compare(accounts: usize, rounds: usize) -> Result<(), Failure> {
    // some accounts are of kinds that are not rotated
    let simulator = Simulator::start(accounts + 100).await?;
    let targets = simulator.targets(accounts).await?;
    let servers = Servers::start().await?;
    let mut rows = rows();
    let mut least = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for latency in [Duration::ZERO, LATENCY] {
            simulator.delay(latency).await?;
            // in turns, so that a machine that slows down slows all of them
            for row in &mut rows {
                let some = &targets[..(accounts / row.share).max(1)];
                let Some(measured) = run(row, some, &simulator, &servers).await? else {
                    continue;
                };
                let into = if latency.is_zero() {
                    &mut row.at_once
                } else {
                    &mut row.late
                };
                into.0.push(measured);
                eprintln!(
                    "round {} of {rounds}, {latency:?}, {}: {measured:.1?}",
                    round + 1,
                    row.name
                );
            }
        }
        for (least, batch) in least.iter_mut().zip([1, BATCH]) {
            let setup = setup(&simulator, Task::BareLoop, CONCURRENCY, batch, accounts);
            least.push(contest::measure_without_simulator(&setup, &targets).await?);
        }
    }
    rows.retain(|row| !row.at_once.0.is_empty());
    println!(
        "{CONCURRENCY} requests at once, median of {rounds} rounds; a directory that answers at once, and one that takes {LATENCY:?}:"
    );
    print(&rows, accounts);
    println!();
    conclude(&rows, least.map(median));
    Ok(())
}

/// One measurement; `None` for what is not installed.
async fn run(
    row: &Row,
    targets: &[Target],
    simulator: &Simulator,
    servers: &Servers,
) -> Result<Option<contest::Measured>, Failure> {
    let folder = tempfile::tempdir()?;
    let ours = |task| ourselves().map(|command| Some((command, task)));
    let contestant: Option<(Command, Task)> = match row.kind {
        Kind::Bare => ours(Task::BareLoop)?,
        Kind::GraphRsSdk => peers::graph_rs_sdk()?.map(|command| (command, Task::Peer)),
        Kind::PythonSdk => peers::python_sdk()?.map(|command| (command, Task::Peer)),
        Kind::Engine(keeper) => {
            let sqlite = |audited| {
                let folder = folder.path().to_owned();
                Some(Store::Sqlite { folder, audited })
            };
            let store = match keeper {
                Keeper::Memory => Some(Store::Memory),
                Keeper::Sqlite => sqlite(false),
                Keeper::SqliteAudited => sqlite(true),
                Keeper::Postgres => servers.postgres().await,
                Keeper::OpenBao => servers.openbao().await,
            };
            match store {
                Some(store) => ours(Task::Engine(store))?,
                None => None,
            }
        }
    };
    let Some((command, task)) = contestant else {
        return Ok(None);
    };
    let setup = setup(simulator, task, row.concurrency, row.batch, targets.len());
    let measured = contest::measure(command, &setup, targets, simulator).await;
    measured
        .map(Some)
        .map_err(|error| format!("{}: {error}", row.name).into())
}

fn setup(
    simulator: &Simulator,
    task: Task,
    concurrency: usize,
    batch: usize,
    accounts: usize,
) -> Setup {
    Setup {
        task,
        directory: simulator.directory.clone(),
        concurrency,
        batch,
        accounts,
    }
}

fn print(rows: &[Row], accounts: usize) {
    let head = [
        "",
        "accounts",
        "accounts/s",
        "to the bare loop",
        "CPU µs",
        "at 5 ms: accounts/s",
        "to the bare loop",
        "CPU µs",
        "peak MiB",
        "requests per account",
        "throttled",
    ];
    let lines = rows.iter().map(|row| {
        let ceiling = rows
            .iter()
            .find(|other| other.is_ceiling() && other.batch == row.batch);
        let to_ceiling = |rounds: fn(&Row) -> &Rounds| {
            let ratio = ceiling.map(|ceiling| rounds(row).ratio(rounds(ceiling), |m| m.rate));
            format!("{:.3}", ratio.unwrap_or(f64::NAN))
        };
        let (at_once, late) = (&row.at_once, &row.late);
        let throttled: u64 = [at_once, late]
            .iter()
            .flat_map(|rounds| &rounds.0)
            .map(|measured| measured.throttled)
            .sum();
        vec![
            row.name.to_owned(),
            grouped((accounts / row.share).max(1) as f64),
            grouped(at_once.rate()),
            to_ceiling(|row| &row.at_once),
            format!("{:.1}", at_once.median(|m| m.cpu)),
            grouped(late.rate()),
            to_ceiling(|row| &row.late),
            format!("{:.1}", late.median(|m| m.cpu)),
            format!(
                "{:.0}",
                at_once.median(|m| m.peak).max(late.median(|m| m.peak))
            ),
            format!("{:.3}", at_once.median(|m| m.requests)),
            throttled.to_string(),
        ]
    });
    table::print(&head, lines);
}

/// What was to be reached, and whether the simulator was what was measured.
fn conclude(rows: &[Row], least: [f64; 2]) {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for ((way, least), batch) in ["single", "batch"].iter().zip(least).zip([1, BATCH]) {
        let ceiling = rows
            .iter()
            .find(|row| row.is_ceiling() && row.batch == batch);
        let Some(bare) = ceiling else { continue };
        if let Some(engine) = row(&format!("engine, {way}, SQLite")) {
            println!(
                "- {way}, SQLite, to the bare loop: {:.2} at once, {:.2} at {LATENCY:?} (target: 0.90 or more); by its own CPU time alone {:.2}",
                engine.at_once.ratio(&bare.at_once, |m| m.rate),
                engine.late.ratio(&bare.late, |m| m.rate),
                engine.at_once.ratio(&bare.at_once, |m| 1.0 / m.cpu),
            );
            for peer in ["single", "batch"] {
                if let Some(sdk) = row(&format!("graph-rs-sdk, {peer}")) {
                    println!(
                        "- {way}, SQLite, to graph-rs-sdk, {peer}: {:.2} at once, {:.2} at {LATENCY:?} (target: 3 or more)",
                        engine.at_once.ratio(&sdk.at_once, |m| m.rate),
                        engine.late.ratio(&sdk.late, |m| m.rate),
                    );
                }
            }
        }
        let simulator = bare.at_once.median(|m| m.simulator_cpu);
        let rate = bare.at_once.rate();
        println!(
            "- the simulator, {way}: {simulator:.1} µs of CPU time per account, {:.0} % of {cores} cores beside the bare loop's {:.0} %; \
             the bare loop reaches {} accounts/s with it and {} with a server that answers without looking",
            simulator * rate / 1e4 / cores as f64,
            bare.at_once.median(|m| m.cpu) * rate / 1e4 / cores as f64,
            grouped(rate),
            grouped(least),
        );
    }
}

/// Is memory flat? A whole tenant listed, planned and rotated in batches, with SQLite.
async fn memory(fewer: usize, more: usize) -> Result<(), Failure> {
    let mut peaks = Vec::new();
    let mut lines = Vec::new();
    for accounts in [fewer, more] {
        let simulator = Simulator::start(accounts).await?;
        let folder = tempfile::tempdir()?;
        let store = Store::Sqlite {
            folder: folder.path().to_owned(),
            audited: false,
        };
        let setup = setup(&simulator, Task::PlanAndRun(store), CONCURRENCY, BATCH, 0);
        let measured = contest::measure(ourselves()?, &setup, &[], &simulator).await?;
        peaks.push(measured.peak);
        lines.push(vec![
            grouped(accounts as f64),
            grouped(measured.rate),
            format!("{:.1}", measured.peak),
            format!("{:.2}", measured.peak / peaks[0]),
        ]);
    }
    println!(
        "Engine with SQLite, in batches, listing and planning a whole tenant (targets: 1.15 or less, under 100 MiB):"
    );
    let head = ["accounts of the tenant", "accounts/s", "peak MiB", "ratio"];
    table::print(&head, lines);
    Ok(())
}
