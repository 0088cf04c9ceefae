//! The command `rotation`: rotates the passwords of directory accounts, and loses none.
//!
//! Wiring only: what is due, who may rotate whom and how a run goes is decided in `rotation-core`.
//!
//! ```text
//! args ─► config ─► wiring ─► preflight ─► survey ─► fleet ─► summary ─► exit
//!                                                      ├─► progress (stderr)
//!                                                      └─► events (file)
//! ```

mod args;
mod audit;
mod clock;
mod command;
mod concurrent;
mod config;
mod events;
mod exit;
mod file;
mod fleet;
mod interrupt;
mod job;
mod log;
mod named;
mod obstructed;
mod output;
mod preflight;
mod progress;
mod reason;
mod role;
mod selection;
mod shard;
mod since;
mod stored;
mod summary;
mod survey;
mod wiring;

#[cfg(not(any(
    feature = "exec",
    feature = "openbao",
    feature = "postgres",
    feature = "sqlite"
)))]
compile_error!("passwords must be kept somewhere: choose at least one kind of store as a feature");

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use exit::Failure;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    log::start(&args.common);
    // one command is one large future: better on the heap than on the stack
    match Box::pin(command::run(args)).await {
        Ok(exit) => exit.into(),
        Err(Failure { exit, report }) => {
            output::note(&format!("{report:?}"));
            exit.into()
        }
    }
}
