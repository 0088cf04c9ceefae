use super::fixed_window::FixedWindow;
use super::neighbour::Acting;
use super::quota::{Model, Quota, Rate};
use super::sliding_window::SlidingWindow;
use super::token_bucket::TokenBucket;

/// A quota being used. Its time is in nanoseconds since the start and never goes back.
#[derive(Debug)]
pub(super) struct Meter {
    count: Count,
    rate: Rate,
    /// How many of the quota's rates have begun.
    begun: usize,
    now: u64,
    neighbour: Option<Acting>,
}

#[derive(Debug)]
enum Count {
    Fixed(FixedWindow),
    Sliding(SlidingWindow),
    Tokens(TokenBucket),
}

impl Meter {
    /// Unused; `salt` makes neighbours of equal seeds differ.
    pub(super) fn new(quota: &Quota, salt: u64) -> Self {
        let first = quota.rates.first().map(|(_, rate)| *rate);
        let rate = first.unwrap_or(Rate {
            count: u32::MAX,
            period: 1,
        });
        Self {
            count: match quota.model {
                Model::FixedWindow => Count::Fixed(FixedWindow::beginning(0)),
                Model::SlidingWindow => Count::Sliding(SlidingWindow::default()),
                Model::TokenBucket => Count::Tokens(TokenBucket::full(rate, 0)),
            },
            rate,
            begun: 1,
            now: 0,
            neighbour: quota
                .neighbour
                .as_ref()
                .map(|neighbour| Acting::new(neighbour, salt)),
        }
    }

    /// Lets time pass, limits change and the neighbour act.
    pub(super) fn pass_time(&mut self, quota: &Quota, now: u64) {
        let now = self.now.max(now);
        while let Some(&(from, rate)) = quota.rates.get(self.begun)
            && from <= now
        {
            self.let_neighbour_act(from, quota.debt);
            self.settle(from);
            self.change_rate(rate, from);
            self.begun += 1;
        }
        self.let_neighbour_act(now, quota.debt);
        self.settle(now);
    }

    fn let_neighbour_act(&mut self, now: u64, debt: f64) {
        let rate = self.rate;
        let Some(mut neighbour) = self.neighbour.take() else {
            return;
        };
        neighbour.skip_to(rate, now);
        while neighbour.next_tick <= now {
            self.settle(neighbour.next_tick);
            let wanted = neighbour.wants(rate).min(self.left());
            if wanted > 0 {
                self.charge(wanted, debt);
            }
        }
        self.neighbour = Some(neighbour);
    }

    fn settle(&mut self, now: u64) {
        self.now = self.now.max(now);
        match &mut self.count {
            Count::Fixed(window) => window.pass_time(self.rate, self.now),
            Count::Sliding(window) => window.pass_time(self.rate, self.now),
            Count::Tokens(bucket) => bucket.pass_time(self.rate, self.now),
        }
    }

    fn change_rate(&mut self, rate: Rate, now: u64) {
        match &mut self.count {
            Count::Fixed(window) => *window = FixedWindow::beginning(now),
            Count::Sliding(_) => {}
            Count::Tokens(bucket) => bucket.change_rate(self.rate, rate),
        }
        self.rate = rate;
    }

    /// Counts a request, let through or not; whether it fits. One that costs more than there ever is costs all there is.
    pub(super) fn charge(&mut self, cost: u32, debt: f64) -> bool {
        let (rate, now) = (self.rate, self.now);
        let (cost, debt) = (cost.min(rate.count), rate.debt(debt));
        match &mut self.count {
            Count::Fixed(window) => window.charge(cost, rate, debt),
            Count::Sliding(window) => window.charge(cost, rate, debt, now),
            Count::Tokens(bucket) => bucket.charge(cost, rate, debt),
        }
    }

    fn left(&self) -> u32 {
        match &self.count {
            Count::Fixed(window) => window.left(self.rate),
            Count::Sliding(window) => window.left(self.rate),
            Count::Tokens(bucket) => bucket.left(self.rate),
        }
    }

    /// The share that is used; more than 1 while in debt.
    pub(super) fn used(&self) -> f64 {
        match &self.count {
            Count::Fixed(window) => window.used(self.rate),
            Count::Sliding(window) => window.used(self.rate),
            Count::Tokens(bucket) => bucket.used(self.rate),
        }
    }

    /// Nanoseconds until such a request fits, if nobody else sends any and the limit stays.
    pub(super) fn wait(&self, cost: u32) -> u64 {
        let cost = cost.min(self.rate.count);
        match &self.count {
            Count::Fixed(window) => window.wait(self.rate, self.now),
            Count::Sliding(window) => window.wait(cost, self.rate, self.now),
            Count::Tokens(bucket) => bucket.wait(cost, self.rate),
        }
    }
}
