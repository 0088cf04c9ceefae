//! How near to the quotas do many tenants get through one app, and what does one that is throttled hard cost the others?
//! On a virtual clock, with the real engine for each tenant, against the simulator's model of Microsoft's documented quotas
//! (<https://learn.microsoft.com/graph/throttling-limits>).
//!
//! Run it: `cargo bench -p rotation-benches --bench fleet`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entra_sim::{Cost, Throttle, Throttles};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use rand::RngExt;
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    Account, AccountId, AccountQuery, BackendError, Caller, Clock, Decision, Due, Engine,
    EventKind, Heard, Outcome, Plan, PlanTenant, Planned, Policy, Problem, Quota, QuotaScope,
    Quotas, RateControl, RateController, RequestKind, RoleId, RotationBackend, SetPassword,
    SystemClock, TenantId,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error>;

const APP: Uuid = Uuid::from_u128(1);

/// How long an answer takes on average, in seconds.
const LATENCY: f64 = 0.2;

/// What Microsoft documents, as a client is told of it.
const DOCUMENTED: Quotas = Quotas {
    app_in_tenant: Some(quota(3_000, 150)),
    app: Some(quota(35_000, 300)),
    tenant: Some(quota(18_000, 300)),
};

const fn quota(requests: u32, seconds: u64) -> Quota {
    Quota {
        requests,
        period: Duration::from_secs(seconds),
    }
}

/// A tenant on the virtual clock, judged by the simulator's model.
struct Virtual {
    tenant: Uuid,
    controller: RateController,
    judge: Arc<Throttles>,
    began: Instant,
}

#[async_trait]
impl RotationBackend for Virtual {
    fn name(&self) -> &'static str {
        "virtual"
    }

    async fn caller(&self) -> Result<Caller, BackendError> {
        let problem = Problem::new("nobody asks");
        Err(BackendError::Unexpected(problem))
    }

    fn accounts(&self, _: AccountQuery) -> BoxStream<'_, Result<Account, BackendError>> {
        stream::empty().boxed()
    }

    async fn set_password(&self, _: &SetPassword) -> Outcome {
        let way = || Duration::from_secs_f64(LATENCY / 2.0 * rand::rng().random_range(0.5..1.5));
        sleep(way()).await;
        let now = Timestamp::UNIX_EPOCH
            .checked_add(self.began.elapsed())
            .unwrap_or(Timestamp::MAX);
        let admitted = self.judge.admit(APP, self.tenant, Cost::WRITE, now);
        sleep(way()).await;
        let (heard, outcome) = match admitted {
            Ok(usage) => (
                Heard::Passed { usage },
                Outcome::Applied {
                    request_id: None,
                    answered_at: None,
                },
            ),
            Err(overrun) => {
                let retry_after = overrun.retry_after;
                let scope = Some(match overrun.scope {
                    entra_sim::Scope::App => QuotaScope::App,
                    entra_sim::Scope::Tenant => QuotaScope::Tenant,
                    _ => QuotaScope::AppInTenant,
                });
                let problem = Problem::new("429");
                (
                    Heard::Throttled { retry_after, scope },
                    Outcome::Throttled {
                        retry_after,
                        ambiguous: false,
                        problem,
                    },
                )
            }
        };
        self.controller.heard(RequestKind::Write, heard);
        outcome
    }

    fn rate(&self) -> Option<&RateController> {
        Some(&self.controller)
    }

    async fn password_changed(&self, _: &AccountId) -> Result<Option<Timestamp>, BackendError> {
        Ok(None)
    }
}

/// What came of the accounts of many tenants.
#[derive(Default)]
struct Done {
    /// When the last account of each tenant was done, in virtual seconds.
    seconds: Vec<f64>,
    rotated: u64,
    requests: u64,
    throttled: u64,
}

impl Done {
    fn last_but(&self, left_out: Option<usize>) -> f64 {
        let tenants = self.seconds.iter().enumerate();
        let others = tenants.filter(|(tenant, _)| Some(*tenant) != left_out);
        others.map(|(_, seconds)| *seconds).fold(0.0, f64::max)
    }
}

/// Rotates so many accounts in each tenant, all at the same time.
async fn rotate(sizes: &[u64], judge: Throttles) -> Result<Done, Failure> {
    let (judge, control, began) = (Arc::new(judge), RateControl::new(), Instant::now());
    let mut engines = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let tenant = tenant(number);
        let controller = control.controller(&APP.to_string(), &tenant.to_string(), &DOCUMENTED);
        controller.expect(*size);
        let backend = Virtual {
            tenant,
            controller,
            judge: Arc::clone(&judge),
            began,
        };
        let policy = Policy {
            length: 16,
            ..Policy::default()
        };
        engines.push(Engine::new(
            Arc::new(backend),
            Arc::new(MemoryStore::new()),
            policy,
        )?);
    }
    let runs = engines.iter().zip(sizes).enumerate();
    let runs = runs.map(|(number, (engine, size))| {
        let run = engine.run(plan(tenant(number), *size));
        run.map(move |event| (number, event)).boxed()
    });
    let mut done = Done {
        seconds: vec![0.0; sizes.len()],
        ..Done::default()
    };
    let mut events = stream::select_all(runs);
    while let Some((number, event)) = events.next().await {
        if let EventKind::RunFinished { report } = event.kind {
            if let Some(seconds) = done.seconds.get_mut(number) {
                *seconds = began.elapsed().as_secs_f64();
            }
            done.rotated += report.rotated;
            done.requests += report.requests;
            done.throttled += report.throttled;
        }
    }
    let all: u64 = sizes.iter().sum();
    if done.rotated != all {
        return Err(format!("{} of {all} were rotated", done.rotated).into());
    }
    Ok(done)
}

fn tenant(number: usize) -> Uuid {
    Uuid::from_u128(1_000 + number as u128)
}

fn plan(tenant: Uuid, size: u64) -> Plan<'static> {
    let decisions = (0..size).map(move |number| {
        let id = AccountId::new(&Uuid::from_u128(u128::from(number)).to_string());
        let account = Account::new(id, format!("user{number}@contoso.com"));
        let rotate = Decision::Rotate {
            due: Due::UnknownAge,
            by: RoleId::GLOBAL_ADMINISTRATOR,
        };
        Ok(Planned::new(account, rotate))
    });
    let of = PlanTenant {
        tenant: TenantId::new(&tenant.to_string()),
        caller: AccountId::new(&Uuid::nil().to_string()),
    };
    Plan::new(of, SystemClock.now(), stream::iter(decisions))
}

/// Sizes of `tenants` tenants with `accounts` accounts together: few large ones, many small ones (Zipf).
fn sizes(tenants: usize, accounts: u64) -> Vec<u64> {
    let weights: Vec<f64> = (1..=tenants).map(|rank| (rank as f64).powf(-0.8)).collect();
    let all: f64 = weights.iter().sum();
    let size = |weight: &f64| ((weight / all * accounts as f64) as u64).max(1);
    let mut sizes: Vec<u64> = weights.iter().map(size).collect();
    let given: u64 = sizes.iter().sum();
    if let Some(largest) = sizes.first_mut() {
        *largest += accounts.saturating_sub(given);
    }
    sizes
}

/// In how many seconds a bucket that starts full lets so many through.
fn least(accounts: u64, quota: Option<Quota>) -> f64 {
    quota.map_or(0.0, |quota| {
        let beyond = accounts.saturating_sub(u64::from(quota.requests)) as f64;
        beyond * quota.period.as_secs_f64() / f64::from(quota.requests)
    })
}

fn check(what: &str, found: f64, holds: bool) -> Result<(), Failure> {
    println!(
        "| {what} | {found:.4} | {} |",
        if holds { "yes" } else { "NO" }
    );
    if holds {
        Ok(())
    } else {
        Err(format!("{what}: {found}").into())
    }
}

async fn documented_quotas(tenants: usize, accounts: u64) -> Result<(), Failure> {
    let sizes = sizes(tenants, accounts);
    let own =
        |size: &u64| least(*size, DOCUMENTED.app_in_tenant).max(least(*size, DOCUMENTED.tenant));
    let least = sizes
        .iter()
        .map(own)
        .fold(least(accounts, DOCUMENTED.app), f64::max);
    let judge = Throttles::new(Throttle::documented(), Timestamp::UNIX_EPOCH);
    let done = rotate(&sizes, judge).await?;
    let seconds = done.last_but(None);
    let largest = sizes.first().copied().unwrap_or_default();
    println!(
        "\n{accounts} accounts in {tenants} tenants (the largest has {largest}) through one app: {seconds:.0} s, at least {least:.0} s; {} of {} requests were turned away",
        done.throttled, done.requests
    );
    println!("| | | holds |\n| --- | --- | --- |");
    check(
        "time to the theoretical minimum, at most 1.02",
        seconds / least,
        seconds / least <= 1.02,
    )?;
    let turned_away = done.throttled as f64 / done.requests as f64;
    check(
        "share of requests turned away, at most 0.005",
        turned_away,
        turned_away <= 0.005,
    )
}

async fn one_throttled_hard(tenants: usize, each: u64) -> Result<(), Failure> {
    let sizes = vec![each; tenants];
    let judge = || Throttles::new(Throttle::documented(), Timestamp::UNIX_EPOCH);
    let without = rotate(sizes.get(1..).unwrap_or_default(), judge())
        .await?
        .last_but(None);
    let throttles = judge();
    let hard = entra_sim::Quota::new(1, Duration::from_secs(10));
    throttles.set_tenant(
        tenant(0),
        Some(Throttle::documented().with_app_in_tenant(hard)),
    );
    let mut sizes = sizes;
    if let Some(first) = sizes.first_mut() {
        // it is at work as long as the others are
        *first = (without / 10.0) as u64 + 1;
    }
    let done = rotate(&sizes, throttles).await?;
    let with = done.last_but(Some(0));
    println!(
        "\n{tenants} tenants of {each} accounts, one of which may send one request in 10 s: the others take {with:.0} s, without it {without:.0} s"
    );
    println!("| | | holds |\n| --- | --- | --- |");
    check(
        "the others' throughput to a run without it, at least 0.97",
        without / with,
        without / with >= 0.97,
    )
}

fn main() -> Result<(), Failure> {
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        if is_measured {
            documented_quotas(400, 1_000_000).await?;
            one_throttled_hard(200, 1_000).await
        } else {
            documented_quotas(20, 60_000).await?;
            one_throttled_hard(50, 1_000).await
        }
    })
}
