use super::quota::Rate;

/// A count that begins anew with each window.
#[derive(Clone, Debug)]
pub(super) struct FixedWindow {
    began: u64,
    count: u32,
}

impl FixedWindow {
    pub(super) fn beginning(now: u64) -> Self {
        Self {
            began: now,
            count: 0,
        }
    }

    pub(super) fn pass_time(&mut self, rate: Rate, now: u64) {
        let windows = now.saturating_sub(self.began) / rate.period;
        if windows > 0 {
            self.began += windows * rate.period;
            self.count = 0;
        }
    }

    pub(super) fn charge(&mut self, cost: u32, rate: Rate, debt: u32) -> bool {
        let fits = self.left(rate) >= cost;
        let most = rate.count.saturating_add(if fits { 0 } else { debt });
        self.count = self.count.max((self.count + cost).min(most));
        fits
    }

    pub(super) fn left(&self, rate: Rate) -> u32 {
        rate.count.saturating_sub(self.count)
    }

    pub(super) fn used(&self, rate: Rate) -> f64 {
        f64::from(self.count) / f64::from(rate.count)
    }

    /// Nanoseconds until the next window.
    pub(super) fn wait(&self, rate: Rate, now: u64) -> u64 {
        (self.began + rate.period).saturating_sub(now)
    }
}
