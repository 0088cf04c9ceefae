//! How many accounts are rotated per second over real HTTP? Beside it, in the same run and against the same simulator: a
//! bare loop that sends the same requests with passwords made before, keeps nothing and retries nothing.
//!
//! Run it: `cargo bench -p rotation-benches --bench rotate`
//! More accounts: `ROTATION_BENCH_ACCOUNTS=50000 cargo bench -p rotation-benches --bench rotate`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

#[allow(dead_code, reason = "shared by benchmarks that each use a part of it")]
mod harness;

use std::sync::Arc;

use harness::{Bench, Failure, Table, accounts, is_measured};
use rotation_core::testkit::MemoryStore;
use secret_stores::{Recipients, SqliteStore, keygen};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let bench = Bench::start(accounts(10_000)?).await?;
    let mut table = Table::new();
    // in turns, so that a machine that slows down slows all of them
    for _ in 0..if is_measured() { ROUNDS } else { 1 } {
        table.add("bare loop", bench.bare_loop().await?);
        let memory = Arc::new(MemoryStore::new());
        table.add("engine, store in memory", bench.engine(memory).await?);
        let folder = tempfile::tempdir()?;
        let recipients = Recipients::parse([keygen().public])?;
        let store = SqliteStore::open(folder.path().join("rotation.db"), &recipients).await?;
        table.add("engine, SQLite store", bench.engine(Arc::new(store)).await?);
    }
    table.print(bench.plan.len());
    Ok(())
}
