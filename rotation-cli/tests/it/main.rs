//! The binary `rotation` as its users meet it: a process, real HTTP to a simulated tenant, real files.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy.toml permits both in test functions, but not in the helpers beside them"
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
mod world;
