//! Many requests to one tenant by as many senders as there are requests at once, who do nothing but take turns.

#![allow(clippy::future_not_send, reason = "all senders share one thread")]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use entra_sim::{Quota, Throttle};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rotation_core::{Heard, Quota as Documented, Quotas, RateControl, RateController, RequestKind};
use tokio::time::{Instant, sleep, timeout};

use crate::judge::Judge;

/// One simulation.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    pub(crate) name: String,
    pub(crate) throttle: Throttle,
    pub(crate) requests: u64,
    pub(crate) at_once: usize,
    /// From sending to the answer, on the average; each takes between half of it and half more.
    pub(crate) latency: Duration,
    /// How many requests were sent just before.
    pub(crate) used_up: u64,
    pub(crate) documented: Option<Documented>,
    pub(crate) seed: u64,
}

/// How a simulation went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Went {
    pub(crate) seconds: f64,
    pub(crate) least: f64,
    pub(crate) asked: u64,
    pub(crate) turned_away: u64,
    pub(crate) impolite: u64,
}

impl Went {
    pub(crate) fn ratio(&self) -> f64 {
        self.seconds / self.least
    }

    pub(crate) fn rejected(&self) -> f64 {
        self.turned_away as f64 / self.asked as f64
    }
}

/// Microsoft's write quota of one app in one tenant.
pub(crate) const DOCUMENTED: Documented = Documented {
    requests: 3_000,
    period: Duration::from_secs(150),
};

pub(crate) fn quota(requests: u32, seconds: u64) -> Quota {
    Quota::new(requests, Duration::from_secs(seconds))
}

impl Crowd {
    /// 64 requests at once that take 0.2 s, as documented by Microsoft, and answers that tell how much is used.
    pub(crate) fn new(name: impl Into<String>, quota: Quota, requests: u64) -> Self {
        Self {
            name: name.into(),
            throttle: Throttle::app_in_tenant(quota),
            requests,
            at_once: 64,
            latency: Duration::from_millis(200),
            used_up: 0,
            documented: Some(DOCUMENTED),
            seed: 1,
        }
    }

    /// Answers do not tell how much of a quota is used.
    pub(crate) fn untold(mut self) -> Self {
        self.throttle = self.throttle.without_percentage();
        self
    }

    /// The least time it takes, if `by_quota` is what the quota takes for the last request to be let through.
    pub(crate) fn least(&self, by_quota: f64) -> f64 {
        let latency = self.latency.as_secs_f64();
        by_quota.max(self.requests as f64 * latency / self.at_once as f64) + latency
    }

    /// The same for a token bucket.
    pub(crate) fn least_of_bucket(&self, size: f64, per_second: f64) -> f64 {
        let at_first = size - self.used_up as f64;
        self.least((self.requests as f64 - at_first) / per_second)
    }

    /// The same for a window. The requests of the last one take time, too.
    pub(crate) fn least_of_window(&self, size: u64, seconds: f64) -> f64 {
        let windows = (self.requests - 1) / size;
        let last = (self.requests - windows * size) as f64 * self.latency.as_secs_f64();
        self.least(windows as f64 * seconds + last / self.at_once as f64)
    }

    /// Runs it, and prints how it went.
    pub(crate) fn goes(&self, least: f64) -> Went {
        let went = self.run(least);
        println!("{}", self.line(&went));
        assert_eq!(
            went.impolite, 0,
            "{}: somebody sent during a wait",
            self.name
        );
        went
    }

    pub(crate) fn line(&self, went: &Went) -> String {
        format!(
            "{:34} {:7} requests {:9.1} s, least {:9.1} s, ratio {:.4}, turned away {:6} = {:.2} %",
            self.name,
            self.requests,
            went.seconds,
            went.least,
            went.ratio(),
            went.turned_away,
            100.0 * went.rejected(),
        )
    }

    pub(crate) fn run(&self, least: f64) -> Went {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(self.simulate(least))
    }

    async fn simulate(&self, least: f64) -> Went {
        let quotas = Quotas {
            app_in_tenant: self.documented,
            ..Quotas::default()
        };
        let control = RateControl::with_requests_at_once(self.at_once);
        let controller = control.controller("app", "tenant", &quotas);
        let judge = Judge::new(self.throttle.clone());
        judge.use_up(0, self.used_up);
        let began = Instant::now();
        let to_send = Cell::new(self.requests);
        let rng = RefCell::new(StdRng::seed_from_u64(self.seed));
        let sender = || async {
            while to_send.get() > 0 {
                to_send.set(to_send.get() - 1);
                while !self.send(&controller, &judge, &rng).await {}
            }
        };
        let all = join_all((0..self.at_once).map(|_| sender()));
        let limit = Duration::from_secs_f64(4.0 * least + 4_000.0);
        assert!(
            timeout(limit, all).await.is_ok(),
            "it hangs: {self:?}, {:?}",
            controller.state()
        );
        let (asked, turned_away, impolite) = judge.seen_so_far();
        Went {
            seconds: began.elapsed().as_secs_f64(),
            least,
            asked,
            turned_away,
            impolite,
        }
    }

    /// Sends one request; whether it was let through.
    async fn send(
        &self,
        controller: &RateController,
        judge: &Judge,
        rng: &RefCell<StdRng>,
    ) -> bool {
        let _turn = controller.turn(RequestKind::Write).await;
        judge.sent(0);
        sleep(self.half_the_way(rng)).await;
        let said = judge.ask(0);
        sleep(self.half_the_way(rng)).await;
        let heard = judge.tells(0, &said);
        controller.heard(RequestKind::Write, heard);
        matches!(heard, Heard::Passed { .. })
    }

    fn half_the_way(&self, rng: &RefCell<StdRng>) -> Duration {
        self.latency
            .mul_f64(rng.borrow_mut().random_range(0.25..0.75))
    }
}
