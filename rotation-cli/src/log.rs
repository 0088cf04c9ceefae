//! What the program says about its own work, on stderr.

use std::io::{self, IsTerminal};

use miette::MietteHandlerOpts;
use tracing_subscriber::EnvFilter;

use crate::args::Common;

/// What these libraries call errors, an error of ours says too, with the fix.
const REPEATERS: &str = "rustify=off,vaultrs=off";

/// Sets up logs and the way errors look, once per process.
pub(crate) fn start(common: &Common) {
    let level = match common.verbose {
        _ if common.quiet => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let level = match common.verbose {
        0 | 1 => format!("{level},{REPEATERS}"),
        _ => level.to_owned(),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    // a log is read by lines, and cut by whoever reads it
    let wrap = io::stderr().is_terminal();
    // fails only where somebody chose another look before us
    let _chosen = miette::set_hook(Box::new(move |_| {
        Box::new(
            MietteHandlerOpts::new()
                .terminal_links(false)
                .wrap_lines(wrap)
                .build(),
        )
    }));
}
