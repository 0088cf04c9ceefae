//! The page that a person reads after a run.

use rotation_core::{AccountProblem, Problem, StopReason};

use super::{Summary, TenantSummary};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::reason::Reasons;

/// How many problems a page shows; the events have all.
const MOST_PROBLEMS: usize = 10;

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
        for tenant in &self.tenants {
            let totals = &tenant.totals;
            let counts = [
                totals.rotated,
                totals.skipped,
                totals.denied,
                totals.failed,
                totals.unsettled,
            ];
            let mut row = vec![tenant.name.clone()];
            row.extend(counts.map(|count| count.to_string()));
            row.push(format!("{:.1}", totals.seconds));
            table.add_row(row);
        }
        output::line(&table.trim_fmt())
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
        self.tenants.iter().try_for_each(print_trouble)
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

fn print_trouble(tenant: &TenantSummary) -> Result<(), Failure> {
    if let Some(stopped) = &tenant.stopped {
        output::line(&format!("\n{}: {}", tenant.name, describe(stopped)))?;
        output::line(&format!("  → {}", next_move(stopped)))?;
    }
    if tenant.totals.not_tried > 0 {
        output::line(&format!(
            "{} under way and not tried any more: as they were",
            output::accounts(tenant.totals.not_tried)
        ))?;
    }
    let shown = tenant.problems.iter().take(MOST_PROBLEMS);
    shown.clone().try_for_each(print_problem)?;
    let all = tenant.totals.failed + tenant.totals.unsettled;
    match all - shown.len() as u64 {
        0 => Ok(()),
        more => output::line(&format!("\n… and {more} more: `--events FILE` has all")),
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

/// What to do after a run that stopped early.
fn next_move(stopped: &StopReason) -> &str {
    let (problem, otherwise) = match stopped {
        StopReason::Canary { problem, .. } | StopReason::Failures { problem, .. } => (
            problem,
            "find out why, then run it again: what is done stays done",
        ),
        StopReason::LeaseLost { problem } => (
            problem,
            "look at the store, then run it again: that settles what was under way",
        ),
        StopReason::Unrecorded { problem } => (
            problem,
            "make room for the record, or correct [audit] path; then run it again: that settles what was under way",
        ),
        StopReason::Unreadable { problem } => (problem, "try again later: what is done stays done"),
        _ => return "run it again to go on",
    };
    problem.fix.as_deref().unwrap_or(otherwise)
}

fn describe(stopped: &StopReason) -> String {
    match stopped {
        StopReason::Canary { canary, problem } => format!(
            "stopped, because one of the first {canary} accounts was not rotated: {problem}"
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
