//! How fast to send: one controller for each app in each tenant, shared by everything that talks to that tenant.
//!
//! A [`controller`] gives turns. Whether there is one now is decided in [`seats`], for all tenants together: each has a
//! [`bucket`], where the law stands by which a quota is learned, shares one with all tenants of its app, in whose [`line`]
//! it waits, and one with all apps of its tenant.
//!
//! Latency decides nothing here: a quota is a number of requests, and a server that is about to turn away answers as
//! quickly as ever. What is under way is bounded instead.

mod arena;
mod bucket;
mod control;
mod controller;
mod heard;
mod line;
mod quota;
mod seats;
mod state;

pub use control::RateControl;
pub use controller::{RateController, Turn};
pub use heard::{Heard, QuotaScope, RequestKind};
pub use quota::{Quota, Quotas};
pub use state::RateState;
