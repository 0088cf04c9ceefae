use jiff::Timestamp;
use serde::Serialize;

use crate::{AccountId, Decision, Outcome, Problem, Report, RunId, TenantId, VersionId};

/// Something that happened in a run. Serialises as one flat JSON object, and never holds a password.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// In which run.
    pub run_id: RunId,
    /// In which tenant.
    pub tenant: TenantId,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// `kind` happened at `at`, in the run `run_id` over `tenant`.
    #[must_use]
    pub fn new(at: Timestamp, run_id: RunId, tenant: TenantId, kind: EventKind) -> Self {
        Self {
            at,
            run_id,
            tenant,
            kind,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The directory answered, or did not.
    Attempted {
        /// Whose password.
        account: AccountId,
        /// Which version was sent.
        version: VersionId,
        /// What became of it.
        #[serde(flatten)]
        outcome: OutcomeSummary,
    },
    /// Someone else changed the password of an account after we committed ours.
    Drifted {
        /// The account.
        account: AccountId,
        /// Its user name.
        upn: String,
        /// When, by the directory's clock.
        changed: Timestamp,
    },
    /// The decision on an account.
    Decided {
        /// The account.
        account: AccountId,
        /// Its user name.
        upn: String,
        /// What is to become of it.
        #[serde(flatten)]
        decision: Decision,
        /// The same in words.
        reason: String,
    },
    /// A version was dropped after a definite refusal.
    Discarded {
        /// Whose password.
        account: AccountId,
        /// Which version.
        version: VersionId,
    },
    /// An account is done with.
    Finished {
        /// The account.
        account: AccountId,
        /// Its user name.
        upn: String,
        /// How it ended.
        #[serde(flatten)]
        result: AccountResult,
    },
    /// The directory asked all of us to wait.
    Paused {
        /// How long.
        seconds: f64,
    },
    /// How far a run is and how fast it goes. Not told by the engine, but by whoever runs it and knows how far it has to go.
    Progress {
        /// Accounts with a new password.
        rotated: u64,
        /// Accounts that failed or stayed unsettled.
        failed: u64,
        /// How many accounts the run is to rotate, if that is known.
        of: Option<u64>,
        /// Accounts done with a second, over the last seconds.
        per_second: f64,
        /// Changes a second that the directory bears, if it has shown a limit.
        limit: Option<f64>,
        /// The share of the directory's quota that is used, if it is known: 1 is all of it.
        usage: Option<f64>,
        /// For how much longer the directory wants to be left alone; 0 if it does not.
        paused_seconds: f64,
        /// How much longer the run takes at this rate, if that can be said.
        eta_seconds: Option<f64>,
    },
    /// The run begins.
    RunStarted {
        /// Who acts.
        caller: AccountId,
        /// Through which backend.
        backend: &'static str,
        /// By which policy.
        policy: String,
    },
    /// The run is over.
    RunFinished {
        /// What it did.
        report: Report,
    },
    /// A version is durable as pending.
    Staged {
        /// Whose password.
        account: AccountId,
        /// Which version.
        version: VersionId,
    },
    /// No further account is begun; those begun are finished.
    Stopped(StopReason),
}

/// How an account ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccountResult {
    /// It keeps its password: the directory refused, or could not be reached at all.
    Failed {
        /// What happened.
        #[serde(flatten)]
        problem: Problem,
    },
    /// It was left to another run that is at work on it, or has rotated it since this one was planned.
    LeftToOther {
        /// The other run.
        #[serde(rename = "other_run")]
        run: RunId,
    },
    /// It keeps its password: the run stopped before its turn came.
    NotTried,
    /// The new password is live, and current in the store.
    Rotated {
        /// The current version.
        version: VersionId,
    },
    /// Which of its versions is live is not known; the store has all of them.
    Unsettled {
        /// What happened.
        #[serde(flatten)]
        problem: Problem,
    },
}

/// Why no further account is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stop", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// One of the first accounts was not rotated.
    Canary {
        /// How many go first.
        canary: u64,
        /// What happened to that one.
        #[serde(flatten)]
        problem: Problem,
    },
    /// One account after the other failed or stayed unsettled.
    ConsecutiveFailures {
        /// How many.
        failures: u64,
        /// What happened to the last of them.
        #[serde(flatten)]
        problem: Problem,
    },
    /// Too many accounts failed or stayed unsettled.
    Failures {
        /// How many.
        failures: u64,
        /// Among how many.
        tried: u64,
        /// What happened to the last of them.
        #[serde(flatten)]
        problem: Problem,
    },
    /// Somebody asked for it.
    Interrupted,
    /// The store did not let the run go on: its lease could not be taken, or lapsed.
    LeaseLost {
        /// What happened.
        #[serde(flatten)]
        problem: Problem,
    },
    /// The audit record could not be written.
    Unrecorded {
        /// What happened.
        #[serde(flatten)]
        problem: Problem,
    },
    /// The accounts could not be read to their end.
    Unreadable {
        /// What happened.
        #[serde(flatten)]
        problem: Problem,
    },
}

/// An [`Outcome`] as it stands in events.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutcomeSummary {
    /// `applied`, `not-sent`, `refused`, `throttled` or `unknown`.
    pub outcome: &'static str,
    /// How many seconds the directory asked to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<f64>,
    /// What it said.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The server's id of a request that was applied.
    #[serde(rename = "request_id", skip_serializing_if = "Option::is_none")]
    pub applied_request_id: Option<String>,
}

impl From<&Outcome> for OutcomeSummary {
    fn from(outcome: &Outcome) -> Self {
        let (name, problem) = match outcome {
            Outcome::Applied { .. } => ("applied", None),
            Outcome::NotSent(problem) => ("not-sent", Some(problem)),
            Outcome::Refused(refusal) => ("refused", Some(&refusal.problem)),
            Outcome::Throttled { problem, .. } => ("throttled", Some(problem)),
            Outcome::Unknown(problem) => ("unknown", Some(problem)),
        };
        Self {
            outcome: name,
            retry_after: match outcome {
                Outcome::Throttled { retry_after, .. } => {
                    retry_after.map(|wait| wait.as_secs_f64())
                }
                _ => None,
            },
            problem: problem.cloned(),
            applied_request_id: if let Outcome::Applied { request_id, .. } = outcome {
                request_id.clone()
            } else {
                None
            },
        }
    }
}
