//! The promises of a primary store and its copies, with stores in memory that fail when told to.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod conformance;
mod faults;
mod lags;
mod memory;
mod two_runs;
mod workshop;
