//! The real engine on this backend: whatever happens to workers and runs, the live password is among the store's versions.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use backend_powershell_compat::Dialect;
use entra_sim::UserView;
use futures::StreamExt;
use futures::stream::BoxStream;
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountKey, AccountQuery, Age, Commit, Engine, EngineOptions, Lease, NewVersion, Plan,
    PlanTenant, Policy, RetryPolicy, RotationBackend, SecretStore, Select, StoreError, TenantId,
    Treatment, Version, VersionKey, VersionState,
};

use crate::workshop::{DIALECTS, Workshop, gone, id};

/// A store that remembers every password it was given, so that they can be tried.
#[derive(Clone, Default)]
struct Witness {
    store: MemoryStore,
    staged: Arc<Mutex<HashMap<AccountKey, Vec<String>>>>,
}

#[async_trait]
impl SecretStore for Witness {
    async fn lease(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        self.store.lease(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.store.release(lease).await
    }

    async fn stage(&self, batch: &[NewVersion]) -> Vec<Result<(), StoreError>> {
        for new in batch {
            let mut staged = self.staged.lock().unwrap();
            let passwords = staged.entry(new.key.account.clone()).or_default();
            passwords.push(new.password.expose().to_owned());
        }
        self.store.stage(batch).await
    }

    async fn commit(&self, batch: &[Commit]) -> Vec<Result<(), StoreError>> {
        self.store.commit(batch).await
    }

    async fn discard(&self, version: &VersionKey) -> Result<(), StoreError> {
        self.store.discard(version).await
    }

    async fn prune(&self, select: &Select, keep: usize) -> Result<u64, StoreError> {
        self.store.prune(select, keep).await
    }

    fn versions(&self, select: Select) -> BoxStream<'_, Result<Version, StoreError>> {
        self.store.versions(select)
    }
}

impl Witness {
    /// Promise 2: what is live is current or pending, unless nothing was ever set.
    fn assert_nothing_lost(&self, workshop: &Workshop, users: &[UserView], context: &str) {
        workshop.tenant().sync();
        for user in users {
            let now = workshop.tenant().user(&user.id.to_string()).unwrap();
            if now.password_sets == user.password_sets {
                continue;
            }
            let key = AccountKey {
                tenant: TenantId::new(&workshop.tenant().id().to_string()),
                account: id(user),
            };
            let staged = self.staged.lock().unwrap();
            let mut passwords = staged.get(&key).into_iter().flatten();
            let live =
                passwords.find(|password| workshop.tenant().current_password_is(user.id, password));
            let live = live
                .unwrap_or_else(|| panic!("a password is live that was never staged: {context}"));
            let state = self.store.state_of_password(&key, live);
            let is_kept = matches!(state, Some(VersionState::Current | VersionState::Pending));
            assert!(
                is_kept,
                "the live password of {} is {state:?}: {context}",
                user.user_principal_name
            );
        }
    }
}

/// A directory that workers reach.
#[derive(Clone, Copy, Debug)]
enum Reached {
    By(Dialect),
    /// A tenant, and the domain that its accounts are synced from.
    Hybrid,
}

impl Reached {
    async fn workshop(self, count: usize) -> Workshop {
        match self {
            Self::By(_) => Workshop::with_accounts(count).await,
            Self::Hybrid => Workshop::with_synced(count).await,
        }
    }

    fn backend(self, workshop: &Workshop) -> Arc<dyn RotationBackend> {
        match self {
            Self::By(dialect) => Arc::new(workshop.backend(dialect)),
            Self::Hybrid => Arc::new(workshop.hybrid()),
        }
    }

    fn accounts(self, workshop: &Workshop) -> Vec<UserView> {
        match self {
            Self::By(_) => workshop.ordinary(),
            Self::Hybrid => workshop.synced(),
        }
    }
}

fn engine(backend: &Arc<dyn RotationBackend>, store: &Witness) -> Engine {
    let policy = Policy {
        unknown_age: Treatment::Rotate,
        synced: Treatment::Rotate,
        max_age: Age::default(),
        canary: 0,
        max_failures: "100%".parse().unwrap(),
        ..Policy::default()
    };
    let retry = RetryPolicy {
        attempts: 3,
        first_backoff: Duration::from_millis(5),
        ..RetryPolicy::default()
    };
    let options = EngineOptions {
        concurrency: 2,
        retry,
        ..EngineOptions::default()
    };
    let store = Arc::new(store.clone());
    Engine::new(Arc::clone(backend), store, policy)
        .unwrap()
        .with_options(options)
}

fn named(users: &[UserView]) -> AccountQuery {
    AccountQuery::Named(users.iter().map(|user| user.id.to_string()).collect())
}

async fn plan_now(engine: &Engine, users: &[UserView]) -> Plan<'static> {
    let plan = engine.plan(named(users)).await.unwrap();
    let tenant = PlanTenant {
        tenant: plan.tenant().clone(),
        caller: plan.caller().clone(),
    };
    let planned_at = plan.planned_at();
    let planned: Vec<_> = plan.collect().await;
    Plan::new(tenant, planned_at, futures::stream::iter(planned))
}

/// Polls `future` so many times and then drops it: a crash at that point.
async fn crash_after(polls: usize, future: impl Future<Output = ()>) -> bool {
    let mut left = polls;
    let mut future = Box::pin(future);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(true);
        }
        left -= 1;
        future.as_mut().poll(context).map(|()| false)
    })
    .await
}

/// What a worker does at one step of a rotation.
const FAULTS: [(&str, &str); 12] = [
    ("start", "dies"),
    ("hello", "dies-before"),
    ("load", "dies-after"),
    ("connect", "dies-after"),
    ("set", "dies-before"),
    ("set", "dies-after"),
    ("set", "aborts-after"),
    ("set", "half-a-line"),
    ("set", "prose"),
    ("set", "other-id"),
    ("set", "twice"),
    ("set", "loses-the-answer"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_at_whatever_step_workers_are_killed() {
    let mut kills = 0;
    for reached in [
        Reached::By(Dialect::MicrosoftGraph),
        Reached::By(Dialect::MicrosoftEntra),
        Reached::By(Dialect::ActiveDirectory),
        Reached::Hybrid,
    ] {
        let workshop = reached.workshop(400).await;
        let mut ordinary = reached.accounts(&workshop);
        for (op, fault) in FAULTS {
            for times in [1, 2, 4] {
                let context = format!("{reached:?}: {op} {fault} × {times}");
                let users = ordinary.split_off(ordinary.len() - 3);
                let store = Witness::default();
                let backend = reached.backend(&workshop);
                let engine = engine(&backend, &store);
                // Read before, for a run whose plan cannot be read ends early.
                let plan = plan_now(&engine, &users).await;
                for _ in 0..times {
                    workshop.fault(op, fault);
                    if op != "set" {
                        workshop.fault("set", "dies-after");
                    }
                }
                let report = engine.run(plan).finish().await;
                store.assert_nothing_lost(&workshop, &users, &context);
                assert_eq!(report.tried(), 3, "{context}: {report:?}");
                workshop.heal();
                // Whatever was left is settled by the next run.
                let plan = engine.plan(named(&users)).await.unwrap();
                let report = engine.run(plan).finish().await;
                assert_eq!(report.rotated, 3, "{context}: {report:?}");
                store.assert_nothing_lost(&workshop, &users, &context);
                kills += times;
            }
        }
    }
    println!("{kills} points at which workers were killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_wherever_a_run_is_dropped() {
    let crashes = AtomicUsize::new(0);
    let dialects = DIALECTS.into_iter();
    let dialects = dialects.filter(|dialect| *dialect != Dialect::AzureAd);
    for reached in dialects.map(Reached::By).chain([Reached::Hybrid]) {
        let workshop = reached.workshop(600).await;
        let mut ordinary = reached.accounts(&workshop);
        let backend = reached.backend(&workshop);
        let mut stores = Vec::new();
        for polls in 0.. {
            let users = ordinary.split_off(ordinary.len() - 3);
            let store = Witness::default();
            let run = async {
                let engine = engine(&backend, &store);
                let plan = engine.plan(named(&users)).await.unwrap();
                engine.run(plan).for_each(|_| async {}).await;
            };
            let crashed = crash_after(polls, run).await;
            let context = format!("{reached:?}: dropped after {polls} polls");
            store.assert_nothing_lost(&workshop, &users, &context);
            stores.push((store, users, context));
            if !crashed {
                break;
            }
            crashes.fetch_add(1, Ordering::Relaxed);
        }
        // What was under way has arrived when the workers have ended.
        drop(backend);
        for pid in workshop.pids() {
            gone(pid).await;
        }
        for (store, users, context) in stores {
            store.assert_nothing_lost(&workshop, &users, &context);
        }
    }
    let crashes = crashes.into_inner();
    println!("{crashes} points at which a run was dropped");
    assert!(crashes > 40, "{crashes}");
}
