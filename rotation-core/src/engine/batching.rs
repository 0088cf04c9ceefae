//! One password a request, or several? Whichever takes less time for each.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether passwords share requests, where the backend can do that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Batching {
    /// Whichever is faster, as measured all along.
    #[default]
    Auto,
    /// As many in one request as the backend takes and as are ready.
    Always,
    /// One password a request.
    Never,
}

/// One in so many requests is of the kind that seems slower, to see whether it still is.
const TRIALS: u32 = 64;

/// How much one more measurement counts.
const WEIGHT: f64 = 0.1;

/// Chooses how many passwords the next request has.
///
/// With so many requests at once and no more, what counts is how long a request keeps its place, for each of its
/// passwords.
#[derive(Debug)]
pub(super) struct Chooser {
    batching: Batching,
    most: usize,
    measured: Mutex<Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    /// Seconds for each password, alone and in company.
    alone: Option<f64>,
    together: Option<f64>,
    since_trial: u32,
}

impl Chooser {
    /// For a backend that takes `most` passwords at once.
    pub(super) fn new(batching: Batching, most: usize) -> Self {
        Self {
            batching,
            most,
            measured: Mutex::default(),
        }
    }

    /// How many passwords the next request may have.
    pub(super) fn next(&self) -> usize {
        let alone = match self.batching {
            Batching::Never => true,
            Batching::Always => false,
            Batching::Auto => self.measured().next_goes_alone(),
        };
        if alone { 1 } else { self.most }
    }

    /// A request with so many passwords took so long.
    pub(super) fn took(&self, passwords: usize, time: Duration) {
        let mut measured = self.measured();
        let average = if passwords > 1 {
            &mut measured.together
        } else {
            &mut measured.alone
        };
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let each = time.as_secs_f64() / passwords.max(1) as f64;
        *average = Some(average.map_or(each, |average| average + (each - average) * WEIGHT));
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn next_goes_alone(&mut self) -> bool {
        let (Some(alone), Some(together)) = (self.alone, self.together) else {
            // in company until that was tried, since it also spares requests
            return self.together.is_some();
        };
        let faster_alone = alone < together;
        self.since_trial += 1;
        if self.since_trial < TRIALS {
            return faster_alone;
        }
        self.since_trial = 0;
        !faster_alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the next hundred requests, if one with `n` passwords takes `first + n * each` milliseconds.
    fn sizes(batching: Batching, first: u64, each: u64) -> Vec<usize> {
        let chooser = Chooser::new(batching, 20);
        let send = |_| {
            let size = chooser.next();
            let time = Duration::from_millis(first + each * size as u64);
            chooser.took(size, time);
            size
        };
        (0..100).map(send).collect()
    }

    #[test]
    fn takes_what_is_faster_and_looks_at_the_other_now_and_then() {
        let far_away = sizes(Batching::Auto, 100, 1);
        assert_eq!(far_away.iter().filter(|size| **size == 1).count(), 2);
        // a server that does one after the other and takes its time in between
        let chooser = Chooser::new(Batching::Auto, 20);
        let mut alone = 0;
        for _ in 0..100 {
            let size = chooser.next();
            let each = if size == 1 { 10 } else { 11 };
            chooser.took(size, Duration::from_millis(each * size as u64));
            alone += usize::from(size == 1);
        }
        assert!(alone > 90, "{alone}");
    }

    #[test]
    fn does_as_it_is_told() {
        assert_eq!(sizes(Batching::Always, 1, 100), [20; 100]);
        assert_eq!(sizes(Batching::Never, 100, 1), [1; 100]);
    }

    #[test]
    fn a_change_of_the_weather_is_noticed() {
        let chooser = Chooser::new(Batching::Auto, 20);
        let mut last = Vec::new();
        for request in 0..1_000 {
            let size = chooser.next();
            let slow_together = request > 200;
            let time = match size {
                1 => 10,
                _ if slow_together => 2_000,
                _ => 20,
            };
            chooser.took(size, Duration::from_millis(time));
            last.push(size);
        }
        let alone = |sizes: &[usize]| sizes.iter().filter(|size| **size == 1).count();
        assert!(alone(&last[..200]) < 10);
        assert!(alone(&last[800..]) > 190);
    }
}
