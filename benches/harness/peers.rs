//! What users run today, each a program of its own that is told the same as our contestants.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::Failure;

/// The loop around `graph-rs-sdk`; `None`, said aloud, if it is not built.
pub(crate) fn graph_rs_sdk() -> Result<Option<Command>, Failure> {
    let binary = target()?.join("peers/release/peer-graph-rs-sdk");
    let script = "benches/peers/graph-rs-sdk/build.sh";
    Ok(found(&binary, script).then(|| Command::new(&binary)))
}

/// The loop around Microsoft's SDK for Python; `None`, said aloud, if that is not installed.
pub(crate) fn python_sdk() -> Result<Option<Command>, Failure> {
    let python = target()?.join("sdk/venv/bin/python");
    let script = "entra-sim/tests/sdk/install.sh";
    Ok(found(&python, script).then(|| {
        let mut command = Command::new(&python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/python/bulk.py"));
        command
    }))
}

fn found(program: &Path, script: &str) -> bool {
    let found = program.exists();
    if !found {
        eprintln!("skipped: {} is not there; run {script}", program.display());
    }
    found
}

/// …/target, of …/target/release/deps/bulk-0123456789abcdef.
fn target() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).ok_or("no target directory")?;
    Ok(target.to_owned())
}
