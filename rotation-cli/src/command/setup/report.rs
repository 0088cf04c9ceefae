use backend_graph::{ByHand, SetupRequest};
use rotation_core::Problem;
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// What became of one tenant.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    tenant: String,
    /// In order.
    pub(super) done: Vec<String>,
    /// Why no more was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Said>,
    /// What was not begun after that.
    pub(super) left: Vec<String>,
    /// What is not taken away, and why.
    pub(super) stays: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Said {
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Report {
    pub(super) fn new(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            done: Vec::new(),
            problem: None,
            left: Vec::new(),
            stays: Vec::new(),
        }
    }

    /// Of a tenant in which nothing could be looked at.
    pub(super) fn unread(tenant: &str, problem: &Problem) -> Self {
        let mut report = Self::new(tenant);
        report.fail(problem);
        report
    }

    pub(super) fn fail(&mut self, problem: &Problem) {
        self.problem = Some(Said {
            says: problem.message.clone(),
            fix: problem.fix.clone(),
        });
    }

    pub(super) fn failed(&self) -> bool {
        self.problem.is_some()
    }

    /// Says on stderr why nothing could be looked at.
    pub(super) fn tell(&self) {
        if let Some(Said { says, fix }) = &self.problem {
            output::note(&self.tenant);
            output::note(&format!("  ✗ {says}"));
            if let Some(fix) = fix {
                output::note(&format!("    → {fix}"));
            }
        }
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        output::line(&self.tenant)?;
        for words in &self.done {
            output::line(&format!("  ✓ {words}"))?;
        }
        if let Some(Said { says, fix }) = &self.problem {
            output::line(&format!("  ✗ {says}"))?;
            if let Some(fix) = fix {
                output::line(&format!("    → {fix}"))?;
            }
        } else if self.done.is_empty() {
            output::line("  ✓ nothing to do")?;
        }
        for words in &self.left {
            output::line(&format!("  · not begun: {words}"))?;
        }
        for words in &self.stays {
            output::line(&format!("  · {words}"))?;
        }
        Ok(())
    }
}

pub(super) fn conclusion(reports: &[Report], remove: bool) -> String {
    let changes: usize = reports.iter().map(|report| report.done.len()).sum();
    let failed = reports.iter().filter(|report| report.failed()).count();
    let made = match changes {
        0 => "nothing was changed".to_owned(),
        1 => "1 change was made".to_owned(),
        _ => format!("{changes} changes were made"),
    };
    match (failed, changes) {
        (0, 1..) if !remove => format!(
            "{made}: they count in a few minutes, in tokens issued from then on, and `rotation doctor` says when"
        ),
        (0, _) => made,
        _ => format!(
            "{made}; {failed} of {} tenants failed: see ✗",
            reports.len()
        ),
    }
}

/// The links and requests of each tenant, for people.
pub(super) fn by_hand(tenants: &[(String, ByHand)]) -> Result<(), Failure> {
    for (name, by_hand) in tenants {
        output::line(&format!("# {name}"))?;
        output::line("# To bring the app in with its permissions, an administrator opens")?;
        output::line(&by_hand.admin_consent)?;
        output::line("# or sends to Microsoft Graph")?;
        by_hand.instead_of_consent.iter().try_for_each(request)?;
        output::line("# To give it the role, an administrator sends")?;
        by_hand.role.iter().try_for_each(request)?;
    }
    Ok(())
}

fn request(request: &SetupRequest) -> Result<(), Failure> {
    output::line(&format!("# - {}", request.does))?;
    let body = request.body.as_ref();
    let body = body.map(|body| format!(" {body}")).unwrap_or_default();
    output::line(&format!("{} {}{body}", request.method, request.url))
}

/// The same for programs.
pub(super) fn by_hand_json(tenants: &[(String, ByHand)]) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct OfTenant<'a> {
        tenant: &'a str,
        #[serde(flatten)]
        by_hand: &'a ByHand,
    }
    let all = tenants
        .iter()
        .map(|(tenant, by_hand)| OfTenant { tenant, by_hand });
    output::json(&all.collect::<Vec<_>>())
}
