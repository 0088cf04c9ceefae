use super::quota::Rate;

/// Tokens that drip in evenly; a request takes some out.
///
/// Whole numbers throughout, so that whoever waits exactly as long as told gets through.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// Tokens times the nanoseconds of the period: so many drip in each nanosecond as the rate counts. Below zero: debt.
    level: i128,
    /// When it was filled last.
    filled: u64,
}

fn tokens(count: u32, rate: Rate) -> i128 {
    i128::from(count) * i128::from(rate.period)
}

impl TokenBucket {
    pub(super) fn full(rate: Rate, now: u64) -> Self {
        Self {
            level: tokens(rate.count, rate),
            filled: now,
        }
    }

    pub(super) fn pass_time(&mut self, rate: Rate, now: u64) {
        let elapsed = now.saturating_sub(self.filled);
        let dripped = i128::from(elapsed) * i128::from(rate.count);
        self.level = (self.level + dripped).min(tokens(rate.count, rate));
        self.filled = now;
    }

    /// Keeps the tokens; those that a smaller bucket does not hold are gone when time passes next.
    pub(super) fn change_rate(&mut self, from: Rate, to: Rate) {
        self.level = self.level * i128::from(to.period) / i128::from(from.period);
    }

    pub(super) fn charge(&mut self, cost: u32, rate: Rate, debt: u32) -> bool {
        let cost = tokens(cost, rate);
        if self.level >= cost {
            self.level -= cost;
            return true;
        }
        if debt > 0 {
            let floor = -tokens(debt, rate);
            self.level = self.level.min((self.level - cost).max(floor));
        }
        false
    }

    /// Whole tokens that are there.
    pub(super) fn left(&self, rate: Rate) -> u32 {
        let whole = self.level.max(0) / i128::from(rate.period);
        u32::try_from(whole).unwrap_or(u32::MAX)
    }

    pub(super) fn used(&self, rate: Rate) -> f64 {
        1.0 - self.level as f64 / tokens(rate.count, rate) as f64
    }

    /// Nanoseconds until so many tokens are there.
    pub(super) fn wait(&self, cost: u32, rate: Rate) -> u64 {
        let missing = (tokens(cost, rate) - self.level).max(0).unsigned_abs();
        u64::try_from(missing.div_ceil(u128::from(rate.count))).unwrap_or(u64::MAX)
    }
}
