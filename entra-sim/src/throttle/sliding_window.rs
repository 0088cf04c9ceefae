use std::collections::VecDeque;

use super::quota::Rate;

/// A log of what was counted, forgotten one period later.
#[derive(Clone, Debug, Default)]
pub(super) struct SlidingWindow {
    log: VecDeque<Entry>,
    count: u32,
}

/// What was counted within a short time. It is forgotten as late as its last request may be, so the limit is never exceeded.
#[derive(Clone, Debug)]
struct Entry {
    first: u64,
    last: u64,
    count: u32,
}

/// So many entries at most: a log of a million requests would be large and no more exact than anybody can see.
const ENTRIES: u64 = 1_024;

impl SlidingWindow {
    pub(super) fn pass_time(&mut self, rate: Rate, now: u64) {
        while let Some(entry) = self.log.front()
            && entry.last.saturating_add(rate.period) <= now
        {
            self.count -= entry.count;
            self.log.pop_front();
        }
    }

    pub(super) fn charge(&mut self, cost: u32, rate: Rate, debt: u32, now: u64) -> bool {
        let fits = self.left(rate) >= cost;
        if fits || self.count + cost <= rate.count.saturating_add(debt) {
            self.count += cost;
            match self.log.back_mut() {
                Some(entry) if now.saturating_sub(entry.first) < rate.period / ENTRIES => {
                    entry.last = now;
                    entry.count += cost;
                }
                _ => self.log.push_back(Entry {
                    first: now,
                    last: now,
                    count: cost,
                }),
            }
        }
        fits
    }

    pub(super) fn left(&self, rate: Rate) -> u32 {
        rate.count.saturating_sub(self.count)
    }

    pub(super) fn used(&self, rate: Rate) -> f64 {
        f64::from(self.count) / f64::from(rate.count)
    }

    /// Nanoseconds until enough is forgotten for so many to fit.
    pub(super) fn wait(&self, cost: u32, rate: Rate, now: u64) -> u64 {
        let mut left = self.count;
        for entry in &self.log {
            if left + cost <= rate.count {
                break;
            }
            left -= entry.count;
            if left + cost <= rate.count {
                return entry.last.saturating_add(rate.period).saturating_sub(now);
            }
        }
        0
    }
}
