use std::fmt;

use reqwest::StatusCode;
use rotation_core::{BackendError, Problem};

use super::wanted::{Step, Through, Wanted};
use crate::answer::{Answer, TOKEN_FIX};
use crate::consent::Consent;

/// A step that is being done or undone, and the right it takes, for its error.
#[derive(Debug)]
pub(super) struct Doing {
    words: String,
    adds: bool,
    step: Step,
    permission: &'static str,
    /// The role that a person needs besides.
    role: &'static str,
}

const ROLES: &str = "Privileged Role Administrator";

impl Doing {
    pub(super) fn adding(wanted: &Wanted, step: &Step) -> Self {
        Self::new(wanted, step, wanted.adding(step), true)
    }

    pub(super) fn removing(wanted: &Wanted, step: &Step) -> Self {
        Self::new(wanted, step, wanted.removing(step), false)
    }

    /// The rights are those of each request's page, such as
    /// <https://learn.microsoft.com/graph/api/rbacapplication-post-roleassignments#permissions>.
    fn new(wanted: &Wanted, step: &Step, words: String, adds: bool) -> Self {
        let (permission, role) = match step {
            Step::ServicePrincipal => (
                "Application.ReadWrite.All",
                "Cloud Application Administrator",
            ),
            Step::Permission(_) => ("AppRoleAssignment.ReadWrite.All", ROLES),
            Step::Group | Step::Member => (
                "Group.ReadWrite.All, and RoleManagement.ReadWrite.Directory too,",
                ROLES,
            ),
            Step::Role | Step::Prolong if matches!(wanted.through, Through::Pim { .. }) => {
                ("RoleAssignmentSchedule.ReadWrite.Directory", ROLES)
            }
            Step::Role | Step::Prolong => ("RoleManagement.ReadWrite.Directory", ROLES),
        };
        Self {
            words,
            adds,
            step: step.clone(),
            permission,
            role,
        }
    }

    pub(super) fn adds(&self) -> bool {
        self.adds
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.words)
    }
}

/// Why the directory did not do it, and what to do about that.
pub(super) fn refusal(answer: &Answer, doing: &Doing, consent: &Consent) -> BackendError {
    let mut problem = answer.problem();
    problem.message = format!("{doing}: {}", problem.message);
    match answer.status {
        StatusCode::UNAUTHORIZED => BackendError::NotAuthorized(problem.with_fix(TOKEN_FIX)),
        StatusCode::FORBIDDEN => {
            let fix = consent.permission_and_role(doing.permission, doing.role);
            BackendError::NotAuthorized(problem.with_fix(fix))
        }
        _ => BackendError::Unexpected(with_fix(problem, answer, doing)),
    }
}

/// A refusal that a person can do something about. The first row that fits decides.
struct Row {
    when: When,
    means: &'static str,
    fix: &'static str,
}

enum When {
    /// Graph's code.
    Code(&'static str),
    /// Anything else while the group is created.
    CreatingGroup,
    /// Part of Graph's message.
    Message(&'static str),
}

impl When {
    fn fits(&self, answer: &Answer, doing: &Doing) -> bool {
        match self {
            Self::Code(code) => answer.code() == Some(code),
            Self::CreatingGroup => doing.adds && doing.step == Step::Group,
            Self::Message(part) => {
                let message = answer
                    .error
                    .as_ref()
                    .and_then(|error| error.message.as_deref());
                message.is_some_and(|message| message.contains(part))
            }
        }
    }
}

/// The rules are those of <https://learn.microsoft.com/graph/identity-governance-pim-rules-overview>; the other answers were
/// seen in the field.
const ROWS: &[Row] = &[
    Row {
        when: When::Code("AadPremiumLicenseRequired"),
        means: "Privileged Identity Management takes Entra ID P2 or Governance",
        fix: "assign the role directly, or license the tenant",
    },
    Row {
        when: When::Message("ExpirationRule"),
        means: "the role's settings in Privileged Identity Management limit how long an assignment may last",
        fix: "ask for less time, or change them",
    },
    Row {
        when: When::Message("JustificationRule"),
        means: "the role's settings in Privileged Identity Management want a justification",
        fix: "give one",
    },
    Row {
        when: When::Code("RoleAssignmentRequestPolicyValidationFailed"),
        means: "the role's settings in Privileged Identity Management want more, such as a second factor or a ticket",
        fix: "change them, or assign the role directly",
    },
    Row {
        when: When::Message("valid application object"),
        means: "no such app is registered for this tenant",
        fix: "check `client_id` and `cloud`; an app comes into other tenants than its own only if it is registered as multitenant",
    },
    Row {
        when: When::CreatingGroup,
        means: "the tenant lets nobody create a role-assignable group: it takes Entra ID P1, and there are 500 at most",
        fix: "assign the role directly, or license the tenant",
    },
];

fn with_fix(mut problem: Problem, answer: &Answer, doing: &Doing) -> Problem {
    match ROWS.iter().find(|row| row.when.fits(answer, doing)) {
        Some(Row { means, fix, .. }) => {
            problem.message = format!("{}: {means}", problem.message);
            problem.with_fix(*fix)
        }
        None => problem,
    }
}

/// The table of this file as `docs/errors.md` shows it.
#[cfg(test)]
pub(crate) fn documented() -> String {
    let mut page =
        "| 403 | whoever acts lacks a permission, or a person lacks a role | both are named |\n"
            .to_owned();
    for Row { when, means, fix } in ROWS {
        let when = match when {
            When::Code(code) => format!("`{code}`"),
            When::CreatingGroup => "400 when the group is created".to_owned(),
            When::Message(words) => format!("\"…{words}…\""),
        };
        page += &format!("| {when} | {means} | {fix} |\n");
    }
    page
}
