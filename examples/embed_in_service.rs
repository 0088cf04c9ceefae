//! The engine inside a service of yours, with a backend of yours: rotates what is due every now and then, reports
//! through its own channels, and shuts down without leaving an account half done.
//!
//! Run it: `cargo run -p rotation-examples --example embed_in_service`
//! You will see: a first run that rotates everything, a second that finds nothing due, and an orderly end.

#[path = "shared/file_directory.rs"]
mod file_directory;

use std::sync::Arc;
use std::time::Duration;

use file_directory::FileDirectory;
use futures::StreamExt;
use rotation_core::{AccountQuery, Age, Engine, EventKind, Policy, Report};
use secret_stores::{Recipients, SqliteStore, keygen};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let directory = FileDirectory(folder.path().join("directory.json"));
    let long_ago = "2020-01-01T00:00:00Z".parse()?;
    let users = (1..=50).map(|n| {
        (
            n.to_string(),
            (format!("svc-{n:02}"), Some(long_ago), String::new()),
        )
    });
    directory.write(&users.collect())?;

    // The service knows only the public key: it can write passwords, not read them.
    let recipients = Recipients::parse([keygen().public])?;
    let store = SqliteStore::open(folder.path().join("rotation.db"), &recipients).await?;
    let policy = Policy {
        max_age: Age::days(30),
        exclude: vec!["svc-13".parse()?],
        ..Policy::default()
    };
    let engine = Engine::new(Arc::new(directory), Arc::new(store), policy)?;

    let mut shutdown = std::pin::pin!(tokio::time::sleep(Duration::from_secs(1)));
    let mut timer = tokio::time::interval(Duration::from_millis(600));
    loop {
        tokio::select! {
            _ = timer.tick() => {
                let report = rotate_what_is_due(&engine).await?;
                println!("rotated {}, skipped {}, failed {}", report.rotated, report.skipped, report.failures());
            }
            () = &mut shutdown => break,
        }
    }
    println!("shut down; nothing was under way");
    Ok(())
}

/// One run. Its events are what metrics and logs are made of.
async fn rotate_what_is_due(engine: &Engine) -> Result<Report, Box<dyn std::error::Error>> {
    let mut run = engine.run(engine.plan(AccountQuery::All).await?);
    while let Some(event) = run.next().await {
        match event.kind {
            EventKind::Finished { upn, result, .. } => tracing::debug!(upn, ?result, "finished"),
            EventKind::Stopped(reason) => tracing::warn!(?reason, "the run stops early"),
            EventKind::RunFinished { report } => return Ok(report),
            _ => {}
        }
    }
    Err("a run ends with its report".into())
}
