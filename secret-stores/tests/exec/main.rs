//! The promises of the exec store, tested through its public interface, with the example program and with programs that
//! misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod conformance;
mod hostile_program;
mod promises;
mod workshop;
