//! How far one tenant, or all of them, are, in numbers and in words.

use std::time::Duration;

use rotation_core::{EventKind, RateState};

use super::pace::time_left;
use crate::output::{accounts, span};

/// What there is to wait for when nothing happens.
const WHY_IDLE: &str = "waiting for the store, the directory, or the lease of another run to lapse";

/// How wide a bar is, in characters.
const BAR: u64 = 20;

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) of: u64,
    pub(super) rotated: u64,
    /// Or unsettled.
    pub(super) failed: u64,
    /// To another run.
    pub(super) left: u64,
    /// The run ended before their turn came.
    pub(super) given_up: u64,
    pub(super) per_second: f64,
    /// Nothing was done for a while.
    pub(super) idle: bool,
    pub(super) state: RateState,
}

impl Numbers {
    pub(super) fn remaining(&self) -> u64 {
        let done = self.rotated + self.failed + self.left + self.given_up;
        self.of.saturating_sub(done)
    }

    pub(super) fn time_left(&self) -> Option<Duration> {
        time_left(self.remaining(), self.per_second, &self.state)
    }

    /// The same for programs.
    pub(super) fn event(&self) -> EventKind {
        EventKind::Progress {
            rotated: self.rotated,
            failed: self.failed,
            of: Some(self.of),
            per_second: self.per_second,
            limit: self.state.limit,
            usage: self.state.usage,
            paused_seconds: self.state.paused.unwrap_or_default().as_secs_f64(),
            eta_seconds: self.time_left().map(|left| left.as_secs_f64()),
        }
    }

    /// What is done, and how it goes on.
    pub(super) fn words(&self) -> String {
        format!("{}, {}", self.done(), self.going(self.time_left()))
    }

    /// What is done: "90 of 100 rotated, 2 not".
    pub(super) fn done(&self) -> String {
        let mut words = format!("{} of {} rotated", self.rotated, self.of);
        if self.failed > 0 {
            words.push_str(&format!(", {} not", self.failed));
        }
        if self.left > 0 {
            words.push_str(&format!(", {} left to another run", self.left));
        }
        words
    }

    /// How it goes on, `left` being how much longer it takes: "19.8/s, limit 20.0/s, about 2m 10s left".
    pub(super) fn going(&self, left: Option<Duration>) -> String {
        if self.idle && self.state.paused.is_none() {
            return format!("{} to go, {WHY_IDLE}", accounts(self.remaining()));
        }
        let mut words = format!("{:.1}/s", self.per_second);
        if let Some(limit) = self.state.limit {
            words.push_str(&format!(", limit {limit:.1}/s"));
        }
        if let Some(paused) = self.state.paused {
            words.push_str(&format!(", paused for {}", span(paused)));
        }
        if let Some(left) = left {
            words.push_str(&format!(", about {} left", span(left)));
        }
        words
    }

    /// "[=====>    ]"
    pub(super) fn bar(&self) -> String {
        let done = self.of - self.remaining().min(self.of);
        let filled = done.saturating_mul(BAR).checked_div(self.of).unwrap_or(BAR);
        let cells = (0..BAR).map(|cell| match cell {
            _ if cell < filled => '=',
            _ if cell == filled => '>',
            _ => ' ',
        });
        format!("[{}]", cells.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        Numbers {
            of: 200,
            rotated: 90,
            failed: 7,
            left: 3,
            per_second: 19.84,
            ..Numbers::default()
        }
    }

    #[test]
    fn words_say_what_the_numbers_do() {
        let mut numbers = numbers();
        assert_eq!(
            numbers.done(),
            "90 of 200 rotated, 7 not, 3 left to another run"
        );
        assert_eq!(numbers.bar(), "[==========>         ]");
        numbers.state.limit = Some(10.0);
        let left = numbers.time_left();
        assert_eq!(numbers.going(left), "19.8/s, limit 10.0/s, about 10s left");
        numbers.state.paused = Some(Duration::from_millis(29_600));
        let left = numbers.time_left();
        assert_eq!(
            numbers.going(left),
            "19.8/s, limit 10.0/s, paused for 30s, about 40s left"
        );
        let whole = Numbers {
            of: 100,
            rotated: 100,
            ..Numbers::default()
        };
        assert_eq!(whole.bar(), "[====================]");
        assert_eq!(Numbers::default().bar(), "[====================]");
    }

    #[test]
    fn nothing_done_for_a_while_is_said_unless_the_directory_asked_for_it() {
        let mut numbers = Numbers {
            idle: true,
            per_second: 0.0,
            ..numbers()
        };
        assert!(
            numbers
                .going(None)
                .starts_with("100 accounts to go, waiting for the store")
        );
        numbers.state.paused = Some(Duration::from_secs(5));
        assert_eq!(numbers.going(None), "0.0/s, paused for 5s");
    }

    #[test]
    fn programs_get_the_same_numbers() {
        let mut numbers = numbers();
        numbers.state.limit = Some(10.0);
        numbers.state.usage = Some(0.9);
        let json = serde_json::to_value(numbers.event()).unwrap();
        let expected = serde_json::json!({
            "event": "progress", "rotated": 90, "failed": 7, "of": 200, "per_second": 19.84, "limit": 10.0,
            "usage": 0.9, "paused_seconds": 0.0, "eta_seconds": 10.0,
        });
        assert_eq!(json, expected);
    }
}
