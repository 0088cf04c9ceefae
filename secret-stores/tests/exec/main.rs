//! The promises of the exec store, tested through its public interface, with the example program and with programs that
//! misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where, and one that is skipped says so"
)]

mod conformance;
mod hostile_program;
mod promises;
mod workshop;
