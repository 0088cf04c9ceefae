//! The binary `rotation` as its users meet it: a process, real HTTP to a simulated tenant, real files.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy.toml permits these in test functions, but not in the helpers beside them"
)]

mod audit;
mod bad_input;
mod commands;
mod fleet;
mod history;
mod interrupt;
mod kill;
mod leak;
mod outcomes;
mod proof;
mod recover;
mod stores;
mod world;
