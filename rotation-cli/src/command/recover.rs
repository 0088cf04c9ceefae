//! `rotation recover`: settles what earlier runs left unsettled, and rotates nothing else.

use super::apply::tell;
use crate::args::{Common, Format, Recover};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::output;

pub(super) async fn run(common: &Common, args: Recover) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let job = Job {
        unsettled: true,
        events: args.events,
        sharded: args.sharded,
        ..Job::default()
    };
    let summary = job.run(&config, common).await?;
    if summary.is_idle() && common.format == Format::Table {
        output::line("Nothing is unsettled.")?;
        return Ok(summary.exit());
    }
    Ok(tell(&summary, common))
}
