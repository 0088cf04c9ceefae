//! Tests through real HTTP, as any client would see the simulator.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests may panic too; clippy spares the test functions only"
)]

mod account_enabled;
mod assertions;
mod authority;
mod batch;
#[cfg(feature = "cli")]
mod binary;
mod control;
mod demo;
mod faults;
mod grants;
mod groups;
mod matrix;
mod paging;
mod partner;
mod passwords;
mod permissions;
mod roles;
mod support;
mod targets;
mod throttle_models;
mod throttling;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
mod units;
mod users;
