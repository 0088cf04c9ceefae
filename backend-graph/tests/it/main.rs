//! The backend against HTTP servers that answer what Graph answers, and what it never should.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy.toml permits both in test functions, but not in the helpers beside them"
)]

mod batches;
mod caller;
mod conformance;
mod credentials;
mod customers;
mod listing;
mod outcomes;
mod paging;
mod people;
mod roles;
mod setup;
mod sign_ins;
mod silence;
mod simulator;
mod support;
mod tokens;
mod turns;
