//! The promises of the Postgres store, tested against a real server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where, and one that is skipped says so"
)]

mod cluster;
mod conformance;
mod crash;
mod disk;
mod fleet;
mod promises;
mod refused;
mod tampering;
mod tls;
mod wire;
mod workshop;
