//! A tenant and a store in memory, and the question that every promise comes down to.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use rotation_core::testkit::{MemoryBackend, MemoryStore};
use rotation_core::{
    AccountId, AccountKey, AccountQuery, Engine, Event, EventKind, Plan, PlanTenant, Policy,
    Report, RotationBackend, TenantId, Treatment, VersionState,
};

/// Every account is due, and the first failure does not stop a run.
pub(crate) fn policy() -> Policy {
    Policy {
        unknown_age: Treatment::Rotate,
        max_age: rotation_core::Age::default(),
        // short, because these tests draw many thousands
        length: 8,
        canary: 0,
        max_failures: "100%".parse().unwrap(),
        ..Policy::default()
    }
}

pub(crate) struct World {
    pub(crate) backend: MemoryBackend,
    pub(crate) store: MemoryStore,
    pub(crate) policy: Policy,
}

impl World {
    pub(crate) fn new(accounts: usize) -> Self {
        Self {
            backend: MemoryBackend::with_accounts(accounts),
            store: MemoryStore::new(),
            policy: policy(),
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_through(Arc::new(self.backend.clone()))
    }

    pub(crate) fn engine_through(&self, backend: Arc<dyn RotationBackend>) -> Engine {
        Engine::new(backend, Arc::new(self.store.clone()), self.policy.clone()).unwrap()
    }

    /// Runs once over every account.
    pub(crate) async fn run(&self) -> Report {
        let (report, _) = self.run_with_events().await;
        report
    }

    pub(crate) async fn run_with_events(&self) -> (Report, Vec<Event>) {
        let engine = self.engine();
        let events: Vec<Event> = engine
            .run(engine.plan(AccountQuery::All).await.unwrap())
            .collect()
            .await;
        (report_of(&events), events)
    }

    pub(crate) fn key(&self, number: usize) -> AccountKey {
        AccountKey {
            tenant: TenantId::new("memory"),
            account: account(number),
        }
    }

    /// The states of an account's versions, in the order in which they were staged.
    pub(crate) fn states(&self, number: usize) -> Vec<VersionState> {
        self.store
            .versions_of(&self.key(number))
            .iter()
            .map(|version| version.state)
            .collect()
    }

    /// Promise 2, for every account: what is live is current or pending.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, accounts: usize, context: &str) {
        for number in 1..=accounts {
            let Some(live) = self.backend.live_password(&account(number)) else {
                continue;
            };
            let state = self.store.state_of_password(&self.key(number), &live);
            assert!(
                matches!(state, Some(VersionState::Current | VersionState::Pending)),
                "the live password of user-{number} is {state:?} in the store: {context}"
            );
        }
    }
}

/// What `engine` plans for every account now, whenever it is run.
pub(crate) async fn plan_now(engine: &Engine) -> Plan<'static> {
    let plan = engine.plan(AccountQuery::All).await.unwrap();
    let tenant = PlanTenant {
        tenant: plan.tenant().clone(),
        caller: plan.caller().clone(),
    };
    let planned_at = plan.planned_at();
    let planned: Vec<_> = plan.collect().await;
    Plan::new(tenant, planned_at, futures::stream::iter(planned))
}

pub(crate) fn account(number: usize) -> AccountId {
    AccountId::new(&format!("user-{number}"))
}

pub(crate) fn report_of(events: &[Event]) -> Report {
    let Some(EventKind::RunFinished { report }) = events.last().map(|event| &event.kind) else {
        panic!("the last event of a run is its report: {events:?}");
    };
    report.clone()
}

/// Reads `stream` for at most `polls` polls of the whole future, then drops it: a crash at that point.
pub(crate) async fn crash_after<S: Stream>(polls: usize, stream: S) -> bool {
    let mut left = polls;
    let mut reading = Box::pin(stream.for_each(|_| async {}));
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(true);
        }
        left -= 1;
        reading.as_mut().poll(context).map(|()| false)
    })
    .await
}
