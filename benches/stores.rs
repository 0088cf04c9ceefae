//! What does durability cost? Accounts per second over real HTTP with each store, beside one in memory, in one run.
//! Postgres and OpenBao are real servers on this machine: `secret-stores/tests/servers/*.sh` install them.
//!
//! Run it: `cargo bench -p rotation-benches --bench stores`
//! More accounts: `ROTATION_BENCH_ACCOUNTS=50000 cargo bench -p rotation-benches --bench stores`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "shared by benchmarks that each use a part of it")]
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

use std::sync::Arc;
use std::time::Duration;

use entra_sim::{Effect, Fault};
use harness::{Bench, Failure, Table, accounts, is_measured};
use rotation_core::AuditFile;
use rotation_core::testkit::MemoryStore;
use secret_stores::{OpenBaoStore, PostgresStore, Recipients, SqliteStore, keygen};

const ROUNDS: usize = 3;

/// Less than any directory takes that is not on the same machine.
const LATENCY: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let bench = Bench::start(accounts(5_000)?).await?;
    let cluster = cluster::Cluster::shared();
    if let Some(cluster) = cluster {
        // tests want every statement in the log, and nobody else does
        let admin = cluster.admin("postgres").await;
        let quiet = "ALTER SYSTEM SET log_statement = 'none'";
        admin.batch_execute(quiet).await?;
        admin.batch_execute("SELECT pg_reload_conf()").await?;
    }
    let bao = server::shared().await;
    println!("A directory that answers at once, on the cores that the stores need:");
    compare(&bench, cluster, bao).await?;
    println!("\nA directory that takes {LATENCY:?}:");
    let slow = Fault::on_patch(Effect::delay(LATENCY));
    bench.server.add_fault(slow);
    compare(&bench, cluster, bao).await
}

/// Every store in turns, so that a machine that slows down slows all of them.
async fn compare(
    bench: &Bench,
    cluster: Option<&cluster::Cluster>,
    bao: Option<&server::Server>,
) -> Result<(), Failure> {
    let mut table = Table::new();
    for _ in 0..if is_measured() { ROUNDS } else { 1 } {
        let memory = Arc::new(MemoryStore::new());
        table.add("store in memory", bench.engine(memory).await?);

        let folder = tempfile::tempdir()?;
        let recipients = Recipients::parse([keygen().public])?;
        let sqlite = SqliteStore::open(folder.path().join("rotation.db"), &recipients).await?;
        table.add("SQLite", bench.engine(Arc::new(sqlite)).await?);

        let sqlite = SqliteStore::open(folder.path().join("audited.db"), &recipients).await?;
        let audit = AuditFile::open(folder.path().join("audit.jsonl"))?;
        let audited = bench.audited(Arc::new(sqlite), Some(Arc::new(audit)));
        table.add("SQLite, every step on record", audited.await?);

        if let Some(cluster) = cluster {
            let shop = postgres::Workshop::new(cluster).await;
            let store = PostgresStore::open(shop.config(), &recipients).await?;
            table.add("Postgres", bench.engine(Arc::new(store)).await?);
        }
        if let Some(bao) = bao {
            let shop = openbao::Workshop::new(bao).await;
            let store = OpenBaoStore::open(shop.config()).await?;
            table.add("OpenBao, in memory", bench.engine(Arc::new(store)).await?);
        }
    }
    table.print(bench.plan.len());
    Ok(())
}
