//! `rotation setup`: gives the app what it needs in each tenant, or takes it away, after showing it and asking.

mod report;
mod script;

use std::io::{self, IsTerminal};
use std::pin::pin;

use backend_graph::{Present, Step, Through, Wanted};
use futures::StreamExt;

use crate::args::{self, Common, Format};
use crate::concurrent::in_order;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::wiring::setup::{self, SetupIn};
use report::{Report, conclusion};

pub(super) async fn run(common: &Common, args: &args::Setup) -> Result<Exit, Failure> {
    check(common, args)?;
    let config = Config::load(common.config()).map_err(Failure::usage)?;
    if args.via.is_some() {
        return script::print(&config, common, args);
    }
    let wanted = |app: Wanted| app.with_role(args.role).through(through(args));
    if args.print {
        return print(common, &setup::by_hand(&config, common, wanted)?);
    }
    let setups = setup::setups(&config, common, args.acting.as_ref(), wanted)?;
    let at_once = config.engine.tenants_at_once;
    let look = async |tenant| Found::read(tenant, args.remove).await;
    let all: Vec<_> = pin!(in_order(setups, at_once, look)).collect().await;
    let (found, mut reports) = sorted(all);
    let to_do: usize = found.iter().map(|(_, found)| found.steps.len()).sum();
    if to_do > 0 {
        if !(args.yes && common.quiet) {
            found.iter().for_each(|(_, found)| found.show());
            reports.iter().for_each(|(_, unread)| unread.tell());
        }
        if !args.yes && !agreed(to_do, args.remove)? {
            output::note("nothing was changed");
            return Ok(Exit::Preflight);
        }
    }
    let nobody = found.is_empty() && !reports.is_empty();
    let act = async |(place, found): (usize, Found)| (place, found.act().await);
    let acted: Vec<_> = pin!(in_order(found, at_once, act)).collect().await;
    reports.extend(acted);
    reports.sort_by_key(|(place, _)| *place);
    let reports: Vec<_> = reports.into_iter().map(|(_, report)| report).collect();
    match common.format {
        Format::Json => output::json(&reports)?,
        Format::Table => {
            reports.iter().try_for_each(Report::print)?;
            output::line(&conclusion(&reports, args.remove))?;
        }
    }
    Ok(match reports.iter().any(Report::failed) {
        false => Exit::Done,
        true if nobody => Exit::Preflight,
        true => Exit::Incomplete,
    })
}

/// What the parser cannot check.
fn check(common: &Common, args: &args::Setup) -> Result<(), Failure> {
    if !common.accounts.is_empty() {
        return Err(Failure::usage(miette::miette!(
            help = "leave --account out; --tenant chooses among the tenants",
            "--account does not go with setup: what an app is given holds for the whole tenant"
        )));
    }
    let only_pim = [
        ("--justification", args.justification.is_some()),
        ("--for", args.lasts.is_some()),
    ];
    let mut unfit = only_pim.iter().filter(|(_, given)| *given);
    match unfit.next() {
        Some((name, _)) if args.through != args::Through::Pim => Err(Failure::usage(
            miette::miette!(help = "add --through pim", "{name} goes with --through pim"),
        )),
        None if args.through == args::Through::Pim
            && args.justification.is_none()
            && !args.remove =>
        {
            Err(Failure::usage(miette::miette!(
                help = "add --justification, which whoever reviews the assignment reads",
                "--through pim wants a --justification"
            )))
        }
        _ => Ok(()),
    }
}

fn through(args: &args::Setup) -> Through {
    match args.through {
        args::Through::Direct => Through::Direct,
        args::Through::Group => Through::Group,
        args::Through::Pim => Through::Pim {
            justification: args.justification.clone().unwrap_or_default(),
            lasts: args.lasts,
        },
    }
}

fn print(common: &Common, tenants: &[(String, backend_graph::ByHand)]) -> Result<Exit, Failure> {
    match common.format {
        Format::Json => report::by_hand_json(tenants)?,
        Format::Table => report::by_hand(tenants)?,
    }
    Ok(Exit::Done)
}

/// What was found in one tenant, and what is to be done there.
struct Found {
    tenant: SetupIn,
    remove: bool,
    present: Present,
    steps: Vec<Step>,
}

impl Found {
    async fn read(tenant: SetupIn, remove: bool) -> Result<Self, Report> {
        let present = tenant.setup.read().await;
        let present = present.map_err(|error| Report::unread(&tenant.name, error.problem()))?;
        let steps = if remove {
            present.removable()
        } else {
            present.missing()
        };
        Ok(Self {
            tenant,
            remove,
            present,
            steps,
        })
    }

    fn words(&self, step: &Step) -> String {
        let wanted = self.tenant.setup.wanted();
        if self.remove {
            wanted.removing(step)
        } else {
            wanted.adding(step)
        }
    }

    /// Says on stderr what is to be done.
    fn show(&self) {
        output::note(&self.tenant.name);
        if !self.remove {
            for remark in self.present.remarks() {
                output::note(&format!("  · {remark}"));
            }
        }
        let sign = if self.remove { '-' } else { '+' };
        for step in &self.steps {
            output::note(&format!("  {sign} {}", self.words(step)));
        }
        if self.steps.is_empty() {
            output::note("  · nothing to do");
        }
    }

    /// Does it, up to the first step that fails.
    async fn act(mut self) -> Report {
        let mut report = Report::new(&self.tenant.name);
        if self.remove {
            report.stays = self.present.stays();
        }
        for step in std::mem::take(&mut self.steps) {
            let words = self.words(&step);
            if report.failed() {
                report.left.push(words);
                continue;
            }
            let setup = &self.tenant.setup;
            let done = if self.remove {
                setup.remove(&self.present, &step).await
            } else {
                setup.add(&mut self.present, &step).await
            };
            match done {
                Ok(()) => report.done.push(words),
                Err(error) => report.fail(error.problem()),
            }
        }
        report
    }
}

type Placed<T> = Vec<(usize, T)>;

/// What was found, and the reports of the tenants that could not be read; each with its place.
fn sorted(all: Vec<Result<Found, Report>>) -> (Placed<Found>, Placed<Report>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (place, one) in all.into_iter().enumerate() {
        match one {
            Ok(one) => found.push((place, one)),
            Err(report) => unread.push((place, report)),
        }
    }
    (found, unread)
}

/// Whether a person says yes.
///
/// # Errors
/// If there is none to be asked.
fn agreed(changes: usize, remove: bool) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let help = if remove {
            "--yes does it without asking"
        } else {
            "--yes does it without asking, --print says how to do it by hand"
        };
        return Err(Failure::usage(miette::miette!(
            help = help,
            "there is no terminal to ask on, so nothing was changed"
        )));
    }
    let changes = match changes {
        1 => "this change".to_owned(),
        _ => format!("these {changes} changes"),
    };
    output::note(&format!("make {changes}? Type yes:"));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    let answer = answer.trim();
    Ok(read.is_ok()
        && ["y", "yes"]
            .iter()
            .any(|yes| answer.eq_ignore_ascii_case(yes)))
}
