//! The promises of the SQLite store, tested through its public interface and its file.

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod conformance;
mod differential;
mod disk;
mod foreign;
mod hostile_file;
mod kill;
mod migration;
mod place;
mod processes;
mod promises;
mod pruning;
mod tampering;
mod two_handles;
mod workshop;
