//! What a process has used so far, seen from outside, so that every contestant is measured alike.

use std::fs;
use std::time::Duration;

use super::Failure;

/// `USER_HZ`, which Linux gives every program alike: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU time of all its threads, in the kernel too.
    pub(crate) cpu: Duration,
    /// The most memory that was resident at once, in MiB.
    pub(crate) peak: f64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        Ok(Self {
            cpu: cpu(process)?,
            peak: peak(process)?,
        })
    }
}

fn cpu(process: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // the name, in parentheses, may contain anything
    let (_, fields) = stat.rsplit_once(')').ok_or("stat has no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64, Failure> {
        Ok(fields.get(index).ok_or("stat is short")?.parse()?)
    };
    let seconds = (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND;
    Ok(Duration::from_secs_f64(seconds))
}

fn peak(process: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: f64 = kibibytes.ok_or("status has no VmHWM")?.parse()?;
    Ok(kibibytes / 1024.0)
}
