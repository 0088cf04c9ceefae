//! What an `apply` did: for people a page, for programs one object.

use backend_graph::Traffic;
use rotation_core::{AccountProblem, Problem, Report, RunId, StopReason, TenantId};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::reason::Reasons;

/// How many problems a page shows; the events have all.
const MOST_PROBLEMS: usize = 10;

/// What was done in all tenants.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    totals: Totals,
    /// Accounts that the command line names and nobody has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
    pub(crate) interrupted: bool,
    pub(crate) tenants: Vec<TenantSummary>,
}

/// What was done in one tenant.
#[derive(Debug, Serialize)]
pub(crate) struct TenantSummary {
    tenant: TenantId,
    name: String,
    #[serde(flatten)]
    totals: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StopReason>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    events_lost: bool,
    #[serde(serialize_with = "as_counts")]
    reasons: Reasons,
    problems: Vec<AccountProblem>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Totals {
    /// With several tenants that of the first: each has its own.
    run_id: Option<RunId>,
    rotated: u64,
    skipped: u64,
    denied: u64,
    failed: u64,
    unsettled: u64,
    seconds: f64,
    requests: u64,
    throttled: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.run_id = self.run_id.or(other.run_id);
        self.rotated += other.rotated;
        self.skipped += other.skipped;
        self.denied += other.denied;
        self.failed += other.failed;
        self.unsettled += other.unsettled;
        self.seconds += other.seconds;
        self.requests += other.requests;
        self.throttled += other.throttled;
    }
}

impl TenantSummary {
    /// Requests are those that `traffic` counted: reads as well as passwords.
    pub(crate) fn new(
        tenant: TenantId,
        name: &str,
        report: Option<Report>,
        reasons: Reasons,
        traffic: Traffic,
    ) -> Self {
        let report = report.as_ref();
        let count = |of: fn(&Report) -> u64| report.map_or(0, of);
        let totals = Totals {
            run_id: report.map(|report| report.run_id),
            rotated: count(|report| report.rotated),
            skipped: reasons.skip(),
            denied: reasons.deny(),
            failed: count(|report| report.failed),
            unsettled: count(|report| report.unsettled),
            seconds: report.map_or(0.0, |report| report.seconds),
            requests: traffic.requests,
            throttled: traffic.throttled,
        };
        Self {
            tenant,
            name: name.to_owned(),
            totals,
            stopped: report.and_then(|report| report.stopped.clone()),
            events_lost: false,
            reasons,
            problems: report
                .map(|report| report.problems.clone())
                .unwrap_or_default(),
        }
    }

    /// The same with what kept the run from beginning.
    pub(crate) fn with_obstacle(self, problem: Problem) -> Self {
        Self {
            stopped: Some(StopReason::Unreadable { problem }),
            ..self
        }
    }

    /// The same with whether events could not be written.
    pub(crate) fn with_events_lost(self, events_lost: bool) -> Self {
        Self {
            events_lost,
            ..self
        }
    }
}

impl Summary {
    pub(crate) fn add(&mut self, tenant: TenantSummary) {
        self.totals.add(&tenant.totals);
        self.tenants.push(tenant);
    }

    pub(crate) fn rotated(&self) -> u64 {
        self.totals.rotated
    }

    /// Whether events could not be written, so that nothing more must happen.
    pub(crate) fn events_lost(&self) -> bool {
        self.tenants.iter().any(|tenant| tenant.events_lost)
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.totals.seconds
    }

    /// The reasons of all tenants.
    pub(crate) fn reasons(&self) -> Reasons {
        let mut all = Reasons::default();
        self.tenants
            .iter()
            .for_each(|tenant| all.merge(&tenant.reasons));
        all
    }

    /// How the program ends after this.
    pub(crate) fn exit(&self) -> Exit {
        let denied = self.totals.denied > 0 || !self.missing.is_empty();
        match self.exit_but_for_denials() {
            Exit::Done if denied => Exit::Incomplete,
            exit => exit,
        }
    }

    /// The same where denied accounts are no surprise.
    pub(crate) fn exit_but_for_denials(&self) -> Exit {
        let tripped = |tenant: &TenantSummary| {
            matches!(
                tenant.stopped,
                Some(StopReason::Canary { .. } | StopReason::Failures { .. })
            )
        };
        let cut_short = |tenant: &TenantSummary| tenant.stopped.is_some() || tenant.events_lost;
        if self.interrupted {
            Exit::Interrupted
        } else if self.tenants.iter().any(tripped) {
            Exit::Stopped
        } else if self.totals.failed + self.totals.unsettled > 0
            || self.tenants.iter().any(cut_short)
        {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }

    /// The page for people.
    pub(crate) fn print(&self) -> Result<(), Failure> {
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
            let t = &tenant.totals;
            table.add_row([
                tenant.name.clone(),
                t.rotated.to_string(),
                t.skipped.to_string(),
                t.denied.to_string(),
                t.failed.to_string(),
                t.unsettled.to_string(),
                format!("{:.1}", t.seconds),
            ]);
        }
        output::line(&table.trim_fmt())?;
        self.print_reasons()?;
        self.print_trouble()?;
        for name in &self.missing {
            output::note(&format!("no account {name} in any of these tenants"));
        }
        output::line(&format!("\n{}", self.next_step()))
    }

    /// Why accounts were skipped or denied, the most frequent reasons first.
    pub(crate) fn print_reasons(&self) -> Result<(), Failure> {
        let all = self.reasons();
        let mut table = output::table(&[]);
        for count in all
            .counts()
            .iter()
            .filter(|count| count.decision != "rotate")
        {
            let what = if count.decision == "skip" {
                "skipped"
            } else {
                "denied"
            };
            table.add_row([
                count.accounts.to_string(),
                what.to_owned(),
                count.reason.to_owned(),
            ]);
        }
        if table.is_empty() {
            return Ok(());
        }
        output::line(&format!(
            "\nWhy accounts were left alone:\n{}",
            table.trim_fmt()
        ))
    }

    /// What stopped a run, and what became of accounts that were not rotated.
    pub(crate) fn print_trouble(&self) -> Result<(), Failure> {
        self.tenants
            .iter()
            .try_for_each(TenantSummary::print_trouble)
    }

    fn next_step(&self) -> &'static str {
        match self.exit() {
            Exit::Interrupted => {
                "Interrupted. No password is lost: the next `rotation apply` goes on and settles what was under way."
            }
            _ if self.totals.unsettled > 0 => {
                "Some accounts are unsettled: every password they may have is kept. `rotation status` shows them, the \
                 next `rotation apply` settles them, `rotation reveal` reads the passwords."
            }
            _ => {
                "`rotation status` shows what the store holds, `rotation reveal --identity KEY` reads passwords."
            }
        }
    }
}

impl TenantSummary {
    fn print_trouble(&self) -> Result<(), Failure> {
        if let Some(stopped) = &self.stopped {
            output::line(&format!("\n{}: {}", self.name, describe(stopped)))?;
        }
        for problem in self.problems.iter().take(MOST_PROBLEMS) {
            let what = if problem.unsettled {
                "unsettled"
            } else {
                "failed"
            };
            output::line(&format!("\n{} {what}: {}", problem.upn, problem.problem))?;
            if let Some(fix) = &problem.problem.fix {
                output::line(&format!("  → {fix}"))?;
            }
        }
        let all = self.totals.failed + self.totals.unsettled;
        let shown = self.problems.len().min(MOST_PROBLEMS) as u64;
        if all > shown {
            output::line(&format!(
                "\n… and {} more: `--events FILE` has all",
                all - shown
            ))?;
        }
        Ok(())
    }
}

fn describe(stopped: &StopReason) -> String {
    match stopped {
        StopReason::Canary { canary, problem } => {
            format!(
                "stopped, because one of the first {canary} accounts was not rotated: {problem}"
            )
        }
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
        _ => "stopped".to_owned(),
    }
}

fn as_counts<S: serde::Serializer>(reasons: &Reasons, serializer: S) -> Result<S::Ok, S::Error> {
    reasons.counts().serialize(serializer)
}
