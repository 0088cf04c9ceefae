//! The promises of the store in OpenBao, tested against a real server that each run of these tests starts for itself.
//! `tests/servers/openbao.sh` installs it; without it the tests are skipped.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod conformance;
mod gate;
mod given_up;
mod hostile;
mod login;
mod outage;
mod policy;
mod server;
mod workshop;
