//! The rotation engine where the way in is PowerShell.
#![forbid(unsafe_code)]

pub mod script;
