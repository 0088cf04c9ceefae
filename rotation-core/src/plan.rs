//! One decision per account, and the file in which a plan waits for its review.

mod decision;
mod file;

pub use decision::{Decision, Planned, SkipReason};
pub use file::{PlanEntry, PlanError, PlanHeader, PlanTenant, PlanWriter, ReviewedPlan};
