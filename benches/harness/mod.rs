//! What the benchmarks share that measure processes: a simulator in a process of its own, contestants in processes of their
//! own, what they used, and a table of it.

pub(crate) mod contest;
pub(crate) mod contestant;
pub(crate) mod least_server;
pub(crate) mod peers;
pub(crate) mod servers;
pub(crate) mod setup;
pub(crate) mod simulator;
pub(crate) mod table;
pub(crate) mod usage;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// Requests to the directory at once, for all.
pub(crate) const CONCURRENCY: usize = 64;

/// Whether this is a measurement: `cargo test --benches` only wants to know whether it runs.
pub(crate) fn is_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// `measured`, or what the environment variable `name` says, or `tried` if nothing is measured.
pub(crate) fn number(name: &str, measured: usize, tried: usize) -> Result<usize, Failure> {
    Ok(match std::env::var(name) {
        Ok(number) => number
            .parse()
            .map_err(|error| format!("{name}: found {number:?}, expected a number: {error}"))?,
        Err(_) if is_measured() => measured,
        Err(_) => tried,
    })
}

/// The middle one; not a number if there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
