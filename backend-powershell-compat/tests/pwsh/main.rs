//! What we run and print, run by a real PowerShell 7 on stubs of the modules.
//!
//! A stub has exactly the cmdlets and parameters of the table in `tests/syntax/cmdlets/`. Without `pwsh` on the `PATH` the
//! tests say so and pass, unless `ROTATION_REQUIRE_PWSH=1` demands it.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails says where"
)]

#[path = "../syntax/cmdlets.rs"]
#[allow(dead_code, reason = "the check of the syntax uses all of it")]
mod cmdlets;
mod scripts;
mod stubs;
mod worker;
