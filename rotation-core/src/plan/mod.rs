//! One decision per account, and the file in which a plan waits for its review.

mod decision;
mod file;
mod stream;

pub use decision::{Decision, Planned, SkipReason};
pub use file::{PlanEntry, PlanError, PlanHeader, PlanTenant, PlanWriter, ReviewedPlan};
pub use stream::Plan;
