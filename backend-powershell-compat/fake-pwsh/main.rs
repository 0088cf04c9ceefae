//! A fake `pwsh`: see `fake.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a double of the tests that fails says where"
)]

mod fake;
mod graph;

fn main() {
    fake::main();
}
