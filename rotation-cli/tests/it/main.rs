//! The binary `rotation` as its users meet it: a process, real HTTP to a simulated tenant, real files.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy.toml permits these in test functions, but not in the helpers beside them"
)]

mod audit;
mod bad_input;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "the real server that the tests of the store use")]
#[path = "../../../secret-stores/tests/postgres/cluster.rs"]
mod cluster;
mod commands;
mod credentials;
mod customers;
mod doctor;
mod explain;
mod fleet;
mod history;
mod interrupt;
mod kill;
mod leak;
mod mend;
mod onboarding;
mod outcomes;
#[cfg(unix)]
mod powershell;
mod proof;
mod recover;
#[cfg(feature = "openbao")]
#[allow(dead_code, reason = "the real server that the tests of the store use")]
#[path = "../../../secret-stores/tests/openbao/server.rs"]
mod server;
#[cfg(all(feature = "openbao", feature = "postgres"))]
mod servers;
mod setup;
mod stores;
mod tenants;
mod world;
