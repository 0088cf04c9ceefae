//! The PowerShell backend through its public interface, on a fake `pwsh` with the simulator behind it.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where, and one that tries many things says how many"
)]

mod conformance;
mod engine;
mod hybrid;
mod listing;
mod silence;
mod start;
mod supervision;
mod workshop;
