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
            Step::Role if matches!(wanted.through, Through::Pim { .. }) => {
                ("RoleAssignmentSchedule.ReadWrite.Directory", ROLES)
            }
            Step::Role => ("RoleManagement.ReadWrite.Directory", ROLES),
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

fn with_fix(problem: Problem, answer: &Answer, doing: &Doing) -> Problem {
    let message = answer
        .error
        .as_ref()
        .and_then(|error| error.message.as_deref());
    let says = |part: &str| message.is_some_and(|message| message.contains(part));
    let fix = match (answer.code(), &doing.step) {
        (Some("AadPremiumLicenseRequired"), _) => {
            "Privileged Identity Management takes Entra ID P2 or Governance: assign the role directly, or license the tenant"
        }
        // <https://learn.microsoft.com/graph/identity-governance-pim-rules-overview>
        (Some("RoleAssignmentRequestPolicyValidationFailed"), _) if says("ExpirationRule") => {
            "the role's settings in Privileged Identity Management limit how long an assignment may last: ask for less, or \
             change them"
        }
        (Some("RoleAssignmentRequestPolicyValidationFailed"), _) if says("JustificationRule") => {
            "the role's settings in Privileged Identity Management want a justification: give one"
        }
        (Some("RoleAssignmentRequestPolicyValidationFailed"), _) => {
            "the role's settings in Privileged Identity Management want more than this, such as multifactor authentication or \
             a ticket: change them, or assign the role directly"
        }
        (_, Step::ServicePrincipal) if says("valid application object") => {
            "check `client_id` and `cloud`; an app comes into other tenants than its own only if it is registered as multitenant"
        }
        (_, Step::Group) if doing.adds => {
            "role-assignable groups take Entra ID P1, and there are 500 at most: assign the role directly, or license the tenant"
        }
        _ => return problem,
    };
    problem.with_fix(fix)
}
