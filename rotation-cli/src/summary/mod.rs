//! What an `apply` or `recover` did: for programs one object, for people a page.

mod page;

use backend_graph::Traffic;
use rotation_core::{AccountProblem, Problem, Report, RunId, StopReason, TenantId};
use serde::Serialize;

use crate::exit::Exit;
use crate::obstructed::Obstructed;
use crate::preflight::ReadyTenant;
use crate::reason::Reasons;

/// What was done in all tenants.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    run_id: RunId,
    #[serde(flatten)]
    totals: Totals,
    /// Accounts that the command line names and nobody has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    /// The hash that the audit record ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_head: Option<String>,
    interrupted: bool,
    tenants: Vec<TenantSummary>,
}

/// What was done in one tenant.
#[derive(Debug, Serialize)]
pub(crate) struct TenantSummary {
    /// Among those that were asked for.
    #[serde(skip)]
    place: usize,
    /// Its GUID, if it got so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    name: String,
    #[serde(flatten)]
    totals: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StopReason>,
    /// Why nothing was sent there, if that is so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<Problem>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    events_lost: bool,
    #[serde(serialize_with = "as_counts")]
    reasons: Reasons,
    problems: Vec<AccountProblem>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Totals {
    rotated: u64,
    /// Among them, those that an earlier run had left unsettled.
    settled: u64,
    skipped: u64,
    denied: u64,
    failed: u64,
    unsettled: u64,
    /// Left to another run at work on the same store.
    left_to_others: u64,
    /// Somebody else changed their password since we committed ours.
    drifted: u64,
    /// Due, but the run stopped before their turn came.
    not_tried: u64,
    seconds: f64,
    /// HTTP requests: reads as well as passwords.
    requests: u64,
    throttled: u64,
}

impl Totals {
    /// But for the time, since tenants are rotated at the same time.
    fn add(&mut self, other: &Self) {
        self.rotated += other.rotated;
        self.settled += other.settled;
        self.skipped += other.skipped;
        self.denied += other.denied;
        self.failed += other.failed;
        self.unsettled += other.unsettled;
        self.left_to_others += other.left_to_others;
        self.drifted += other.drifted;
        self.not_tried += other.not_tried;
        self.requests += other.requests;
        self.throttled += other.throttled;
    }
}

impl TenantSummary {
    /// Nothing was done yet.
    pub(crate) fn new(ready: &ReadyTenant) -> Self {
        let id = Some(ready.caller.tenant.clone());
        Self::nothing(ready.tenant.place, id, ready.tenant.name.clone())
    }

    /// Nothing was done, because of obstacles.
    pub(crate) fn left_out(tenant: Obstructed) -> Self {
        Self {
            obstacles: tenant.problems,
            ..Self::nothing(tenant.place, tenant.id, tenant.name)
        }
    }

    fn nothing(place: usize, tenant: Option<TenantId>, name: String) -> Self {
        Self {
            place,
            tenant,
            name,
            totals: Totals::default(),
            stopped: None,
            obstacles: Vec::new(),
            events_lost: false,
            reasons: Reasons::default(),
            problems: Vec::new(),
        }
    }

    /// All stopped before the turn of its `due` accounts came.
    pub(crate) fn not_begun(mut self, due: u64) -> Self {
        self.totals.not_tried = due;
        self.stopped = Some(StopReason::Interrupted);
        self
    }

    /// What the run did.
    pub(crate) fn with_report(mut self, report: Report) -> Self {
        self.totals.rotated = report.rotated;
        self.totals.failed = report.failed;
        self.totals.unsettled = report.unsettled;
        self.totals.left_to_others = report.left_to_others;
        self.totals.drifted = report.drifted;
        self.totals.not_tried = report.not_tried;
        self.totals.seconds = report.seconds;
        self.stopped = report.stopped;
        self.problems = report.problems;
        self
    }

    /// The store kept the run from beginning.
    pub(crate) fn with_unreadable_store(self, problem: Problem) -> Self {
        Self {
            stopped: Some(StopReason::Unreadable { problem }),
            ..self
        }
    }

    /// What was decided, and why.
    pub(crate) fn with_reasons(mut self, reasons: Reasons) -> Self {
        self.totals.skipped = reasons.skip();
        self.totals.denied = reasons.deny();
        self.reasons = reasons;
        self
    }

    /// How many of the rotated accounts an earlier run had left unsettled.
    pub(crate) fn with_settled(mut self, settled: u64) -> Self {
        self.totals.settled = settled;
        self
    }

    /// Whether the run came to its own end.
    pub(crate) fn is_whole(&self) -> bool {
        self.stopped.is_none() && self.obstacles.is_empty() && !self.events_lost
    }

    /// Whether what happens can no longer be written down, so that nothing more must happen anywhere.
    pub(crate) fn is_broken(&self) -> bool {
        self.events_lost || matches!(self.stopped, Some(StopReason::Unrecorded { .. }))
    }

    /// Whether it stopped by itself, because going on would have done harm.
    fn has_tripped(&self) -> bool {
        let harmless = |stopped: &StopReason| {
            matches!(
                stopped,
                StopReason::Interrupted | StopReason::Unreadable { .. }
            )
        };
        self.stopped
            .as_ref()
            .is_some_and(|stopped| !harmless(stopped))
    }

    /// What was asked of the directory.
    pub(crate) fn with_traffic(mut self, traffic: Traffic) -> Self {
        self.totals.requests = traffic.requests;
        self.totals.throttled = traffic.throttled;
        self
    }

    /// Whether events could not be written.
    pub(crate) fn with_events_lost(self, events_lost: bool) -> Self {
        Self {
            events_lost,
            ..self
        }
    }
}

impl Summary {
    /// Nothing was done yet.
    pub(crate) fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            totals: Totals::default(),
            missing: Vec::new(),
            audit_head: None,
            interrupted: false,
            tenants: Vec::new(),
        }
    }

    /// Nobody has the accounts `missing`, which the command line names.
    pub(crate) fn with_missing(self, missing: Vec<String>) -> Self {
        Self { missing, ..self }
    }

    /// The hash that the audit record ends with.
    pub(crate) fn with_audit_head(self, audit_head: Option<String>) -> Self {
        Self { audit_head, ..self }
    }

    /// Whether somebody asked to stop.
    pub(crate) fn with_interrupted(self, interrupted: bool) -> Self {
        Self {
            interrupted,
            ..self
        }
    }

    /// What was done in each tenant, in the order in which they were asked for.
    pub(crate) fn with_tenants(mut self, tenants: impl Iterator<Item = TenantSummary>) -> Self {
        self.tenants.extend(tenants);
        self.tenants.sort_by_key(|tenant| tenant.place);
        for tenant in &self.tenants {
            self.totals.add(&tenant.totals);
        }
        self
    }

    /// How long it took, all tenants together.
    pub(crate) fn with_seconds(mut self, seconds: f64) -> Self {
        self.totals.seconds = seconds;
        self
    }

    pub(crate) fn rotated(&self) -> u64 {
        self.totals.rotated
    }

    pub(crate) fn audit_head(&self) -> Option<&str> {
        self.audit_head.as_deref()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.totals.seconds
    }

    /// Whether there was nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        let totals = &self.totals;
        let accounts = [
            totals.rotated,
            totals.skipped,
            totals.denied,
            totals.failed,
            totals.unsettled,
            totals.left_to_others,
            totals.not_tried,
        ];
        accounts.iter().sum::<u64>() == 0 && self.tenants.iter().all(TenantSummary::is_whole)
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
        let failures = self.totals.failed + self.totals.unsettled;
        if self.interrupted {
            Exit::Interrupted
        } else if self.tenants.iter().any(TenantSummary::has_tripped) {
            Exit::Stopped
        } else if failures > 0 || !self.tenants.iter().all(TenantSummary::is_whole) {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }
}

fn as_counts<S: serde::Serializer>(reasons: &Reasons, serializer: S) -> Result<S::Ok, S::Error> {
    reasons.counts().serialize(serializer)
}
