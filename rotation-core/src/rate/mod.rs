//! How fast to send: one controller for each app in each tenant, shared by everything that talks to that tenant.

mod control;
mod controller;
mod heard;
mod quota;

pub use control::RateControl;
pub use controller::{RateController, RateState, Turn};
pub use heard::{Heard, QuotaScope, RequestKind};
pub use quota::{Quota, Quotas};
