//! `rotation apply`: rotates what is due.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use rotation_core::{PlanError, ReviewedPlan};

use crate::args::{Apply, Common, Format};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::output;
use crate::summary::Summary;

pub(super) async fn run(common: &Common, args: Apply) -> Result<Exit, Failure> {
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    let job = Job {
        unsettled: false,
        reviewed: args.plan.as_deref().map(read_plan).transpose()?,
        max: args.max,
        events: args.events,
        sharded: args.sharded,
    };
    Ok(tell(&job.run(&config, common).await?, common))
}

/// Says what was done, and how the program ends.
pub(super) fn tell(summary: &Summary, common: &Common) -> Exit {
    let printed = match common.format {
        Format::Json => output::json(summary),
        Format::Table => summary.print(),
    };
    // what was done matters more than that it could not be told
    if let Err(failure) = printed {
        output::note(&format!("{:?}", failure.report));
    }
    summary.exit()
}

fn read_plan(path: &Path) -> Result<ReviewedPlan, Failure> {
    let name = path.display();
    let file = File::open(path)
        .map_err(|error| Failure::usage(miette::miette!("cannot read the plan {name}: {error}")))?;
    ReviewedPlan::read(BufReader::new(file)).map_err(|error| match error {
        PlanError::Io(error) => {
            Failure::usage(miette::miette!("cannot read the plan {name}: {error}"))
        }
        error => Failure::preflight(miette::miette!(
            help = "make and review a new plan: rotation plan --out plan.json",
            "{name}: {error}"
        )),
    })
}
