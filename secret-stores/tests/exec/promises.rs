use std::sync::Arc;

use futures::StreamExt;
use rotation_core::testkit::MemoryBackend;
use rotation_core::{
    AccountQuery, Engine, EventKind, Policy, RunId, SecretStore, Select, StoreError, Treatment,
    VersionState,
};
use secret_stores::ExecStore;

use crate::workshop::{Workshop, commit, hold, stage};

/// The ledger refuses what another run claimed, so the program must not keep it either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_run_claimed_never_reaches_the_program() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    let ours = workshop.version(1, "ours");
    stage(&store, &ours).await.unwrap();

    let theirs = workshop.version_of(RunId::new(), 1, "theirs");
    let lapsed = stage(&store, &theirs).await;
    assert!(matches!(lapsed, Err(StoreError::LeaseLost(_))));
    hold(&store, &theirs.lease()).await;
    let leased = stage(&store, &theirs).await;
    assert!(matches!(leased, Err(StoreError::Leased { .. })));
    commit(&store, &ours).await.unwrap();
    let rotated = stage(&store, &theirs).await;
    assert!(matches!(rotated, Err(StoreError::RotatedSince { .. })));
    assert_eq!(workshop.kept(), ["ours"]);
}

/// A call is dropped at each of its pauses; whatever the program has by then, the ledger's word holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_wherever_a_call_is_dropped() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    for polls in 0..12 {
        let new = workshop.version(polls, &format!("password-{polls}"));
        let batch = std::slice::from_ref(&new);
        drop_after(polls, store.stage(batch)).await;
        stage(&store, &new).await.unwrap();
        let settling = rotation_core::Commit::new(new.key.clone(), new.staged_at);
        drop_after(polls, store.commit(&[settling])).await;
        commit(&store, &new).await.unwrap();
    }
    let found = workshop.found().await;
    assert_eq!(found.len(), 12);
    assert!(
        found
            .iter()
            .all(|(_, state)| *state == VersionState::Current)
    );
}

/// Polls at most so many times, whenever there is something new.
async fn drop_after(polls: usize, future: impl Future) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let mut polled = false;
        let done = std::future::poll_fn(|context| {
            if polled {
                return std::task::Poll::Ready(false);
            }
            polled = true;
            future.as_mut().poll(context).map(|_| true)
        });
        if done.await {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruned_passwords_are_forgotten_by_the_program() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    for number in 0..2 {
        for round in 0..5 {
            let new = workshop.version(number, &format!("password-{number}-{round}"));
            stage(&store, &new).await.unwrap();
            commit(&store, &new).await.unwrap();
        }
    }
    let pending = workshop.version(0, "pending");
    stage(&store, &pending).await.unwrap();
    assert_eq!(store.prune(&Select::All, 1).await.unwrap(), 6);
    let kept = [
        "password-0-3",
        "password-0-4",
        "password-1-3",
        "password-1-4",
        "pending",
    ];
    assert_eq!(workshop.kept(), kept);
}

/// The ledger refuses the commit of a stalled run, so the program must not call its password current.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_writer_a_fenced_commit_never_reaches_the_program() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    let stalled = workshop.version(1, "stalled");
    stage(&store, &stalled).await.unwrap();
    store.release(&stalled.lease()).await.unwrap();
    let other = workshop.version_of(RunId::new(), 1, "other");
    hold(&store, &other.lease()).await;
    stage(&store, &other).await.unwrap();
    commit(&store, &other).await.unwrap();
    let fenced = commit(&store, &stalled).await;
    assert!(matches!(fenced, Err(StoreError::Fenced(_))));
    assert_eq!(workshop.current(1), "other");
    assert_eq!(workshop.kept(), ["other", "stalled"]);
}

/// Two versions of one account in one batch: the program must end with the one that the ledger ends with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_hears_of_commits_in_their_order() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    for is_reversed in [false, true] {
        let mut batch = Vec::new();
        for password in ["earlier", "later"] {
            let new = workshop.version(1, password);
            stage(&store, &new).await.unwrap();
            batch.push(rotation_core::Commit::new(new.key.clone(), new.staged_at));
        }
        if is_reversed {
            batch.reverse();
        }
        let answers = store.commit(&batch).await;
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].is_ok(), !is_reversed);
        assert_eq!(workshop.current(1), "later");
    }
}

/// When the program fails to forget, the ledger's pruning goes no further than what was under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_that_the_program_interrupts_is_an_error_and_can_be_repeated() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = ExecStore::open(workshop.hostile("forget:dies-before"))
        .await
        .unwrap();
    workshop.lease(&store).await;
    for round in 0..4 {
        let new = workshop.version(1, &format!("password-{round}"));
        stage(&store, &new).await.unwrap();
        commit(&store, &new).await.unwrap();
    }
    let pruned = store.prune(&Select::All, 1).await;
    assert!(matches!(pruned, Err(StoreError::Unavailable { .. })));
    assert!(store.prune(&Select::All, 1).await.is_ok());
    let found = workshop.found().await;
    assert_eq!(found.last().unwrap().0, "password-3");
}

/// A whole run, while the program dies once in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_lost_when_the_program_dies_in_a_run() {
    for fault in [
        "stage:dies-after",
        "commit:dies-before",
        "commit:dies-after",
    ] {
        let Some(workshop) = Workshop::new() else {
            return;
        };
        let store = ExecStore::open(workshop.hostile(fault)).await.unwrap();
        let backend = MemoryBackend::with_accounts(40);
        let policy = Policy {
            unknown_age: Treatment::Rotate,
            ..Policy::default()
        };
        let engine = Engine::new(Arc::new(backend.clone()), Arc::new(store), policy).unwrap();
        let mut run = engine.run(engine.plan(AccountQuery::All).await.unwrap());
        let mut rotated = 0;
        while let Some(event) = run.next().await {
            if let EventKind::RunFinished { report } = event.kind {
                rotated = report.rotated;
            }
        }
        assert_eq!(rotated, 40, "{fault}");
        let current: Vec<_> = workshop
            .found()
            .await
            .into_iter()
            .filter(|(_, state)| *state == VersionState::Current)
            .collect();
        assert_eq!(current.len(), 40, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_no_password_is_in_the_programs_arguments_or_environment() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let store = workshop.store().await;
    workshop.lease(&store).await;
    stage(&store, &workshop.version(1, "hunter2"))
        .await
        .unwrap();
    let kept = workshop.path("kept").to_str().unwrap().to_owned();
    let mut seen = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        if line.contains(&kept) {
            seen += 1;
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            assert!(!line.contains("hunter2") && !environment.contains("hunter2"));
        }
    }
    assert!(seen > 0 || !std::path::Path::new("/proc").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_lets_the_program_end_by_itself() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let script = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__'); \
                  open(sys.argv[1] + '.ended', 'w').close()";
    let mut config = workshop.keep();
    config
        .args
        .splice(0..0, ["-c".to_owned(), script.to_owned()]);
    let store = ExecStore::open(config).await.unwrap();
    store.close().await;
    assert!(workshop.path("kept.ended").exists());
}
