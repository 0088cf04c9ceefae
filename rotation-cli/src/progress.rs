//! How far a run is: a bar on a terminal, now and then a line elsewhere.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rotation_core::AccountResult;
use tokio::time::Instant;

use crate::args::Common;
use crate::output;

/// A log that says something at least this often is known to be alive.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far the run over one tenant is.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    total: u64,
    rotated: u64,
    failed: u64,
    /// To another run.
    left: u64,
    style: Style,
}

#[derive(Debug)]
enum Style {
    Bar(ProgressBar),
    Lines { at: Instant, done: u64 },
    Silent,
}

impl Progress {
    /// A run over `total` accounts of the tenant `name` begins.
    pub(crate) fn start(name: &str, total: u64, common: &Common) -> Self {
        let style = if common.quiet || total == 0 {
            Style::Silent
        } else if output::stderr_is_terminal() && common.verbose == 0 {
            Style::Bar(bar(name, total))
        } else {
            output::note(&format!("{name}: rotating {}", output::accounts(total)));
            Style::Lines {
                at: Instant::now(),
                done: 0,
            }
        };
        Self {
            name: name.to_owned(),
            total,
            rotated: 0,
            failed: 0,
            left: 0,
            style,
        }
    }

    /// An account is done with.
    pub(crate) fn finished(&mut self, result: &AccountResult) {
        *match result {
            AccountResult::Rotated { .. } => &mut self.rotated,
            AccountResult::LeftToOther { .. } => &mut self.left,
            _ => &mut self.failed,
        } += 1;
        let done = self.rotated + self.failed + self.left;
        match &mut self.style {
            Style::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(match self.failed {
                    0 => String::new(),
                    failed => format!("{failed} not rotated"),
                });
            }
            Style::Lines { at, done: said } => {
                let tenth = (self.total / 10).max(10);
                if done - *said >= tenth && done < self.total || at.elapsed() >= LINE_EVERY {
                    (*at, *said) = (Instant::now(), done);
                    self.line();
                }
            }
            Style::Silent => {}
        }
    }

    /// Nothing was done for a while.
    pub(crate) fn idle(&mut self) {
        const WHY: &str =
            "waiting for the store, the directory, or the lease of another run to lapse";
        match &mut self.style {
            Style::Bar(bar) => bar.set_message(WHY),
            Style::Lines { at, .. } => {
                *at = Instant::now();
                let done = self.rotated + self.failed + self.left;
                let left = self.total.saturating_sub(done);
                output::note(&format!("{}: {left} to go, {WHY}", self.name));
            }
            Style::Silent => {}
        }
    }

    /// The directory asked to wait.
    pub(crate) fn paused(&self, seconds: f64) {
        if let Style::Lines { .. } = self.style {
            output::note(&format!(
                "{}: the directory asks to wait {seconds:.0} s",
                self.name
            ));
        }
    }

    /// The run is over.
    pub(crate) fn end(self) {
        match &self.style {
            Style::Bar(bar) => bar.finish_and_clear(),
            Style::Lines { .. } => self.line(),
            Style::Silent => {}
        }
    }

    fn line(&self) {
        let (name, total, rotated) = (&self.name, self.total, self.rotated);
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} not"),
        };
        let left = match self.left {
            0 => String::new(),
            left => format!(", {left} left to another run"),
        };
        output::note(&format!(
            "{name}: {rotated} of {total} rotated{failed}{left}"
        ));
    }
}

fn bar(name: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} [{bar:40}] {human_pos} of {human_len}, {rate} {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // what cannot be drawn is drawn again soon
        let _drawn = write!(out, "{:.0}/s", state.per_sec());
    })
    .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
        .with_style(style)
        .with_prefix(name.to_owned())
}
