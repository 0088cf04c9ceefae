//! The binary `rotation` as its users meet it: a process, real HTTP to a simulated tenant, real files.

mod bad_input;
mod commands;
mod interrupt;
mod kill;
mod leak;
mod proof;
mod world;
