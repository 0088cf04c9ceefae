//! Who may rotate whom, in random directories: what is decided beforehand against what `entra-sim` answers, which judges.
//! `cargo test -p rotation-core --test authority -- --show-output` shows how often each verdict and reason occurred.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where, and this one shows figures"
)]

mod beforehand;
mod bridge;
mod draw;
mod inclusions;
mod least;
mod model;
mod positions;
mod seed;
mod tally;
mod walk;
