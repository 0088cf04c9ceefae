//! Throttle simulations on a virtual clock: how near to the least time possible, and how rude, under the models of `entra-sim`,
//! which judges. Each prints a line; `cargo test -p rotation-core --test throttle -- --nocapture` shows them.
//!
//! The least time is that of somebody who knows the quota and what is left of it, and sends with the same latency and as
//! many requests at once: the longer of what the quota takes and what latency takes, and one latency for the last answer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where, and these show figures"
)]

mod chance;
mod crowd;
mod fleet;
mod judge;
mod quotas;
mod tenants;
mod waits;
