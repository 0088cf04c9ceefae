//! The same calls, of a store in memory and of two handles on one file: the same answers, the same versions.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use proptest::prelude::*;
use rotation_core::testkit::MemoryStore;
use rotation_core::{
    AccountId, AccountKey, Commit, Committed, Lease, NewVersion, Origin, Password, RunId,
    SecretStore, Select, StoreError, TenantId, Version,
};

use crate::workshop::{HOUR, Workshop};

const ACCOUNTS: u8 = 2;
const RUNS: u8 = 3;

/// One call: through which handle, of what, by which run, for which account or which of its last versions.
#[derive(Clone, Debug)]
enum Call {
    Commit { back: usize },
    Discard { back: usize },
    Lapse { run: u8 },
    Lease { run: u8 },
    Prune { keep: usize },
    Release { run: u8 },
    Reopen,
    Stage { run: u8, account: u8, planned: i64 },
    StageAgain { back: usize },
}

fn calls() -> impl Strategy<Value = Vec<(bool, Call)>> {
    let call = prop_oneof![
        5 => (0..8usize).prop_map(|back| Call::Commit { back }),
        1 => (0..4usize).prop_map(|back| Call::Discard { back }),
        1 => (0..RUNS).prop_map(|run| Call::Lapse { run }),
        3 => (0..RUNS).prop_map(|run| Call::Lease { run }),
        1 => (0..3usize).prop_map(|keep| Call::Prune { keep }),
        2 => (0..RUNS).prop_map(|run| Call::Release { run }),
        1 => Just(Call::Reopen),
        6 => (0..RUNS, 0..ACCOUNTS, 0..8i64).prop_map(|(run, account, planned)| Call::Stage { run, account, planned }),
        1 => (0..4usize).prop_map(|back| Call::StageAgain { back }),
    ];
    prop::collection::vec((any::<bool>(), call), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_handles_on_one_file_answer_as_the_store_in_memory(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(compare(&calls));
    }
}

async fn compare(calls: &[(bool, Call)]) {
    let shop = Workshop::new();
    let memory = MemoryStore::new();
    let (mut one, mut two) = (shop.open().await, shop.open().await);
    let mut staged: Vec<NewVersion> = Vec::new();
    // Whether a store still knows what was pruned is its own affair.
    let mut pruned = false;
    let last = |staged: &[NewVersion], back: usize| staged.iter().nth_back(back).cloned();
    for (step, (first, call)) in calls.iter().enumerate() {
        let sqlite = if *first { &one } else { &two };
        let (expected, found) = match call {
            Call::Commit { back } => {
                let Some(version) = last(&staged, *back) else {
                    continue;
                };
                let committed = Committed::new(second(step as i64 / 10))
                    .with_request_id(Some(format!("request-{step}")))
                    .with_baseline((step % 2 == 0).then(|| second(step as i64)));
                let commit = [Commit {
                    key: version.key,
                    committed,
                }];
                (
                    memory.commit(&commit).await.remove(0),
                    sqlite.commit(&commit).await.remove(0),
                )
            }
            Call::Discard { back } => {
                let Some(version) = last(&staged, *back) else {
                    continue;
                };
                (
                    memory.discard(&version.key).await,
                    sqlite.discard(&version.key).await,
                )
            }
            Call::Lapse { run } => {
                let lease = lease(*run);
                (
                    memory.lease(&lease, Duration::ZERO).await,
                    sqlite.lease(&lease, Duration::ZERO).await,
                )
            }
            Call::Lease { run } => {
                let lease = lease(*run);
                (
                    memory.lease(&lease, HOUR).await,
                    sqlite.lease(&lease, HOUR).await,
                )
            }
            Call::Prune { keep } => {
                let dropped = memory.prune(&Select::All, *keep).await.unwrap();
                assert_eq!(sqlite.prune(&Select::All, *keep).await.unwrap(), dropped);
                pruned |= dropped > 0;
                continue;
            }
            Call::Release { run } => {
                let lease = lease(*run);
                (memory.release(&lease).await, sqlite.release(&lease).await)
            }
            Call::Reopen => {
                let handle = if *first { &mut one } else { &mut two };
                *handle = shop.open().await;
                continue;
            }
            Call::Stage {
                run,
                account,
                planned,
            } => {
                let planned = if pruned {
                    i64::from(u16::MAX)
                } else {
                    *planned
                };
                let version = version(*run, *account, step).with_planned_at(second(planned));
                staged.push(version.clone());
                stage(&memory, sqlite, version).await
            }
            Call::StageAgain { back } => {
                let Some(version) = last(&staged, *back).filter(|_| !pruned) else {
                    continue;
                };
                stage(&memory, sqlite, version).await
            }
        };
        let what = format!("step {step}, {call:?}: expected {expected:?}, found {found:?}");
        match (&expected, &found) {
            (Ok(()), Ok(())) => {}
            // Which of several is named is not said.
            (Err(StoreError::RotatedSince { .. }), Err(StoreError::RotatedSince { .. })) => {}
            (
                Err(StoreError::Leased { run: one, .. }),
                Err(StoreError::Leased { run: two, .. }),
            ) => {
                assert_eq!(one, two, "{what}");
            }
            (Err(one), Err(two)) => assert_eq!(discriminant(one), discriminant(two), "{what}"),
            _ => panic!("{what}"),
        }
        for select in [Select::All, Select::Pending(tenant())] {
            let expected = versions(&memory, select.clone()).await;
            assert_eq!(versions(&one, select).await, expected, "{what}");
        }
    }
}

async fn stage(
    memory: &MemoryStore,
    sqlite: &dyn SecretStore,
    version: NewVersion,
) -> (Result<(), StoreError>, Result<(), StoreError>) {
    let batch = [version];
    (
        memory.stage(&batch).await.remove(0),
        sqlite.stage(&batch).await.remove(0),
    )
}

async fn versions(store: &dyn SecretStore, select: Select) -> Vec<Version> {
    store.versions(select).try_collect().await.unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47")
}

fn lease(run: u8) -> Lease {
    Lease {
        tenant: tenant(),
        run: RunId::from_bytes([run; 16]),
    }
}

fn version(run: u8, account: u8, step: usize) -> NewVersion {
    let key = AccountKey {
        tenant: tenant(),
        account: AccountId::new(&format!("account-{account}")),
    };
    let origin = Origin {
        caller: format!("caller-{run}"),
        backend: "graph".to_owned(),
        reason: format!("step {step}"),
    };
    let password = Arc::new(Password::new(format!("password-{step}").into()));
    NewVersion::new(
        key,
        "adele@contoso.com",
        RunId::from_bytes([run; 16]),
        second(step as i64),
        password,
    )
    .with_origin(origin)
}

fn second(number: i64) -> Timestamp {
    Timestamp::new(1_700_000_000 + number, 123_000_000).unwrap()
}
