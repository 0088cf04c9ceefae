//! The promises of the SQLite store, tested through its public interface and its file.

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod conformance;
mod hostile_file;
mod kill;
mod place;
mod processes;
mod promises;
mod tampering;
mod workshop;
