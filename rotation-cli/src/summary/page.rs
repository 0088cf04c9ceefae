//! The page that a person reads after a run.

use rotation_core::{AccountProblem, Problem, StopReason};

use super::{Summary, TenantSummary, Totals};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::reason::Reasons;

/// How many problems a page shows; the events have all.
const MOST_PROBLEMS: usize = 10;

/// How many tenants have a line of their own.
const MOST_TENANTS: usize = 50;

/// How many reasons to stop, or not to begin, are shown.
const MOST_STOPS: usize = 20;

impl Summary {
    /// Prints the page.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        if self.tenants.is_empty() {
            return output::line("No tenant, so nothing was done.");
        }
        self.print_counts()?;
        self.print_what_else()?;
        self.print_reasons()?;
        self.print_trouble()?;
        for name in &self.missing {
            output::note(&format!("no account {name} in any of these tenants"));
        }
        output::line(&format!("\n{}", self.next_step()))
    }

    /// A line for each tenant, those with trouble first, and one for all.
    fn print_counts(&self) -> Result<(), Failure> {
        let mut table = output::table(&[
            "tenant",
            "rotated",
            "skipped",
            "denied",
            "failed",
            "unsettled",
            "seconds",
        ]);
        let mut tenants: Vec<_> = self.tenants.iter().collect();
        tenants.sort_by_key(|tenant| tenant.standing());
        let (shown, rest) = tenants.split_at(tenants.len().min(MOST_TENANTS));
        for tenant in shown {
            table.add_row(row(&tenant.name, &tenant.totals));
        }
        if tenants.len() > 1 {
            let name = format!("all {} tenants", tenants.len());
            table.add_row(row(&name, &self.totals));
        }
        output::line(&table.trim_fmt())?;
        let worst = rest.first().map(|tenant| tenant.standing());
        match worst {
            None => Ok(()),
            Some(Standing::Well) => output::line(&format!(
                "… and {} more, all well: `--format json` has all",
                rest.len()
            )),
            Some(_) => output::line(&format!(
                "… and {} more: `--format json` has all",
                rest.len()
            )),
        }
    }

    /// What not every run has to tell.
    fn print_what_else(&self) -> Result<(), Failure> {
        let totals = &self.totals;
        let lines = [
            (totals.settled, "were unsettled before, and are settled"),
            (
                totals.left_to_others,
                "were left to another run at work on the same store",
            ),
            (
                totals.drifted,
                "have a password that somebody else set after us: `rotation status --verify` shows them",
            ),
        ];
        let mut table = output::table(&[]);
        for (accounts, what) in lines.iter().filter(|(accounts, _)| *accounts > 0) {
            table.add_row([accounts.to_string(), (*what).to_owned()]);
        }
        if table.is_empty() {
            return Ok(());
        }
        output::line(&format!("\nAlso:\n{}", table.trim_fmt()))
    }

    /// Why accounts were skipped or denied, the most frequent reasons first.
    pub(crate) fn print_reasons(&self) -> Result<(), Failure> {
        let mut all = Reasons::default();
        for tenant in &self.tenants {
            all.merge(&tenant.reasons);
        }
        let mut table = output::table(&[]);
        for count in all.counts() {
            let what = match count.decision {
                "skip" => "skipped",
                "deny" => "denied",
                _ => continue,
            };
            let accounts = count.accounts.to_string();
            table.add_row([accounts, what.to_owned(), count.reason.to_owned()]);
        }
        if table.is_empty() {
            return Ok(());
        }
        output::line(&format!(
            "\nWhy accounts were left alone:\n{}",
            table.trim_fmt()
        ))
    }

    /// Prints what stopped a run, and what became of accounts that were not rotated.
    pub(crate) fn print_trouble(&self) -> Result<(), Failure> {
        self.print_stops()?;
        if self.totals.not_tried > 0 {
            output::line(&format!(
                "{} not tried any more: as they were",
                output::accounts(self.totals.not_tried)
            ))?;
        }
        let problems = self.tenants.iter().flat_map(|tenant| &tenant.problems);
        let shown = problems.take(MOST_PROBLEMS);
        shown.clone().try_for_each(print_problem)?;
        let all = self.totals.failed + self.totals.unsettled;
        match all - shown.count() as u64 {
            0 => Ok(()),
            more => output::line(&format!("\n… and {more} more: `--events FILE` has all")),
        }
    }

    /// What ended runs early or kept them from beginning: each once, with the tenants that it happened to.
    fn print_stops(&self) -> Result<(), Failure> {
        let mut stops: Vec<(Stop<'_>, Vec<&str>)> = Vec::new();
        for tenant in &self.tenants {
            let left_out = tenant.obstacles.iter().map(|problem| Stop {
                what: format!("left out, nothing was sent: {problem}"),
                fix: problem.fix.as_deref(),
                then: "then run `rotation apply` again: what is done stays done",
            });
            let stopped = tenant
                .stopped
                .iter()
                .map(|stopped| self.stop(tenant, stopped));
            for stop in left_out.chain(stopped) {
                match stops.iter_mut().find(|(known, _)| *known == stop) {
                    Some((_, names)) => names.push(&tenant.name),
                    None => stops.push((stop, vec![&tenant.name])),
                }
            }
        }
        for (stop, names) in stops.iter().take(MOST_STOPS) {
            output::line(&format!("\n{}: {}", named(names), stop.what))?;
            if let Some(fix) = stop.fix {
                output::line(&format!("  → {fix}"))?;
            }
            output::line(&format!("  → {}", stop.then))?;
        }
        match stops.len().saturating_sub(MOST_STOPS) {
            0 => Ok(()),
            more => output::line(&format!(
                "\n… and {more} more of the like: `--format json` has all"
            )),
        }
    }

    fn stop<'a>(&self, tenant: &TenantSummary, stopped: &'a StopReason) -> Stop<'a> {
        let what = match stopped {
            StopReason::Interrupted if tenant.events_lost => {
                "stopped, because events can no longer be written".to_owned()
            }
            StopReason::Interrupted if !self.interrupted => {
                "stopped with the others, because of what happened there".to_owned()
            }
            _ => describe(stopped),
        };
        Stop {
            what,
            fix: problem_of(stopped).and_then(|problem| problem.fix.as_deref()),
            then: how_to_resume(stopped),
        }
    }

    fn next_step(&self) -> &'static str {
        match self.exit() {
            Exit::Interrupted => {
                "Interrupted. No password is lost: the next `rotation apply` goes on and settles what was under way."
            }
            _ if self.totals.unsettled > 0 => {
                "Some accounts are unsettled: every password they may have is kept. `rotation status` shows them, \
                 `rotation recover` settles them, and so does the next `rotation apply`."
            }
            _ => {
                "`rotation status` shows what the store holds, `rotation reveal --identity KEY` reads passwords."
            }
        }
    }
}

impl TenantSummary {
    fn standing(&self) -> Standing {
        if self.has_tripped() || self.events_lost {
            Standing::Stopped
        } else if !self.is_whole() {
            Standing::CutShort
        } else if self.totals.failed + self.totals.unsettled > 0 {
            Standing::WithFailures
        } else {
            Standing::Well
        }
    }
}

/// How a tenant came out of it, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Stopped,
    CutShort,
    WithFailures,
    Well,
}

/// Why a run ended early or did not begin, and what to do about it.
#[derive(PartialEq, Eq)]
struct Stop<'a> {
    what: String,
    fix: Option<&'a str>,
    then: &'static str,
}

fn row(name: &str, totals: &Totals) -> Vec<String> {
    let counts = [
        totals.rotated,
        totals.skipped,
        totals.denied,
        totals.failed,
        totals.unsettled,
    ];
    let mut row = vec![name.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(format!("{:.1}", totals.seconds));
    row
}

/// "a, b and 7 more"
fn named(names: &[&str]) -> String {
    const MOST: usize = 3;
    match names.len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => {
            let first: Vec<_> = names.iter().take(MOST).copied().collect();
            format!("{} and {more} more", first.join(", "))
        }
    }
}

fn print_problem(one: &AccountProblem) -> Result<(), Failure> {
    let what = if one.unsettled { "unsettled" } else { "failed" };
    output::line(&format!("\n{} {what}: {}", one.upn, one.problem))?;
    print_fix(&one.problem)
}

fn print_fix(problem: &Problem) -> Result<(), Failure> {
    match &problem.fix {
        Some(fix) => output::line(&format!("  → {fix}")),
        None => Ok(()),
    }
}

fn problem_of(stopped: &StopReason) -> Option<&Problem> {
    match stopped {
        StopReason::Canary { problem, .. }
        | StopReason::ConsecutiveFailures { problem, .. }
        | StopReason::Failures { problem, .. }
        | StopReason::LeaseLost { problem }
        | StopReason::Unreadable { problem }
        | StopReason::Unrecorded { problem } => Some(problem),
        _ => None,
    }
}

/// What to do after a run that stopped early, once what is wrong is mended.
fn how_to_resume(stopped: &StopReason) -> &'static str {
    match stopped {
        StopReason::Interrupted => {
            "run `rotation apply` again: it settles what was under way, and goes on"
        }
        StopReason::LeaseLost { .. } => {
            "look at the store, then run `rotation apply` again: that settles what was under way, and goes on"
        }
        StopReason::Unreadable { .. } => {
            "run `rotation apply` again later: what is done stays done"
        }
        StopReason::Unrecorded { .. } => {
            "make room for the record, or correct [audit] path; then run `rotation apply` again: that settles what was \
             under way, and goes on"
        }
        _ => "find out why, then run `rotation apply` again: what is done stays done",
    }
}

fn describe(stopped: &StopReason) -> String {
    match stopped {
        StopReason::Canary { canary, problem } => format!(
            "stopped, because one of the first {canary} accounts was not rotated: {problem}"
        ),
        StopReason::ConsecutiveFailures { failures, problem } => format!(
            "stopped, because {failures} accounts one after the other were not rotated; the last: {problem}"
        ),
        StopReason::Failures {
            failures,
            tried,
            problem,
        } => format!(
            "stopped, because {failures} of {tried} accounts were not rotated; the last: {problem}"
        ),
        StopReason::Interrupted => "stopped, because somebody asked for it".to_owned(),
        StopReason::Unreadable { problem } => {
            format!("stopped, because the accounts could not be read to their end: {problem}")
        }
        StopReason::LeaseLost { problem } => {
            format!("stopped, because other runs may take over its accounts: {problem}")
        }
        StopReason::Unrecorded { problem } => {
            format!("stopped, because what is done must be on record: {problem}")
        }
        _ => "stopped".to_owned(),
    }
}
