use rotation_core::{BackendError, Problem};
use serde::Serialize;

use crate::exit::Failure;
use crate::output;

/// What was checked in one place, in the order in which it was.
#[derive(Debug, Serialize)]
pub(super) struct Checklist {
    /// A tenant as it is configured, or the store.
    name: String,
    checks: Vec<Check>,
    /// The permissions that are known to be missing, and what they are for.
    #[serde(skip)]
    missing: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Check {
    finding: Finding,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    /// As it should be.
    Right,
    /// A run would not work.
    Wrong,
    /// A run would work, and leave accounts as they are that the policy would rotate.
    Unreached,
    /// Good to know.
    Note,
}

impl Finding {
    fn mark(self) -> char {
        match self {
            Self::Right => '✓',
            Self::Wrong => '✗',
            Self::Unreached => '!',
            Self::Note => '·',
        }
    }
}

impl Checklist {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            checks: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn right(&mut self, says: impl Into<String>) {
        self.add(Finding::Right, says.into(), None);
    }

    pub(super) fn note(&mut self, says: impl Into<String>) {
        self.add(Finding::Note, says.into(), None);
    }

    /// A run works, and something had better be otherwise.
    pub(super) fn advise(&mut self, problem: &Problem) {
        let (says, fix) = (problem.message.clone(), problem.fix.clone());
        self.add(Finding::Note, says, fix);
    }

    pub(super) fn wrong(&mut self, problem: &Problem) {
        let (says, fix) = (problem.message.clone(), problem.fix.clone());
        self.add(Finding::Wrong, says, fix);
    }

    pub(super) fn unreached(&mut self, problem: &Problem) {
        let (says, fix) = (problem.message.clone(), problem.fix.clone());
        self.add(Finding::Unreached, says, fix);
    }

    pub(super) fn take(&mut self, found: Result<String, Problem>) {
        match found {
            Ok(says) => self.right(says),
            Err(problem) => self.wrong(&problem),
        }
    }

    /// `permission` is missing, for all of these `purposes`.
    pub(super) fn missing(&mut self, permission: &str, purposes: &[&str], problem: &Problem) {
        let known = std::iter::once(&permission).chain(purposes);
        self.missing.extend(known.map(|&known| known.to_owned()));
        self.wrong(problem);
    }

    /// A request failed. One that failed for a permission that is known to be missing is no other fault.
    pub(super) fn unless_known(&mut self, error: &BackendError) {
        let problem = error.problem();
        let fix = problem.fix.as_deref().unwrap_or_default();
        let is_about = |permission: &String| {
            fix.contains(permission.as_str()) || problem.message.contains(permission.as_str())
        };
        if self.missing.iter().any(is_about) {
            self.note("what follows cannot be checked before that is mended");
        } else {
            self.wrong(problem);
        }
    }

    /// Whether permissions are missing.
    pub(super) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    pub(super) fn wrongs(&self) -> usize {
        self.count(Finding::Wrong)
    }

    pub(super) fn has_unreached(&self) -> bool {
        self.count(Finding::Unreached) > 0
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        output::line(&self.name)?;
        for check in &self.checks {
            output::line(&format!("  {} {}", check.finding.mark(), check.says))?;
            if let Some(fix) = &check.fix {
                output::line(&format!("    → {fix}"))?;
            }
        }
        Ok(())
    }

    /// Says on stderr what is wrong.
    pub(super) fn tell_wrongs(&self) {
        let wrong = |check: &&Check| check.finding == Finding::Wrong;
        for check in self.checks.iter().filter(wrong) {
            output::note(&format!(
                "{}: {} {}",
                self.name,
                check.finding.mark(),
                check.says
            ));
        }
    }

    fn count(&self, finding: Finding) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.finding == finding).count()
    }

    fn add(&mut self, finding: Finding, says: String, fix: Option<String>) {
        self.checks.push(Check { finding, says, fix });
    }
}
