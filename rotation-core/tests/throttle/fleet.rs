//! Many tenants through one app: the real engine in each, all of them in one stream, against one judge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entra_sim::Throttle;
use futures::StreamExt;
use futures::stream::{self, BoxStream, select_all};
use jiff::Timestamp;
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    Account, AccountId, AccountQuery, Age, BackendError, Caller, Drift, Engine, EngineOptions,
    EventKind, Heard, Holdings, Outcome, Policy, Problem, Quota, Quotas, RateControl,
    RateController, RequestKind, RoleAssignment, RoleId, RotationBackend, SecretStore, SetPassword,
    TenantId, Treatment,
};
use tokio::time::{Instant, sleep};

use crate::judge::Judge;

/// Microsoft's write quotas (<https://learn.microsoft.com/graph/throttling-limits>).
pub(crate) const DOCUMENTED: Quotas = Quotas {
    app_in_tenant: Some(per(3_000, 150)),
    app: Some(per(35_000, 300)),
    tenant: Some(per(18_000, 300)),
};

const fn per(requests: u32, seconds: u64) -> Quota {
    Quota {
        requests,
        period: Duration::from_secs(seconds),
    }
}

/// Tenants by their numbers of accounts, and how they are throttled.
pub(crate) struct Fleet {
    pub(crate) accounts: Vec<usize>,
    pub(crate) throttle: Throttle,
    /// Tenants with limits of their own.
    pub(crate) apart: Vec<(usize, Throttle)>,
    /// From sending to the answer.
    pub(crate) latency: Duration,
    /// A tenant whose answers take so long.
    pub(crate) slow: Option<(usize, Duration)>,
    /// Whether controllers are told how much is to come.
    pub(crate) expected: bool,
    /// How many passwords share a request.
    pub(crate) batch: usize,
    pub(crate) store: fn() -> Arc<dyn SecretStore>,
}

/// How it went.
pub(crate) struct Went {
    pub(crate) seconds: f64,
    /// When each tenant was done, in seconds; none if it never was.
    pub(crate) done: Vec<Option<f64>>,
    pub(crate) rotated: Vec<u64>,
    pub(crate) asked: u64,
    pub(crate) turned_away: u64,
    pub(crate) impolite: u64,
}

impl Went {
    pub(crate) fn rejected(&self) -> f64 {
        self.turned_away as f64 / self.asked.max(1) as f64
    }
}

/// Sizes like those of customers: the k-th has the k-th part of the first, and none more than `most`.
pub(crate) fn zipf(tenants: usize, accounts: usize, most: usize) -> Vec<usize> {
    let at = |first: f64| -> Vec<usize> {
        let size = |tenant: usize| (first / (tenant + 1) as f64).ceil() as usize;
        (0..tenants).map(|tenant| size(tenant).min(most)).collect()
    };
    let (mut low, mut high) = (0.0, accounts as f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at(middle).iter().sum::<usize>() < accounts {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(high)
}

impl Fleet {
    /// As documented, with answers after 0.2 s.
    pub(crate) fn documented(accounts: Vec<usize>) -> Self {
        Self {
            accounts,
            throttle: Throttle::documented(),
            apart: Vec::new(),
            latency: Duration::from_millis(200),
            slow: None,
            expected: true,
            batch: 1,
            store: || Arc::new(MemoryStore::new()),
        }
    }

    /// The least time: the longest of what each tenant's quota takes and what the app's takes, and one latency.
    pub(crate) fn least(&self) -> f64 {
        let all = self.accounts.iter().sum::<usize>() as f64;
        let of_app = (all - 35_000.0) / (35_000.0 / 300.0);
        let of_tenants = self
            .accounts
            .iter()
            .map(|accounts| (*accounts as f64 - 3_000.0) / 20.0);
        of_tenants.fold(of_app.max(0.0), f64::max) + self.latency.as_secs_f64()
    }

    /// Runs until all are done but the slow one and those apart, if `all` is not asked for.
    pub(crate) async fn run(&self, all: bool) -> Went {
        let control = RateControl::new();
        let judge = Arc::new(Judge::new(self.throttle.clone()));
        for (tenant, throttle) in &self.apart {
            judge.limit_tenant(*tenant, throttle.clone());
        }
        let store = (self.store)();
        let mut engines = Vec::new();
        for (number, accounts) in self.accounts.iter().enumerate() {
            let controller = control.controller("app", &format!("tenant-{number}"), &DOCUMENTED);
            if self.expected {
                controller.expect(*accounts as u64);
            }
            let latency = match self.slow {
                Some((slow, latency)) if slow == number => latency,
                _ => self.latency,
            };
            let backend = Simulated {
                number,
                accounts: *accounts,
                latency,
                batch: self.batch,
                judge: Arc::clone(&judge),
                controller,
            };
            let options = EngineOptions {
                attempt_timeout: Duration::from_secs(120),
                lease: Duration::from_secs(300),
                ..EngineOptions::default()
            };
            let engine = Engine::new(Arc::new(backend), Arc::clone(&store), policy()).unwrap();
            engines.push(engine.with_options(options));
        }
        let began = Instant::now();
        let mut runs = Vec::new();
        for (number, engine) in engines.iter().enumerate() {
            let plan = engine.plan(AccountQuery::All).await.unwrap();
            runs.push(engine.run(plan).map(move |event| (number, event)).boxed());
        }
        let mut went = Went {
            seconds: 0.0,
            done: vec![None; engines.len()],
            rotated: vec![0; engines.len()],
            asked: 0,
            turned_away: 0,
            impolite: 0,
        };
        let others: Vec<usize> = (0..engines.len())
            .filter(|number| all || !self.is_odd(*number))
            .collect();
        let mut events = select_all(runs);
        while let Some((number, event)) = events.next().await {
            if let EventKind::RunFinished { report } = event.kind {
                went.done[number] = Some(began.elapsed().as_secs_f64());
                went.rotated[number] = report.rotated;
                if others.iter().all(|number| went.done[*number].is_some()) {
                    break;
                }
            }
        }
        went.seconds = began.elapsed().as_secs_f64();
        (went.asked, went.turned_away, went.impolite) = judge.seen_so_far();
        went
    }

    fn is_odd(&self, number: usize) -> bool {
        self.slow.is_some_and(|(slow, _)| slow == number)
            || self.apart.iter().any(|(apart, _)| *apart == number)
    }
}

fn policy() -> Policy {
    Policy {
        unknown_age: Treatment::Rotate,
        max_age: Age::default(),
        drift: Drift::Ignore,
        length: 12,
        canary: 0,
        max_failures: "100%".parse().unwrap(),
        ..Policy::default()
    }
}

/// One tenant.
struct Simulated {
    number: usize,
    accounts: usize,
    latency: Duration,
    batch: usize,
    judge: Arc<Judge>,
    controller: RateController,
}

#[async_trait]
impl RotationBackend for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        let tenant = TenantId::new(&format!("tenant-{}", self.number));
        let mut caller = Caller::app_only(tenant, AccountId::new("caller"));
        caller.permissions = ["User-PasswordProfile.ReadWrite.All".to_owned()].into();
        caller
            .roles
            .push(RoleAssignment::active(RoleId::GLOBAL_ADMINISTRATOR));
        Ok(caller)
    }

    fn accounts(&self, _query: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        stream::iter(0..self.accounts)
            .map(|number| {
                let id = AccountId::new(&format!("user-{number}"));
                Ok(Account::new(id, format!("u{number}@t.test")).holding(Holdings::default()))
            })
            .boxed()
    }

    fn max_batch(&self) -> usize {
        self.batch
    }

    fn rate(&self) -> Option<&RateController> {
        Some(&self.controller)
    }

    async fn set_password(&self, request: &SetPassword) -> Outcome {
        let outcomes = self.set_passwords(std::slice::from_ref(request)).await;
        outcomes.into_iter().next().unwrap()
    }

    async fn set_passwords(&self, batch: &[SetPassword]) -> Vec<Outcome> {
        self.judge.sent(self.number);
        sleep(self.latency / 2).await;
        let said: Vec<_> = batch.iter().map(|_| self.judge.ask(self.number)).collect();
        sleep(self.latency / 2).await;
        let outcome = |said| {
            let heard = self.judge.tells(self.number, said);
            self.controller.heard(RequestKind::Write, heard);
            match heard {
                Heard::Throttled { retry_after, .. } => Outcome::Throttled {
                    retry_after,
                    ambiguous: false,
                    problem: Problem::new("429"),
                },
                _ => Outcome::Applied {
                    request_id: None,
                    answered_at: None,
                },
            }
        };
        said.iter().map(outcome).collect()
    }

    async fn password_changed(
        &self,
        _account: &AccountId,
    ) -> Result<Option<Timestamp>, BackendError> {
        Ok(None)
    }
}
