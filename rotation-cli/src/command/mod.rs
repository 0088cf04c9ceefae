//! One file per command.

mod apply;
mod audit;
mod demo;
mod doctor;
mod explain;
mod generate;
mod init;
mod keygen;
mod plan;
mod prune;
mod recover;
mod reveal;
mod setup;
mod status;

use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};

/// Does what the command line says.
///
/// # Errors
/// If it cannot be done; what was done before is said on the way.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { common, command } = args;
    match command {
        Command::Apply(args) => apply::run(&common, args).await,
        Command::Audit(args) => audit::run(&common, &args),
        Command::Demo(args) => demo::run(common, args).await,
        Command::Doctor(args) => doctor::run(&common, &args).await,
        Command::Explain(args) => explain::run(&common, &args).await,
        Command::Generate(args) => generate::run(&common, &args),
        Command::Init => init::run(&common),
        Command::Keygen(args) => keygen::run(&common, &args),
        Command::Plan(args) => plan::run(&common, &args).await,
        Command::Prune(args) => prune::run(&common, &args).await,
        Command::Recover(args) => recover::run(&common, args).await,
        Command::Reveal(args) => reveal::run(&common, &args).await,
        Command::Setup(args) => setup::run(&common, &args).await,
        Command::Status(args) => status::run(&common, &args).await,
    }
}
